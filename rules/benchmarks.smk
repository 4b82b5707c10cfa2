"""Phonons of every fit against the reference: errors by crystal, and beside those of forces."""


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


def tables_of_benchmarks(name):
    """RMSE and modes if phonons are compared."""
    return dict.fromkeys(["rmse.csv", "rmse.md", "modes.csv"] if compares_phonons(name) else [])


def figures_of_benchmarks(name):
    """RMSE by structure, and against errors of forces."""
    if not compares_phonons(name):
        return {}
    tested = campaign(name).tested
    return dict.fromkeys(["rmse_by_structure", *(["phonon_vs_force"] if tested else [])])


STAGES["benchmarks"] = Part(tables=tables_of_benchmarks, figures=figures_of_benchmarks)
