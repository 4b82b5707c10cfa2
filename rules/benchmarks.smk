"""Phonons, equation of state, elastic constants and errors of every fit against the reference."""


def in_sample(wildcards):
    """Crystals whose displacements that give the reference phonons taught the fit."""
    settings = campaign(wildcards.campaign)
    fit = fit_of(wildcards)
    labelled = settings.recorded is not None or "displaced" in settings.supercells.kinds
    taught = wildcards.fit in settings.trained and "displaced" in fit.learn_from and labelled
    return [one for one in settings.benchmarked if taught and one in settings.learnt]


def with_mechanics(wildcards):
    """Crystals whose equation of state and elastic constants are compared."""
    settings = campaign(wildcards.campaign)
    wanted = settings.benchmarked if settings.benchmarks.mechanics else []
    return [structure for structure in wanted if structure in settings.at_rest]


def mechanics_of_fit(wildcards):
    """The results of the fit, if mechanics are compared."""
    pattern = "results/{campaign}/benchmarks/{fit}/gen{generation}/mechanics.json"
    return [pattern.format(**wildcards)] if with_mechanics(wildcards) else []


rule benchmark:
    """Compare all crystals of one fit with the reference, in every requested cell."""
    input:
        reference=every(rules.reference_phonons.output.spectrum, structure="benchmarked"),
        phonons=every(rules.fit_phonons.output[0], cell="phonons/cells"),
        accepted=every(ACCEPTED, structure="benchmarked"),
        mechanics_reference=every(
            "results/{campaign}/benchmarks/reference/mechanics/{structure}.json",
            structure=with_mechanics,
        ),
        mechanics=mechanics_of_fit,
    output:
        "results/{campaign}/benchmarks/{fit}/gen{generation}/benchmarks.json",
    log:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/benchmarks.log",
    localrule: True
    params:
        structures=setting("benchmarked"),
        cells=setting("phonons/cells"),
        benchmarks=setting("benchmarks"),
        in_sample=in_sample,
        fit_kind=lambda wildcards: fit_of(wildcards).kind,
        version=versions("benchmarks", "structures", "supercells", "phonons"),
    message:
        "{wildcards.campaign}: benchmark of {wildcards.fit}"
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
    """Equation of state and elastic constants by a fit: one job for all crystals, as phonons."""
    input:
        crystals=every("results/{campaign}/relaxed/{structure}.extxyz", structure=with_mechanics),
        accepted=every(ACCEPTED, structure=with_mechanics),
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model="results/{campaign}/fits/{fit}/gen{generation}/model",
        environment=environment_of_fit,
    output:
        # kept until the job ends: `again` is read from it
        update("results/{campaign}/benchmarks/{fit}/gen{generation}/mechanics.json"),
    log:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/mechanics.log",
    benchmark:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/mechanics.tsv"
    threads: share_of_cores(lambda wildcards: len(campaign(wildcards.campaign).fits))
    resources:
        **runs_on(on_gpu),
        mem_mb=memory_mb(1000, 2000),
        runtime=minutes(120),
    params:
        structures=with_mechanics,
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=lambda wildcards: tries_of_crystals(wildcards, rules.fit_mechanics.output[0]),
        version=versions("benchmarks", "structures"),
    message:
        "{wildcards.campaign}: equations of state with {wildcards.fit}"
    script:
        "../scripts/fit_mechanics.py"


rule speeds:
    """Measure the time of a step of molecular dynamics with all potentials, side by side."""
    input:
        potentials=every(rules.fit.output.potential, fit="tested", generation=accepted),
        models=every(rules.fit.output.model, fit="tested", generation=accepted),
        environments=lambda wildcards: [
            path
            for fit in campaign(wildcards.campaign).tested
            for path in record_of(environment_named(campaign(wildcards.campaign).fits[fit]))
        ],
        reference=reference_model,
        cells=lambda wildcards: expand(
            rules.distil.output.snapshots,
            campaign=wildcards.campaign,
            protocol=campaign(wildcards.campaign).timed,
            run=0,
        ),
    output:
        "results/{campaign}/benchmarks/speeds.csv",
    log:
        "results/{campaign}/logs/benchmarks/speeds.log",
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(4000),
        runtime=minutes(120),
    params:
        reference=untracked(setting("reference")),
        physics=reference_physics,
        fits=setting("tested"),
        version=versions("benchmarks"),
    message:
        "{wildcards.campaign}: speed of all potentials"
    script:
        "../scripts/speeds.py"


