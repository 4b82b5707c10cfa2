"""Phonons, equation of state and elastic constants of every fit against the reference."""


def in_sample(wildcards):
    """Whether the fit was trained on the displacements that give the reference phonons."""
    settings = campaign(wildcards.campaign)
    fit = fit_of(wildcards)
    labelled = settings.recorded is not None or "displaced" in settings.supercells.kinds
    trained = wildcards.fit in settings.trained
    taught = trained and wildcards.structure in settings.learnt
    return taught and "displaced" in fit.learn_from and labelled


def mechanics_of(pattern):
    """Input function: ``pattern`` if equation of state and elastic constants are requested."""

    def of(wildcards):
        settings = campaign(wildcards.campaign)
        wanted = settings.benchmarks.mechanics and wildcards.structure in settings.at_rest
        return pattern.format(**wildcards) if wanted else []

    return of


rule benchmark:
    """Compare one structure of one fit with the reference, in every requested cell."""
    input:
        reference="results/{campaign}/phonons/reference/reference/{structure}.npz",
        spectra=every(rules.fit_phonons.output.spectrum, cell="phonons/cells"),
        verdicts=every(rules.fit_phonons.output.verdict, cell="phonons/cells"),
        accepted=ACCEPTED,
        mechanics_reference=mechanics_of(
            "results/{campaign}/benchmarks/reference/mechanics/{structure}.json"
        ),
        mechanics_fit=mechanics_of(
            "results/{campaign}/benchmarks/{fit}/gen{generation}/mechanics/{structure}.json"
        ),
    output:
        "results/{campaign}/benchmarks/{fit}/gen{generation}/{structure}.json",
    log:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/{structure}.log",
    localrule: True
    params:
        cells=setting("phonons/cells"),
        benchmarks=setting("benchmarks"),
        in_sample=in_sample,
        fit_kind=lambda wildcards: fit_of(wildcards).kind,
        version=versions("benchmarks", "structures", "supercells", "phonons"),
    message:
        "{wildcards.campaign}: benchmark of {wildcards.fit} on {wildcards.structure}"
    script:
        "../scripts/benchmark.py"


rule reference_mechanics:
    """Equation of state and elastic constants by the reference method."""
    input:
        "results/{campaign}/relaxed/{structure}.extxyz",
        accepted=ACCEPTED,
        model=reference_model,
    output:
        "results/{campaign}/benchmarks/reference/mechanics/{structure}.json",
    log:
        "results/{campaign}/logs/benchmarks/reference/mechanics/{structure}.log",
    benchmark:
        "results/{campaign}/logs/benchmarks/reference/mechanics/{structure}.tsv"
    threads: 1
    resources:
        **runs_on(reference_on_gpu),
        mem_mb=memory_mb(2000),
        runtime=minutes(120),
    params:
        reference=untracked(setting("reference")),
        physics=reference_physics,
        version=versions("benchmarks", "structures"),
    message:
        "{wildcards.campaign}: equation of state of {wildcards.structure}, reference"
    script:
        "../scripts/reference_mechanics.py"


rule fit_mechanics:
    """Equation of state and elastic constants by a fit."""
    input:
        crystal="results/{campaign}/relaxed/{structure}.extxyz",
        accepted=ACCEPTED,
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model="results/{campaign}/fits/{fit}/gen{generation}/model",
        environment=environment_of_fit,
    output:
        # kept until the job ends: `again` is read from it
        update("results/{campaign}/benchmarks/{fit}/gen{generation}/mechanics/{structure}.json"),
    log:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/mechanics/{structure}.log",
    benchmark:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/mechanics/{structure}.tsv"
    threads: 1
    resources:
        **runs_on(on_gpu),
        mem_mb=memory_mb(3000),
        runtime=minutes(120),
    params:
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=tries_again("fit_mechanics"),
        version=versions("benchmarks", "structures"),
    message:
        "{wildcards.campaign}: equation of state of {wildcards.structure} with {wildcards.fit}"
    script:
        "../scripts/fit_mechanics.py"


