"""Before anything expensive runs: are the files good, and what will it cost?"""


rule check:
    """Check the campaigns of config.yaml and the site file, in seconds: `snakemake check`.

    Without inputs, since it computes nothing, and without outputs, so that it always runs.
    """
    log:
        "results/.logs/check.log",
    localrule: True
    conda:
        ENVIRONMENT
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
    conda:
        ENVIRONMENT
    message:
        "the plan:"
    script:
        "../scripts/print_plan.py"


def crystals_left_out(wildcards):
    """Why it leaves crystals out, by structure; those that it does not are not in it."""
    settings, found = campaign(wildcards.campaign), {}
    for structure in settings.structures:
        verdict = verdict_on_crystal(wildcards.campaign, structure)
        if verdict and (why := why_left_out(verdict, settings.relaxation.on_change)):
            found[structure] = why
    return found


def verdict_on(name, generation):
    """The verdict on a generation as plain data, if it is there; the loop is not asked for one."""
    path = Path(f"results/{name}/generations/gen{generation}.json")
    return verdict_in(path) if path.exists() else None


def cells_asked_for(wildcards):
    """How many cells of each structure the verdict before has asked for."""
    verdict = verdict_on(wildcards.campaign, int(wildcards.generation) - 1)
    return verdict["next_cells"] if verdict else {}


def relaxed_crystals(wildcards):
    """The relaxed crystals that exist."""
    return there(wildcards, "results/{campaign}/relaxed/{structure}.extxyz")


def chosen_cells(wildcards):
    """The cells of a later generation, where they were chosen already."""
    if wildcards.generation == "0":
        return {}
    return there(
        wildcards, "results/{campaign}/supercells/gen{generation}/{structure}.extxyz"
    )


def crystals_read(wildcards):
    """The crystals as read from their files, in the order of the campaign.

    In place of a scaled one that from which it will be, of the same size.
    """
    structures = campaign(wildcards.campaign).structures.items()
    return [
        f"results/{wildcards.campaign}/structures/"
        f"{one.scaled.of if one.scaled else name}.extxyz"
        for name, one in structures
    ]


def cores_for_structures(wildcards):
    """A function for threads: a core for each structure, as far as there are."""
    return min(workflow.cores or 1, len(campaign(wildcards.campaign).structures))


def setting_of_structures(wildcards):
    """What crystals are, without what is done with them."""
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
    conda:
        ENVIRONMENT
    threads: cores_for_structures
    params:
        # beside the inputs, since a plan relaxes nothing
        relaxed=relaxed_crystals,
        left_out=crystals_left_out,
        asked=cells_asked_for,
        chosen=chosen_cells,
        supercells=unless_recorded(cells_made),
        structures=setting_of_structures,
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
    """How many cells third-order force constants ask for, crystal by crystal."""
    input:
        crystals=crystals_read,
    output:
        cells="results/{campaign}/plan/third_order.extxyz",
        counts="results/{campaign}/plan/third_order.json",
    log:
        "results/{campaign}/logs/plan/third_order.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        relaxed=relaxed_crystals,
        structures=lambda wildcards: list(campaign(wildcards.campaign).structures),
        conducting=lambda wildcards: campaign(wildcards.campaign).conducting,
        third_order=setting("conductivity/third_order"),
        mesh_of=setting("conductivity/mesh_of"),
        seed=setting("seed"),
        version=versions("conductivity", "supercells", "phonons"),
    message:
        "{wildcards.campaign}: counting third-order cells"
    script:
        "../scripts/plan_third_order.py"


def planned_generations(wildcards):
    """The generations that are known to come: the first, and those that verdicts have asked for."""
    generation = 0
    if campaign(wildcards.campaign).loop is not None:
        while (verdict := verdict_on(wildcards.campaign, generation)) and not verdict[
            "stop"
        ]:
            generation += 1
    return list(range(generation + 1))


def of_planned(pattern):
    """A function for input: ``pattern`` for every generation of the plan."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            generation=planned_generations(wildcards),
        )

    return of


def planned_third_order(wildcards):
    """The number of third-order cells, where a conductivity is asked for."""
    stem = f"results/{wildcards.campaign}/plan/third_order"
    if not campaign(wildcards.campaign).conducting:
        return {}
    return {"third_order": f"{stem}.extxyz", "counts": f"{stem}.json"}


def planned_settings(wildcards):
    """All settings that a plan goes by."""
    return campaign(wildcards.campaign).model_dump(
        mode="json", by_alias=True, exclude={"description", "figures"}
    )


def done_already(wildcards):
    """What of the plan exists, as phonsmith.plan.inputs.made names it."""
    name, settings = wildcards.campaign, campaign(wildcards.campaign)
    crystals, fits = list(settings.structures), list(settings.fits)
    generations, cells = planned_generations(wildcards), settings.phonons.cells
    methods = ["reference", *(f"{fit}/gen{g}" for fit in fits for g in generations)]
    files = {("isolated atoms",): "labels/isolated_atoms.extxyz"}
    for one in crystals:
        files["relaxation", one] = f"relaxed/{one}.extxyz"
        files["Born charges", one] = f"labels/born/{one}.BORN"
    for method in methods:
        for one in crystals:
            files["thermodynamics", method, one] = f"thermodynamics/{method}/{one}.json"
            files["third order", method, one] = (
                f"conductivity/{method}/{one}/third_order.json"
            )
            for transition in settings.transitions:
                files["enthalpies", method, transition, one] = (
                    f"transitions/{method}/{transition}/{one}.json"
                )
    for one in settings.datasets.databases:
        files["database", one] = f"labels/databases/{one}/train.extxyz"
    for g in generations:
        for one in crystals:
            files["labels", g, one] = f"labels/gen{g}/{one}.extxyz"
        for fit in fits:
            files["fit", g, fit] = f"fits/{fit}/gen{g}/potential.json"
            files["fit errors", g, fit] = f"fits/{fit}/gen{g}/errors.csv"
            for one in crystals:
                files["mechanics", g, fit, one] = (
                    f"benchmarks/{fit}/gen{g}/mechanics/{one}.json"
                )
                for cell in cells:
                    files["phonons", g, fit, cell, one] = (
                        f"phonons/{fit}/gen{g}/{cell}/{one}.json"
                    )
    return [
        "/".join(map(str, key))
        for key, path in files.items()
        if os.path.exists(f"results/{name}/{path}")
    ]


def state_of_store(wildcards):
    """What a plan is made anew for: how many labels the store holds, in a shared one those of all.

    The plan itself asks for the labels of its own cells.
    """
    return sum(1 for _ in Path(label_store(wildcards)).glob("??/[0-9a-f]*.npz"))


def limits_of_site(wildcards):
    """Names of partitions, and the most that a job may have here or on the cluster."""
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
        cells=of_planned("results/{campaign}/plan/gen{generation}.extxyz"),
        verdicts=of_planned("results/{campaign}/plan/gen{generation}.json"),
    output:
        markdown="results/{campaign}/plan.md",
        csv="results/{campaign}/plan.csv",
    log:
        "results/{campaign}/logs/plan/plan.log",
    localrule: True
    conda:
        ENVIRONMENT
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
        "{wildcards.campaign}: working out the plan"
    script:
        "../scripts/plan.py"