rule error_against_cost:
    """Errors of the fits on the test sets against the time of a step, as table and figure."""
    input:
        errors=rules.errors_table.output[0],
        speeds=rules.speeds.output[0],
    output:
        reported(
            "results/{campaign}/tables/error_against_cost.csv", "benchmarks", "error_against_cost"
        ),
    log:
        "results/{campaign}/logs/tables/error_against_cost.log",
    localrule: True
    params:
        version=VERSIONS["benchmarks"],
    message:
        "{wildcards.campaign}: errors against cost"
    script:
        "../scripts/error_against_cost.py"


def labels_beside_sizes(wildcards):
    """Names of the fits in legends, without those of sweeps over the number of distilled cells."""
    sizes = campaign(wildcards.campaign).sizes
    return {fit: label for fit, label in fit_labels(wildcards).items() if fit not in sizes}


rule draw_error_against_cost:
    """Draw the errors of the fits on the test sets against the time of a step."""
    input:
        table=rules.error_against_cost.output[0],
        speeds=rules.speeds.output[0],
    output:
        reported(
            "results/{campaign}/figures/error_against_cost.{format}",
            "benchmarks",
            "error_against_cost",
        ),
    log:
        "results/{campaign}/logs/figures/error_against_cost.{format}.log",
    localrule: True
    params:
        reference=setting("level_of_theory"),
        labels=labels_beside_sizes,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing errors against cost"
    script:
        "../scripts/draw_error_against_cost.py"


def protocols_tested(name):
    """Protocols of the molecular dynamics whose snapshots are for tests, by data set."""
    tested = {
        data: campaign(name).distillation[data] for data, _ in campaign(name).distilled("test")
    }
    return {data: runs.protocol for data, runs in tested.items() if not runs.searches}


rule errors_along:
    """Errors of the fits along molecular dynamics: of each snapshot, and of a melt and quench."""
    input:
        predictions=every(rules.fit_errors.output.predictions, fit="tested", generation=accepted),
        # in the order of the predictions
        test=lambda wildcards: tested_on(wildcards, accepted(wildcards)),
    output:
        along=reported(
            "results/{campaign}/tables/errors_along.csv", "benchmarks", "errors_along_table"
        ),
        parts=reported("results/{campaign}/tables/melt_quench.csv", "benchmarks", "melt_quench"),
    log:
        "results/{campaign}/logs/tables/errors_along.log",
    localrule: True
    params:
        # one dict, since all params count as one set for Snakemake: fits, and whether their
        # energies are shifted
        fits=lambda wildcards: {
            name: campaign(wildcards.campaign).exists(name)
            for name in campaign(wildcards.campaign).tested
        },
        protocols=lambda wildcards: {
            data: protocol.model_dump(mode="json")
            for data, protocol in protocols_tested(wildcards.campaign).items()
        },
        version=versions(
            *("benchmarks", "distillation", "datasets", "errors", "labels", "phonons", "readers")
        ),
    message:
        "{wildcards.campaign}: errors along the runs"
    script:
        "../scripts/errors_along.py"


rule draw_errors_along:
    """Draw errors of the fits against time along the runs of one data set."""
    input:
        along=rules.errors_along.output.along,
    output:
        reported(
            "results/{campaign}/figures/errors_along/{protocol}.{format}",
            "benchmarks",
            "errors_along",
        ),
    log:
        "results/{campaign}/logs/figures/errors_along/{protocol}.{format}.log",
    localrule: True
    params:
        protocol=setting("distillation/{protocol}/protocol"),
        reference=setting("level_of_theory"),
        labels=fit_labels,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing errors along {wildcards.protocol}"
    script:
        "../scripts/draw_errors_along.py"