rule rmse_table:
    """Tabulate RMSE: a row for each fit, structure and cell choice, as CSV and Markdown."""
    input:
        every(
            rules.benchmark.output[0],
            fit="fits",
            generation=accepted,
            structure="benchmarked",
        ),
    output:
        csv=ensure("results/{campaign}/tables/rmse.csv", non_empty=True),
        markdown="results/{campaign}/tables/rmse.md",
        modes="results/{campaign}/tables/modes.csv",
    log:
        "results/{campaign}/logs/tables/rmse.log",
    localrule: True
    params:
        version=versions("benchmarks", "phonons"),
    message:
        "{wildcards.campaign}: table of phonon RMSE"
    script:
        "../scripts/rmse_table.py"


def swept_settings(wildcards):
    """Varied settings by sweep and fit: titles, and the keys below them."""
    settings = campaign(wildcards.campaign)
    return {
        name: {
            fit: values | sweep.settings_of(values) for fit, values in settings.swept(name).items()
        }
        for name, sweep in settings.sweeps.items()
    }


rule sweeps_table:
    """Tabulate RMSE of the fits of sweeps with the swept settings."""
    input:
        "results/{campaign}/tables/rmse.csv",
    output:
        "results/{campaign}/tables/sweeps.csv",
    log:
        "results/{campaign}/logs/tables/sweeps.log",
    localrule: True
    params:
        sweeps=swept_settings,
        version=VERSIONS["benchmarks"],
    script:
        "../scripts/sweeps_table.py"


rule mechanics_table:
    """Equation of state and elastic constants, reference and fits."""
    input:
        every(
            rules.benchmark.output[0],
            fit="fits",
            generation=accepted,
            structure="benchmarked",
        ),
    output:
        "results/{campaign}/tables/mechanics.csv",
    log:
        "results/{campaign}/logs/tables/mechanics.log",
    localrule: True
    params:
        version=versions("benchmarks", "phonons"),
    script:
        "../scripts/mechanics_table.py"


def structures_drawn(wildcards):
    """The crystals whose bands a job draws: the requested crystal, or all."""
    one = getattr(wildcards, "structure", None)
    return [one] if one else campaign(wildcards.campaign).benchmarked


def formats_drawn(wildcards):
    """The formats that a job draws: the requested format, or all."""
    one = getattr(wildcards, "format", None)
    return [one] if one else campaign(wildcards.campaign).figures.formats


rule draw_bands:
    """Band structures of all structures, one fit against the reference."""
    input:
        reference=every(rules.reference_phonons.output.spectrum, structure=structures_drawn),
        spectra=every(
            rules.fit_phonons.output.spectrum,
            generation=accepted,
            cell=first_cell,
            structure=structures_drawn,
        ),
        benchmarks=every(rules.benchmark.output[0], generation=accepted, structure=structures_drawn),
        structures="results/{campaign}/tables/structures.csv",
    output:
        index="results/{campaign}/figures/bands/{fit}/figures.json",
    log:
        "results/{campaign}/logs/figures/bands/{fit}.log",
    localrule: True
    params:
        structures=structures_drawn,
        labels=fit_labels,
        level_of_theory=setting("level_of_theory"),
        cell=first_cell,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing band structures of {wildcards.fit}"
    script:
        "../scripts/draw_bands.py"


use rule draw_bands as draw_bands_of_one with:
    output:
        figure="results/{campaign}/figures/bands/{fit}/{structure}.{format}",
    log:
        "results/{campaign}/logs/figures/bands/{fit}/{structure}.{format}.log",
    message:
        "{wildcards.campaign}: drawing the bands of {wildcards.structure} by {wildcards.fit}"


