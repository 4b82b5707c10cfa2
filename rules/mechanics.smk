"""Equation of state and elastic constants by the reference method and by every fit."""


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


STAGES["mechanics"] = Part(
    tables=lambda name: {"mechanics.csv": None} if campaign(name).benchmarks.mechanics else {}
)