def sized_recipes(wildcards):
    """Settings of the fits of the sweeps over the number of distilled cells."""
    settings = campaign(wildcards.campaign)
    return {name: settings.fits[name].model_dump(mode="json") for name in settings.sizes}


rule error_against_size:
    """Errors on the test sets against the number of distilled cells, mean and spread over fits."""
    input:
        errors=rules.errors_table.output[0],
        train=lambda wildcards: accepted_dataset(wildcards, "train"),
    output:
        reported(
            "results/{campaign}/tables/error_against_size.csv", "benchmarks", "error_against_size"
        ),
    log:
        "results/{campaign}/logs/tables/error_against_size.log",
    localrule: True
    params:
        fits=sized_recipes,
        series=setting("sizes"),
        version=versions("benchmarks", "fits", "datasets"),
    message:
        "{wildcards.campaign}: errors against the size of the distilled data"
    script:
        "../scripts/error_against_size.py"


rule draw_error_against_size:
    """Draw the errors on the test sets against the number of distilled cells."""
    input:
        rules.error_against_size.output[0],
    output:
        reported(
            "results/{campaign}/figures/error_against_size.{format}",
            "benchmarks",
            "error_against_size",
        ),
    log:
        "results/{campaign}/logs/figures/error_against_size.{format}.log",
    localrule: True
    params:
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing errors against the size of the distilled data"
    script:
        "../scripts/draw_error_against_size.py"


rule rmse_table:
    """Tabulate RMSE: a row for each fit, structure and cell choice, as CSV and Markdown."""
    input:
        every(rules.benchmark.output[0], fit="fits", generation=accepted),
    output:
        csv=ensure(
            reported("results/{campaign}/tables/rmse.csv", "benchmarks", "rmse"), non_empty=True
        ),
        markdown="results/{campaign}/tables/rmse.md",
        modes=reported("results/{campaign}/tables/modes.csv", "benchmarks", "modes"),
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
        reported("results/{campaign}/tables/sweeps.csv", "benchmarks", "sweeps"),
    log:
        "results/{campaign}/logs/tables/sweeps.log",
    localrule: True
    params:
        sweeps=swept_settings,
        version=VERSIONS["benchmarks"],
    message:
        "{wildcards.campaign}: table of sweeps"
    script:
        "../scripts/sweeps_table.py"


rule mechanics_table:
    """Equation of state and elastic constants, reference and fits."""
    input:
        every(rules.benchmark.output[0], fit="fits", generation=accepted),
    output:
        reported("results/{campaign}/tables/mechanics.csv", "benchmarks", "mechanics"),
    log:
        "results/{campaign}/logs/tables/mechanics.log",
    localrule: True
    params:
        version=versions("benchmarks", "phonons"),
    message:
        "{wildcards.campaign}: table of equations of state and elastic constants"
    script:
        "../scripts/mechanics_table.py"


def structures_drawn(wildcards):
    """The crystals whose bands a job draws: the requested crystal, or all."""
    one = getattr(wildcards, "structure", None)
    return [one] if one else campaign(wildcards.campaign).benchmarked


def formats_of_bands(wildcards):
    """The formats in which a job draws bands: the requested format, or all."""
    one = getattr(wildcards, "format", None)
    return [one] if one else campaign(wildcards.campaign).figures.formats


rule draw_bands:
    """Band structures of all structures, one fit against the reference."""
    input:
        reference=every(rules.reference_phonons.output.spectrum, structure=structures_drawn),
        phonons=every(rules.fit_phonons.output[0], generation=accepted, cell=first_cell),
        benchmarks=every(rules.benchmark.output[0], generation=accepted),
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
        formats=formats_of_bands,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing band structures of {wildcards.fit}"
    script:
        "../scripts/draw_bands.py"


