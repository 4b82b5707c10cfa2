"""Phonons, equation of state and elastic constants of every fit against the reference."""


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
