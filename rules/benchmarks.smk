"""Phonons, equation of state and elastic constants of every fit against the reference."""


def spectra(kind):
    """A function for input: one file for each cell choice; ``kind`` is npz or json."""

    def of(wildcards):
        return expand(
            "results/{campaign}/phonons/{fit}/gen{generation}/{cell}/{structure}.{kind}",
            cell=campaign(wildcards.campaign).phonons.cells,
            kind=kind,
            **wildcards,
        )

    return of


def in_sample(wildcards):
    """Whether the fit learnt from the very displacements that give the reference phonons."""
    settings = campaign(wildcards.campaign)
    fit = fit_of(wildcards)
    labelled = settings.recorded is not None or "displaced" in settings.supercells.kinds
    trained = wildcards.fit in settings.trained
    taught = trained and wildcards.structure in settings.learnt
    return taught and "displaced" in fit.learn_from and labelled


def mechanics_of(pattern):
    """A function for input: ``pattern`` where equation of state and elastic constants are asked for."""

    def of(wildcards):
        settings = campaign(wildcards.campaign)
        wanted = (
            settings.benchmarks.mechanics and wildcards.structure in settings.at_rest
        )
        return pattern.format(**wildcards) if wanted else []

    return of


rule benchmark:
    """One structure of one fit against the reference, in every cell asked for."""
    input:
        reference="results/{campaign}/phonons/reference/reference/{structure}.npz",
        spectra=spectra("npz"),
        verdicts=spectra("json"),
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
    conda:
        ENVIRONMENT
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
    conda:
        ENVIRONMENT
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
    output:
        # kept until the job ends: `again` is read from it
        update(
            "results/{campaign}/benchmarks/{fit}/gen{generation}/mechanics/{structure}.json"
        ),
    log:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/mechanics/{structure}.log",
    benchmark:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/mechanics/{structure}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **runs_on(on_gpu),
        mem_mb=memory_mb(3000),
        runtime=minutes(120),
    params:
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=tries_again(
            "results/{campaign}/benchmarks/{fit}/gen{generation}/mechanics/{structure}.json"
        ),
        version=versions("benchmarks", "structures"),
    message:
        "{wildcards.campaign}: equation of state of {wildcards.structure} with {wildcards.fit}"
    script:
        "../scripts/fit_mechanics.py"


BENCHMARK = "results/{campaign}/benchmarks/{fit}/gen{generation}/{structure}.json"


def of_every_fit(pattern):
    """A function for input: ``pattern`` for every fit, at the accepted generation."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).fits,
            generation=accepted_generation(wildcards.campaign),
            structure=campaign(wildcards.campaign).benchmarked,
            allow_missing=True,
        )

    return of


rule rmse_table:
    """One row for each fit, structure and cell choice; and the same for reading."""
    input:
        of_every_fit(BENCHMARK),
    output:
        csv=ensure("results/{campaign}/tables/rmse.csv", non_empty=True),
        markdown="results/{campaign}/tables/rmse.md",
        modes="results/{campaign}/tables/modes.csv",
    log:
        "results/{campaign}/logs/tables/rmse.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        version=versions("benchmarks", "phonons"),
    message:
        "{wildcards.campaign}: table of phonon RMSE"
    script:
        "../scripts/rmse_table.py"


def swept_settings(wildcards):
    """What was varied, by sweep and fit: titles, and the keys that stand below them."""
    settings = campaign(wildcards.campaign)
    return {
        name: {
            fit: values | sweep.settings_of(values)
            for fit, values in settings.swept(name).items()
        }
        for name, sweep in settings.sweeps.items()
    }


rule sweeps_table:
    """The same for the fits of sweeps, beside the swept settings."""
    input:
        "results/{campaign}/tables/rmse.csv",
    output:
        "results/{campaign}/tables/sweeps.csv",
    log:
        "results/{campaign}/logs/tables/sweeps.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        sweeps=swept_settings,
        version=VERSIONS["benchmarks"],
    script:
        "../scripts/sweeps_table.py"


def of_every_fit_with_errors(pattern):
    """The same for the fits that have errors on labels."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).with_errors,
            generation=accepted_generation(wildcards.campaign),
            allow_missing=True,
        )

    return of


rule errors_table:
    """Errors of all fits on their training and test sets."""
    input:
        of_every_fit_with_errors(
            "results/{campaign}/fits/{fit}/gen{generation}/errors.csv"
        ),
    output:
        "results/{campaign}/tables/errors.csv",
    log:
        "results/{campaign}/logs/tables/errors.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        fits=lambda wildcards: campaign(wildcards.campaign).with_errors,
        version=VERSIONS["errors"],
    script:
        "../scripts/errors_table.py"


rule fits_table:
    """Time, memory and size of every fit."""
    input:
        of_every_fit("results/{campaign}/fits/{fit}/gen{generation}/fit.json"),
    output:
        "results/{campaign}/tables/fits.csv",
    log:
        "results/{campaign}/logs/tables/fits.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        fits=lambda wildcards: {
            name: fit.kind for name, fit in campaign(wildcards.campaign).fits.items()
        },
        version=versions("fits", "datasets"),
    script:
        "../scripts/fits_table.py"


rule mechanics_table:
    """Equation of state and elastic constants, reference and fits."""
    input:
        of_every_fit(BENCHMARK),
    output:
        "results/{campaign}/tables/mechanics.csv",
    log:
        "results/{campaign}/logs/tables/mechanics.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        version=versions("benchmarks", "phonons"),
    script:
        "../scripts/mechanics_table.py"