use rule draw_bands as draw_bands_of_one with:
    output:
        figure=reported(
            "results/{campaign}/figures/bands/{fit}/{structure}.{format}", "benchmarks", "bands"
        ),
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
        formats=formats_of_bands,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing band structures of the reference"
    script:
        "../scripts/draw_reference_bands.py"


use rule draw_reference_bands as draw_reference_bands_of_one with:
    output:
        figure=reported(
            "results/{campaign}/figures/bands/reference/{structure}.{format}",
            "benchmarks",
            "bands",
        ),
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
        reported(
            "results/{campaign}/figures/rmse_by_structure.{format}",
            "benchmarks",
            "rmse_by_structure",
        ),
    log:
        "results/{campaign}/logs/figures/rmse_by_structure.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing RMSE against structure"
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
        reported("results/{campaign}/figures/sweep_{sweep}.{format}", "benchmarks", "sweep"),
    log:
        "results/{campaign}/logs/figures/sweep_{sweep}.{format}.log",
    localrule: True
    params:
        swept=swept,
        axis_label=lambda wildcards: sweep_of(wildcards).label,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing sweep {wildcards.sweep}"
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
        reported(
            "results/{campaign}/figures/phonon_vs_force.{format}", "benchmarks", "phonon_vs_force"
        ),
    log:
        "results/{campaign}/logs/figures/phonon_vs_force.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        sparse_points=sparse_points,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing phonon against force RMSE"
    script:
        "../scripts/draw_phonon_vs_force.py"


def compares_phonons(name):
    """Whether phonons are compared: there are fits, and crystals with phonons."""
    settings = campaign(name)
    return bool(settings.fits and settings.benchmarked)


def compares_speed(name):
    """Whether errors are compared with cost: of students, beside their teacher."""
    settings = campaign(name)
    taught = settings.distillation and potential_of(settings.reference)
    return bool(taught and settings.tested)


def errors_along_runs(name):
    """Whether fits are tested along molecular dynamics."""
    return bool(campaign(name).tested and protocols_tested(name))


def tables_of_benchmarks(name):
    """RMSE and modes if phonons are compared; sweeps and mechanics if requested."""
    settings = campaign(name)
    tables = ["rmse.csv", "rmse.md", "modes.csv"] if compares_phonons(name) else []
    tables += ["sweeps.csv"] if settings.sweeps else []
    tables += ["mechanics.csv"] if settings.benchmarks.mechanics else []
    tables = dict.fromkeys(tables)
    if compares_speed(name):
        tables["error_against_cost.csv"] = "Errors on the test sets and time of a step"
    if errors_along_runs(name):
        kinds = {protocol.kind for protocol in protocols_tested(name).values()}
        tables["errors_along.csv"] = None
        if "melt-quench" in kinds:
            tables["melt_quench.csv"] = (
                "Melt and quench: errors over the last snapshots of crystal, liquid and amorphous "
                "solid"
            )
    if campaign(name).sizes:
        tables["error_against_size.csv"] = "Errors on the test sets and size of the distilled data"
    return tables


def figures_of_benchmarks(name):
    """RMSE by structure, by the settings of sweeps, and against errors of forces."""
    settings = campaign(name)
    figures = ["rmse_by_structure"] if compares_phonons(name) else []
    figures += [f"sweep_{sweep}" for sweep in settings.sweeps]
    if settings.tested and compares_phonons(name):
        figures += ["phonon_vs_force"]
    figures = dict.fromkeys(figures)
    if compares_speed(name):
        figures["error_against_cost"] = "Errors on the test sets against the time of a step"
    if errors_along_runs(name):
        figures |= {
            f"errors_along/{data}": f"Errors along the runs of {data}; shaded: last snapshots of a "
            "part"
            for data in protocols_tested(name)
        }
    if campaign(name).sizes:
        figures["error_against_size"] = (
            "Errors on the test sets against the number of distilled cells: mean and standard "
            "deviation over fits"
        )
    return figures


STAGES["benchmarks"] = Part(tables=tables_of_benchmarks, figures=figures_of_benchmarks)
