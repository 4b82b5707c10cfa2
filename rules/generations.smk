"""The loop: verdicts on generations, and the cells that the next generation adds."""


checkpoint judge_generation:
    """Whether a potential of this generation meets the goal, and what is asked for next."""
    input:
        benchmarks=benchmarks_of_generation,
        errors=errors_of_generation,
        properties=properties_of_generation,
        labels=labels_before(next_generation),
        before=verdict_before,
    output:
        "results/{campaign}/generations/gen{generation}.json",
    log:
        "results/{campaign}/logs/generations/gen{generation}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        loop=setting("loop", exclude={"selection", "judges"}),
        groups=trained_groups,
        fits=fits_with_errors,
        trained=lambda wildcards: campaign(wildcards.campaign).trained,
        learnt=lambda wildcards: campaign(wildcards.campaign).learnt,
        version=versions(
            "generations", "structures", "datasets", "phonons", "benchmarks"
        ),
    message:
        "{wildcards.campaign}: judging generation {wildcards.generation}"
    script:
        "../scripts/judge_generation.py"


rule add_supercells:
    """The cells that a later generation labels of one crystal; none where it meets the goal.

    The verdict that asked for them, and the fits and labels by which they were chosen, are no
    reason to choose anew: another goal or another setting of a fit must not drop labels that are
    paid for.
    """
    input:
        crystal="results/{campaign}/relaxed/{structure}.extxyz",
        potentials=ancient(of_judges("potential.json")),
        models=ancient(of_judges("model")),
        labels=ancient(labels_before(this_generation)),
        verdict=ancient(verdict_before),
        accepted=ACCEPTED,
    output:
        "results/{campaign}/supercells/gen{generation}/{structure}.extxyz",
    log:
        "results/{campaign}/logs/supercells/gen{generation}/{structure}.log",
    benchmark:
        "results/{campaign}/logs/supercells/gen{generation}/{structure}.tsv"
    wildcard_constraints:
        generation=r"[1-9]\d*",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **runs_on(judges_on_gpu),
        mem_mb=memory_mb(4000),
        runtime=minutes(120),
    params:
        supercells=cells_made,
        selection=setting("loop/selection"),
        seed=setting("seed"),
        version=versions("supercells", "structures"),
    message:
        "{wildcards.campaign}: choosing cells of {wildcards.structure}, "
        "generation {wildcards.generation}"
    script:
        "../scripts/add_supercells.py"


rule generations_table:
    """The verdicts of all generations, and what each has added to the data."""
    input:
        verdicts=lambda wildcards: expand(
            "results/{campaign}/generations/gen{generation}.json",
            campaign=wildcards.campaign,
            generation=range(accepted_generation(wildcards.campaign) + 1),
        ),
        train=lambda wildcards: expand(
            "results/{campaign}/datasets/gen{generation}/train.extxyz",
            campaign=wildcards.campaign,
            generation=accepted_generation(wildcards.campaign),
        ),
        test=lambda wildcards: expand(
            "results/{campaign}/datasets/gen{generation}/test.extxyz",
            campaign=wildcards.campaign,
            generation=accepted_generation(wildcards.campaign),
        ),
    output:
        generations="results/{campaign}/tables/generations.csv",
        data="results/{campaign}/tables/data_per_generation.csv",
        properties="results/{campaign}/tables/properties.csv",
    log:
        "results/{campaign}/logs/tables/generations.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        version=versions("generations", "structures", "datasets"),
    script:
        "../scripts/generations_table.py"
