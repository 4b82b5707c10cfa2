"""The loop: verdicts on generations, and the cells that the next generation adds."""


def fits_with_errors(wildcards):
    """The fits whose force errors the goal requires."""
    settings = campaign(wildcards.campaign)
    asked = settings.loop.goal.max_force_rmse_ev_per_angstrom is not None
    return settings.trained if asked else []


def property_of(goal):
    """The pattern of the files that hold the property of a criterion, and its names in it."""
    if goal.of == "conductivity":
        return rules.conductivity.output.result, {
            "structure": goal.structure,
            "mesh": 0,
        }
    return rules.transition.output[0], {"transition": goal.transition}


def properties_of_generation(wildcards):
    """The properties in the goal: of every criterion for every trained potential."""
    settings = campaign(wildcards.campaign)
    method = [f"{fit}/gen{wildcards.generation}" for fit in settings.trained]
    found = []
    for goal in settings.loop.goal.properties.values():
        pattern, names = property_of(goal)
        found += expand(pattern, campaign=wildcards.campaign, method=method, **names)
    return found


def last_generation(wildcards):
    """The previous generation, if any."""
    return before_this(wildcards)[-1:]


def trained_groups(wildcards):
    """The fits that are judged, by the first of their repeats."""
    settings = campaign(wildcards.campaign)
    return {name: one for name, one in settings.groups.items() if name in settings.trained}


checkpoint judge_generation:
    """Judge the fits of this generation, and request cells for the next."""
    input:
        benchmarks=every(rules.benchmark.output[0], fit="trained"),
        errors=every(rules.fit_errors.output.errors, fit=fits_with_errors),
        properties=properties_of_generation,
        labels=every(
            rules.gather_labels.output.labels,
            generation=up_to_this,
            structure="structures",
        ),
        before=every(
            "results/{campaign}/generations/gen{generation}.json",
            generation=last_generation,
        ),
    output:
        "results/{campaign}/generations/gen{generation}.json",
    log:
        "results/{campaign}/logs/generations/gen{generation}.log",
    localrule: True
    params:
        loop=setting("loop", exclude={"selection", "judges", "decided_by"}),
        groups=trained_groups,
        fits=fits_with_errors,
        trained=setting("trained"),
        deciding=setting("deciding"),
        without_potential=setting("without_potential"),
        learnt=setting("learnt"),
        version=versions("generations", "structures", "datasets", "phonons", "benchmarks"),
    message:
        "{wildcards.campaign}: judging generation {wildcards.generation}"
    script:
        "../scripts/judge_generation.py"


def judges_on_gpu(wildcards):
    """Whether a fit used for selection is a MACE, which uses a GPU if available."""
    settings = campaign(wildcards.campaign)
    return any(takes_gpu(settings.fits[name]) for name in settings.judges)


def supercells_of_grid(wildcards):
    """The file of the supercells chosen for a grid of wave vectors, if the campaign has one."""
    if look_up(wildcards, "supercells/grid") is None:
        return []
    return "results/{campaign}/supercells/gen0/{structure}.yaml"


rule add_supercells:
    """Select the cells of a crystal for a later generation; none if the crystal meets the goal.

    The verdict that requested them, and the fits and labels used to select them, do not
    trigger a new selection: another goal, another setting of a fit or another number of repeats must
    not discard computed labels. The fits are not inputs, since `ancient` does not guard
    against another set of files; the verdict is made after them.
    """
    input:
        crystal="results/{campaign}/relaxed/{structure}.extxyz",
        labels=ancient(every(rules.gather_labels.output.labels, generation=before_this)),
        verdict=ancient(every(rules.judge_generation.output[0], generation=last_generation)),
        accepted=ACCEPTED,
        grid=supercells_of_grid,
    output:
        "results/{campaign}/supercells/gen{generation}/{structure}.extxyz",
    log:
        "results/{campaign}/logs/supercells/gen{generation}/{structure}.log",
    benchmark:
        "results/{campaign}/logs/supercells/gen{generation}/{structure}.tsv"
    wildcard_constraints:
        generation=r"[1-9]\d*",
    threads: 1
    resources:
        **runs_on(judges_on_gpu),
        mem_mb=memory_mb(4000),
        runtime=minutes(120),
    params:
        supercells=cells_made,
        potentials=untracked(
            every(rules.fit.output.potential, fit="judges", generation=last_generation)
        ),
        selection=setting("loop/selection"),
        seed=setting("seed"),
        version=versions("supercells", "structures"),
    message:
        "{wildcards.campaign}: choosing cells of {wildcards.structure}, "
        "generation {wildcards.generation}"
    script:
        "../scripts/add_supercells.py"


rule generations_table:
    """Tabulate the verdicts of all generations, and the data added by each."""
    input:
        verdicts=every(rules.judge_generation.output[0], generation=up_to_accepted),
        train=every(rules.make_dataset.output.train, generation=accepted),
        test=every(rules.make_test_set.output.test, generation=accepted),
    output:
        generations=reported(
            "results/{campaign}/tables/generations.csv", "generations", "generations"
        ),
        data=reported(
            "results/{campaign}/tables/data_per_generation.csv", "generations", "generations"
        ),
        properties=reported(
            "results/{campaign}/tables/properties.csv", "generations", "generations"
        ),
    log:
        "results/{campaign}/logs/tables/generations.log",
    localrule: True
    params:
        version=versions("generations", "structures", "datasets"),
    message:
        "{wildcards.campaign}: tables of generations"
    script:
        "../scripts/generations_table.py"


rule draw_generations:
    """Phonon RMSE against the number of labels, generation by generation."""
    input:
        "results/{campaign}/tables/generations.csv",
    output:
        reported(
            "results/{campaign}/figures/generations.{format}", "generations", "generations_figure"
        ),
    log:
        "results/{campaign}/logs/figures/generations.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        goal=setting("loop/goal/rmse_thz"),
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing RMSE against labels"
    script:
        "../scripts/draw_generations.py"


def tables_of_generations(name):
    """The verdicts, and properties that the goal requires to converge."""
    loop = campaign(name).loop
    if loop is None:
        return {}
    properties = "Properties of the goal, generation by generation"
    return {
        "generations.csv": None,
        "data_per_generation.csv": None,
        **({"properties.csv": properties} if loop.goal.properties else {}),
    }


STAGES["generations"] = Part(
    tables=tables_of_generations,
    figures=lambda name: {"generations": None} if campaign(name).loop else {},
)
