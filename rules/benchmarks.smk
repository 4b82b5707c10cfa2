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
    return fit.kind != "existing" and "displaced" in fit.learn_from and labelled


def mechanics_of(pattern):
    """A function for input: ``pattern`` where equation of state and elastic constants are asked for."""

    def of(wildcards):
        wanted = campaign(wildcards.campaign).benchmarks.mechanics
        return pattern.format(**wildcards) if wanted else []

    return of


rule benchmark:
    """One structure of one fit against the reference, in every cell asked for."""
    input:
        reference="results/{campaign}/phonons/reference/reference/{structure}.npz",
        spectra=spectra("npz"),
        verdicts=spectra("json"),
        mechanics_reference=mechanics_of(
            "results/{campaign}/benchmarks/reference/mechanics/{structure}.json"
        ),
        mechanics_fit=mechanics_of(
            "results/{campaign}/benchmarks/{fit}/gen{generation}/mechanics/{structure}.json"
        ),
    output:
        "results/{campaign}/benchmarks/{fit}/gen{generation}/{structure}.json",
    params:
        cells=setting("phonons/cells"),
        benchmarks=setting("benchmarks"),
        in_sample=in_sample,
        fit_kind=lambda wildcards: fit_of(wildcards).kind,
        version=VERSIONS["benchmarks"],
    log:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/{structure}.log",
    localrule: True
    message:
        "{wildcards.campaign}: benchmark of {wildcards.fit} on {wildcards.structure}"
    script:
        "../scripts/benchmark.py"


rule reference_mechanics:
    """Equation of state and elastic constants by the reference method."""
    input:
        "results/{campaign}/relaxed/{structure}.extxyz",
    output:
        "results/{campaign}/benchmarks/reference/mechanics/{structure}.json",
    params:
        reference=setting("reference"),
        version=VERSIONS["benchmarks"],
    log:
        "results/{campaign}/logs/benchmarks/reference/mechanics/{structure}.log",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=120,
        slurm_partition=partition("cpu"),
    message:
        "{wildcards.campaign}: equation of state of {wildcards.structure}, reference"
    script:
        "../scripts/reference_mechanics.py"


rule fit_mechanics:
    """Equation of state and elastic constants by a fit."""
    input:
        crystal="results/{campaign}/relaxed/{structure}.extxyz",
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model="results/{campaign}/fits/{fit}/gen{generation}/model",
    output:
        "results/{campaign}/benchmarks/{fit}/gen{generation}/mechanics/{structure}.json",
    params:
        relaxation=setting("relaxation"),
        version=VERSIONS["benchmarks"],
    log:
        "results/{campaign}/logs/benchmarks/{fit}/gen{generation}/mechanics/{structure}.log",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=120,
        slurm_partition=fit_partition,
        gpu=gpus,
    message:
        "{wildcards.campaign}: equation of state of {wildcards.structure} with {wildcards.fit}"
    script:
        "../scripts/fit_mechanics.py"


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


def of_every_trained_fit(pattern):
    """The same for the fits that are trained on labels."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).trained,
            generation=accepted_generation(wildcards.campaign),
            allow_missing=True,
        )

    return of


BENCHMARK = "results/{campaign}/benchmarks/{fit}/gen{generation}/{structure}.json"


rule rmse_table:
    """One row for each fit, structure and cell choice; and the same for reading."""
    input:
        of_every_fit(BENCHMARK),
    output:
        csv=ensure("results/{campaign}/tables/rmse.csv", non_empty=True),
        markdown="results/{campaign}/tables/rmse.md",
        modes="results/{campaign}/tables/modes.csv",
    params:
        version=VERSIONS["benchmarks"],
    log:
        "results/{campaign}/logs/tables/rmse.log",
    localrule: True
    message:
        "{wildcards.campaign}: table of phonon RMSE"
    script:
        "../scripts/rmse_table.py"


rule errors_table:
    """Errors of all trained fits on their training and test sets."""
    input:
        of_every_trained_fit("results/{campaign}/fits/{fit}/gen{generation}/errors.csv"),
    output:
        "results/{campaign}/tables/errors.csv",
    params:
        fits=lambda wildcards: campaign(wildcards.campaign).trained,
    log:
        "results/{campaign}/logs/tables/errors.log",
    localrule: True
    script:
        "../scripts/errors_table.py"


rule fits_table:
    """Time, memory and size of every fit."""
    input:
        of_every_fit("results/{campaign}/fits/{fit}/gen{generation}/fit.json"),
    output:
        "results/{campaign}/tables/fits.csv",
    params:
        fits=lambda wildcards: list(campaign(wildcards.campaign).fits),
    log:
        "results/{campaign}/logs/tables/fits.log",
    localrule: True
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
    script:
        "../scripts/mechanics_table.py"