rule draw_reference_bands:
    """Band structures of all structures by the reference method alone."""
    input:
        reference=every(rules.reference_phonons.output.spectrum, structure=structures_drawn),
        structures="results/{campaign}/tables/structures.csv",
    output:
        index="results/{campaign}/figures/bands/reference/figures.json",
    log:
        "results/{campaign}/logs/figures/bands/reference.log",
    localrule: True
    params:
        structures=structures_drawn,
        level_of_theory=setting("level_of_theory"),
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing band structures of the reference"
    script:
        "../scripts/draw_reference_bands.py"


use rule draw_reference_bands as draw_reference_bands_of_one with:
    output:
        figure="results/{campaign}/figures/bands/reference/{structure}.{format}",
    log:
        "results/{campaign}/logs/figures/bands/reference/{structure}.{format}.log",
    message:
        "{wildcards.campaign}: drawing the bands of {wildcards.structure} by the reference"


ruleorder: draw_reference_bands > draw_bands
ruleorder: draw_reference_bands_of_one > draw_bands_of_one


rule draw_rmse:
    """RMSE against structure."""
    input:
        "results/{campaign}/tables/rmse.csv",
    output:
        "results/{campaign}/figures/rmse_by_structure.{format}",
    log:
        "results/{campaign}/logs/figures/rmse_by_structure.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing RMSE against structure ({wildcards.format})"
    script:
        "../scripts/draw_rmse.py"


def sweep_of(wildcards):
    return look_up(wildcards, "sweeps/{sweep}")


def swept(wildcards):
    """The values of every fit of a sweep by title."""
    sweep_of(wildcards)  # stops at an unknown one
    return campaign(wildcards.campaign).swept(wildcards.sweep)


rule draw_sweep:
    """RMSE against one setting of the fits."""
    input:
        "results/{campaign}/tables/rmse.csv",
    output:
        "results/{campaign}/figures/sweep_{sweep}.{format}",
    log:
        "results/{campaign}/logs/figures/sweep_{sweep}.{format}.log",
    localrule: True
    params:
        swept=swept,
        axis_label=lambda wildcards: sweep_of(wildcards).label,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing sweep {wildcards.sweep} ({wildcards.format})"
    script:
        "../scripts/draw_sweep.py"


def sparse_points(wildcards):
    fits = campaign(wildcards.campaign).fits
    return {name: fit.sparse_points() for name, fit in fits.items()}


rule draw_phonon_vs_force:
    """Phonon RMSE against force RMSE of the fits."""
    input:
        rmse="results/{campaign}/tables/rmse.csv",
        errors="results/{campaign}/tables/errors.csv",
    output:
        "results/{campaign}/figures/phonon_vs_force.{format}",
    log:
        "results/{campaign}/logs/figures/phonon_vs_force.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        sparse_points=sparse_points,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing phonon against force RMSE ({wildcards.format})"
    script:
        "../scripts/draw_phonon_vs_force.py"


def compares_phonons(name):
    """Whether phonons are compared: there are fits, and crystals with phonons."""
    settings = campaign(name)
    return bool(settings.fits and settings.benchmarked)


def tables_of_benchmarks(name):
    """RMSE and modes if phonons are compared; sweeps and mechanics if requested."""
    settings = campaign(name)
    tables = ["rmse.csv", "rmse.md", "modes.csv"] if compares_phonons(name) else []
    tables += ["sweeps.csv"] if settings.sweeps else []
    tables += ["mechanics.csv"] if settings.benchmarks.mechanics else []
    return dict.fromkeys(tables)


def figures_of_benchmarks(name):
    """RMSE by structure, by the settings of sweeps, and against errors of forces."""
    settings = campaign(name)
    figures = ["rmse_by_structure"] if compares_phonons(name) else []
    figures += [f"sweep_{sweep}" for sweep in settings.sweeps]
    if settings.tested and compares_phonons(name):
        figures += ["phonon_vs_force"]
    return dict.fromkeys(figures)


STAGES["benchmarks"] = Part(tables=tables_of_benchmarks, figures=figures_of_benchmarks)
