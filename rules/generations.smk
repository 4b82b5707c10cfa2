"""The loop: verdicts on generations, and the cells that the next generation adds."""


def benchmarks_of_generation(wildcards):
    """Every trained fit of this generation on every structure."""
    return expand(
        BENCHMARK,
        fit=campaign(wildcards.campaign).trained,
        structure=campaign(wildcards.campaign).benchmarked,
        **wildcards,
    )


def fits_with_errors(wildcards):
    """The fits whose force errors the goal asks for."""
    settings = campaign(wildcards.campaign)
    asked = settings.loop.goal.max_force_rmse_ev_per_angstrom is not None
    return settings.trained if asked else []


def errors_of_generation(wildcards):
    return expand(
        "results/{campaign}/fits/{fit}/gen{generation}/errors.csv",
        fit=fits_with_errors(wildcards),
        **wildcards,
    )


def property_file(goal):
    """The file that holds the property of a criterion for one fit of one generation."""
    if goal.of == "conductivity":
        return (
            "results/{campaign}/conductivity/{fit}/gen{generation}/"
            f"{goal.structure}/kappa0.json"
        )
    return (
        "results/{campaign}/transitions/{fit}/gen{generation}/"
        f"{goal.transition}.json"
    )


def properties_of_generation(wildcards):
    """The properties that the goal asks for: of every criterion for every trained fit."""
    settings = campaign(wildcards.campaign)
    return [
        path
        for goal in settings.loop.goal.properties.values()
        for path in expand(property_file(goal), fit=settings.trained, **wildcards)
    ]


def labels_before(generation_of):
    """A function for input: labels of all generations before the one that ``generation_of`` gives."""

    def of(wildcards):
        one = getattr(wildcards, "structure", None)
        return expand(
            "results/{campaign}/labels/gen{generation}/{structure}.extxyz",
            campaign=wildcards.campaign,
            generation=range(generation_of(wildcards)),
            structure=one or campaign(wildcards.campaign).structures,
        )

    return of


def this_generation(wildcards):
    return int(wildcards.generation)


def next_generation(wildcards):
    return int(wildcards.generation) + 1


def verdict_before(wildcards):
    """The verdict on the generation before, if there is one."""
    generation = this_generation(wildcards) - 1
    path = f"results/{wildcards.campaign}/generations/gen{generation}.json"
    return [path] if generation >= 0 else []


def trained_groups(wildcards):
    """The fits that are trained, by the first of their repeats."""
    settings = campaign(wildcards.campaign)
    return {
        name: one for name, one in settings.groups.items() if name in settings.trained
    }


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


def of_judges(file):
    """A function for input: this file of the last generation's fits that help to choose cells."""

    def of(wildcards):
        return expand(
            "results/{campaign}/fits/{fit}/gen{generation}/{file}",
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).judges,
            generation=this_generation(wildcards) - 1,
            file=file,
        )

    return of


def judges_on_gpu(wildcards):
    """Whether one of them is a MACE that takes a GPU where it finds one."""
    settings = campaign(wildcards.campaign)
    return any(takes_gpu(settings.fits[name]) for name in settings.judges)


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
