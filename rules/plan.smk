"""Checks of files, and cost estimates, before expensive jobs run."""

from phonsmith.running.single_results import record_file


rule check:
    """Check the campaigns of config.yaml and the site file, in seconds: `snakemake check`.

    Without inputs, since it computes nothing, and without outputs, so that it always runs.
    """
    log:
        "results/.logs/check.log",
    localrule: True
    params:
        campaigns=config["campaigns"],
    message:
        "checking the campaigns of config.yaml:"
    script:
        "../scripts/check.py"


rule plan:
    """Print the plans of the campaigns of config.yaml: `snakemake plan`.

    Without outputs, so that it always runs.
    """
    input:
        lambda wildcards: [f"results/{name}/plan.md" for name in config["campaigns"]],
    log:
        "results/.logs/plan.log",
    localrule: True
    message:
        "the plan:"
    script:
        "../scripts/print_plan.py"


COMMANDS += ["check", "plan"]


def crystals_left_out(wildcards):
    """Reasons for omitting crystals, by structure; kept crystals are not listed."""
    settings, found = campaign(wildcards.campaign), {}
    for structure in settings.structures:
        verdict = verdict_on_crystal(wildcards.campaign, structure)
        if verdict and (why := why_left_out(verdict, settings.relaxation.on_change)):
            found[structure] = why
    return found


def verdict_on(name, generation):
    """The verdict on a generation as plain data, if it exists; the loop is not triggered."""
    path = path_of_verdict(name, generation)
    return verdict_in(path) if os.path.exists(path) else None


def cells_asked_for(wildcards):
    """Number of cells of each structure requested by the previous verdict."""
    verdict = verdict_on(wildcards.campaign, int(wildcards.generation) - 1)
    return verdict["next_cells"] if verdict else {}


def there(wildcards, pattern):
    """Existing files of each structure: path, and time of modification."""
    found = {}
    for structure in campaign(wildcards.campaign).structures:
        path = pattern.format(structure=structure, **wildcards)
        if os.path.exists(path):
            found[structure] = [path, os.path.getmtime(path)]
    return found


def relaxed_crystals(wildcards):
    """The relaxed crystals that exist."""
    return there(wildcards, rules.relax_structure.output.crystal)


def chosen_cells(wildcards):
    """The cells of a later generation, where they were chosen already."""
    if wildcards.generation == "0":
        return {}
    return there(wildcards, rules.add_supercells.output[0])


def crystals_read(wildcards):
    """The crystals as read from their files, in the order of the campaign.

    In place of a scaled one that from which it will be, of the same size.
    """
    structures = campaign(wildcards.campaign).structures.items()
    names = [one.scaled.of if one.scaled else name for name, one in structures]
    return expand(rules.read_structure.output[0], campaign=wildcards.campaign, structure=names)


def cores_for_structures(wildcards):
    """A function for threads: a core for each structure, as far as there are."""
    return min(workflow.cores or 1, len(campaign(wildcards.campaign).structures))


def settings_of_structures(wildcards):
    """Settings of crystals that affect their cells."""
    return {
        name: one.model_dump(mode="json", exclude=NOT_OF_CELLS)
        for name, one in campaign(wildcards.campaign).structures.items()
    }


rule plan_cells:
    """The supercells of all crystals as they would be made now, and why some have none."""
    input:
        crystals=crystals_read,
    output:
        cells="results/{campaign}/plan/gen{generation}.extxyz",
        verdicts="results/{campaign}/plan/gen{generation}.json",
    log:
        "results/{campaign}/logs/plan/gen{generation}.log",
    localrule: True
    threads: cores_for_structures
    params:
        # beside the inputs, since a plan relaxes nothing
        relaxed=relaxed_crystals,
        left_out=crystals_left_out,
        asked=cells_asked_for,
        chosen=chosen_cells,
        supercells=unless_recorded(cells_made),
        structures=settings_of_structures,
        reference=untracked(setting("reference")),
        recorded=if_recorded(reference_physics),
        seed=unless_recorded(setting("seed")),
        sources=SOURCES,
        version=VERSIONS["supercells"],
    message:
        "{wildcards.campaign}: counting supercells"
    script:
        "../scripts/plan_cells.py"


rule plan_third_order:
    """Count the cells of third-order force constants, crystal by crystal."""
    input:
        crystals=crystals_read,
    output:
        cells="results/{campaign}/plan/third_order.extxyz",
        counts="results/{campaign}/plan/third_order.json",
    log:
        "results/{campaign}/logs/plan/third_order.log",
    localrule: True
    params:
        relaxed=relaxed_crystals,
        structures=lambda wildcards: list(campaign(wildcards.campaign).structures),
        conducting=setting("conducting"),
        third_order=setting("conductivity/third_order"),
        mesh_of=setting("conductivity/mesh_of"),
        seed=setting("seed"),
        version=versions("conductivity", "supercells", "phonons"),
    message:
        "{wildcards.campaign}: counting third-order cells"
    script:
        "../scripts/plan_third_order.py"


def planned_generations(wildcards):
    """Known generations: the first, and those requested by verdicts."""
    generation = 0
    if campaign(wildcards.campaign).loop is not None:
        while (verdict := verdict_on(wildcards.campaign, generation)) and not verdict["stop"]:
            generation += 1
    return list(range(generation + 1))


def planned_third_order(wildcards):
    """The number of third-order cells, if a conductivity is requested."""
    if not campaign(wildcards.campaign).conducting:
        return {}
    planned = rules.plan_third_order.output
    return {
        "third_order": planned.cells.format(**wildcards),
        "counts": planned.counts.format(**wildcards),
    }


def planned_settings(wildcards):
    """All settings that a plan depends on."""
    return campaign(wildcards.campaign).model_dump(
        mode="json", by_alias=True, exclude={"description", "figures"}
    )


def of_crystal(index):
    """The record of a single crystal, for the file with the results of all."""
    return str(record_file(index, "{structure}"))


def done_already(wildcards):
    """Existing results of the plan, as in phonsmith.plan.inputs.made."""
    settings = campaign(wildcards.campaign)
    generations = planned_generations(wildcards)
    fits = [f"{fit}/gen{g}" for fit in settings.fits for g in generations]
    known = {
        "campaign": [wildcards.campaign],
        "structure": settings.structures,
        "database": settings.datasets.databases,
        "transition": settings.transitions,
        "protocol": [
            *settings.distillation,
            *(settings.disorder.runs if settings.disorder else []),
        ],
        "run": range(max((one.runs for one in settings.protocol_runs.values()), default=0)),
        "generation": generations,
        "fit": settings.fits,
        "method": ["reference", *fits],
        "cell": settings.phonons.cells,
    }
    work = {
        "isolated atoms": rules.label_isolated_atoms.output[0],
        "relaxation/{structure}": rules.relax_structure.output.crystal,
        "Born charges/{structure}": rules.born_charges.output[0],
        "thermodynamics/{method}/{structure}": rules.thermodynamics.output[0],
        "third order/{method}/{structure}": rules.third_order_constants.output.record,
        "enthalpies/{method}/{transition}/{structure}": rules.enthalpies.output[0],
        "distillation/{protocol}/{run}": rules.distil.output.outcome,
        "snapshot labels/{protocol}/{run}": rules.gather_snapshots.output.labels,
        "disorder/{method}/{protocol}/{run}": rules.disorder_run.output.outcome,
        "database/{database}": rules.label_database.output.train,
        "labels/{generation}/{structure}": rules.gather_labels.output.labels,
        "fit/{generation}/{fit}": rules.fit.output.potential,
        "fit errors/{generation}/{fit}": rules.fit_errors.output.errors,
        "mechanics/{generation}/{fit}/{structure}": of_crystal(rules.fit_mechanics.output[0]),
        "phonons/{generation}/{fit}/{cell}/{structure}": of_crystal(rules.fit_phonons.output[0]),
    }
    # names and files have the same wildcards, and so come in the same order
    return [
        name
        for names, files in work.items()
        for name, file in zip(expand(names, **known), expand(files, **known), strict=True)
        if os.path.exists(file)
    ]


def state_of_store(wildcards):
    """Trigger of a new plan: the number of labels in the store, in a shared store of all campaigns.

    The plan itself looks up the labels of its cells.
    """
    return sum(1 for _ in Path(label_store(wildcards)).glob("??/[0-9a-f]*.npz"))


def limits_of_site(wildcards):
    """Names of partitions, and limits of a job on this machine or on the cluster."""
    here = workflow.global_resources.get("mem_mb")
    return {
        "cpu": SITE.cpu.partition,
        "gpu": SITE.gpu.partition,
        "memory_limit_mb": None if here is None else here.value,
        "max_memory_mb": SITE.max_memory_mb,
        "max_minutes": SITE.max_minutes,
    }


rule plan_campaign:
    """Cells, core hours and memory of labels, fits, phonons and applications: done, and left."""
    input:
        unpack(planned_third_order),
        crystals=crystals_read,
        cells=every(rules.plan_cells.output.cells, generation=planned_generations),
        verdicts=every(rules.plan_cells.output.verdicts, generation=planned_generations),
    output:
        markdown="results/{campaign}/plan.md",
        csv="results/{campaign}/plan.csv",
        jobs="results/{campaign}/plan_jobs.csv",
    log:
        "results/{campaign}/logs/plan/plan.log",
    localrule: True
    params:
        campaign=planned_settings,
        generations=planned_generations,
        relaxed=relaxed_crystals,
        done=done_already,
        store_state=state_of_store,
        site=limits_of_site,
        sources=SOURCES,
        work=untracked(work_folder),
        store=untracked(label_store),
        version=VERSIONS["plan"],
    message:
        "{wildcards.campaign}: writing the plan"
    script:
        "../scripts/plan.py"
