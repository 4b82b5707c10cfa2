"""Data of molecular dynamics: snapshots of the teacher with its labels, or of a driver."""


wildcard_constraints:
    protocol=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    run=r"\d+",


def crystal_at_start(runs):
    """A function for input: the relaxed crystal that a run starts from, and the decision on it.

    ``runs`` is the path of the runs in the settings.
    """

    def of(wildcards):
        structure = look_up(wildcards, runs).protocol.typical_cell.structure
        if structure is None:
            return {}
        name = wildcards.campaign
        return {
            "crystal": f"results/{name}/relaxed/{structure}.extxyz",
            "accepted": ACCEPTED.format(campaign=name, structure=structure),
        }

    return of


def driver_of(wildcards):
    """The potential that makes the run in place of the reference method, or None."""
    return look_up(wildcards, "distillation/{protocol}/driver")


def model_of_run(wildcards):
    """The files of the potential that makes the run."""
    driver = driver_of(wildcards)
    return model_of(driver) if driver else reference_model(wildcards)


def run_on_gpu(wildcards):
    """Whether the potential that makes the run uses a GPU if available."""
    driver = driver_of(wildcards)
    return driver.takes_gpu if driver else reference_on_gpu(wildcards)


def potential_of_run(wildcards):
    """The potential that makes the run, as settings of a reference method."""
    driver = driver_of(wildcards)
    if driver is None:
        return setting("reference")(wildcards)
    return {"method": "calculator", "potential": driver.model_dump(mode="json")}


def physics_of_run(wildcards):
    """The settings of the potential that affect the run."""
    driver = driver_of(wildcards)
    if driver is None:
        return reference_physics(wildcards)
    return {"driver": with_code(driver.physics(), driver)}


rule distil:
    """Make one run of the teacher, or of a driver: its snapshots have no labels.

    Its checkpoints lie in ``work``, outside the outputs, and are taken up by the next try.
    """
    input:
        unpack(crystal_at_start("distillation/{protocol}")),
        model=model_of_run,
    output:
        snapshots="results/{campaign}/distillation/{protocol}/{run}.extxyz",
        outcome="results/{campaign}/distillation/{protocol}/{run}.json",
    log:
        "results/{campaign}/logs/distillation/{protocol}/{run}.log",
    benchmark:
        "results/{campaign}/logs/distillation/{protocol}/{run}.tsv"
    retries: RETRIES
    threads: 1
    resources:
        **runs_on(run_on_gpu),
        mem_mb=memory_mb(3000),
        runtime=minutes(
            lambda wildcards: look_up(wildcards, "distillation/{protocol}/runtime_minutes")
        ),
    params:
        reference=untracked(potential_of_run),
        # beside the physics, which differ with a driver
        driven=untracked(lambda wildcards: driver_of(wildcards) is not None),
        physics=physics_of_run,
        protocol=setting("distillation/{protocol}/protocol"),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        seed=setting("seed"),
        stage="distillation",
        work="results/{campaign}/distillation/{protocol}/work/{run}",
        version=versions("distillation", "structures", "supercells", "labels"),
    message:
        "{wildcards.campaign}: run {wildcards.run} of {wildcards.protocol}"
    script:
        "../scripts/distil.py"


def snapshot_batches(wildcards):
    """How many jobs label the snapshots of drivers."""
    settings = campaign(wildcards.campaign)
    return len(settings.driven) * settings.labels.batches_per_structure


use rule label_batch as label_snapshots with:
    # the cells of one run of a driver, batch by batch
    input:
        rules.distil.output.snapshots,
        model=reference_model,
    output:
        labels="results/{campaign}/labels/distillation/{protocol}/{run}/batches/{batch}.extxyz",
        failures="results/{campaign}/labels/distillation/{protocol}/{run}/batches/{batch}.json",
    log:
        "results/{campaign}/logs/labels/distillation/{protocol}/{run}/{batch}.log",
    benchmark:
        "results/{campaign}/logs/labels/distillation/{protocol}/{run}/{batch}.tsv"
    threads: label_threads(snapshot_batches)
    params:
        **OF_BATCH,
        structure={"recorded": None, "file": None},
        method=reference_physics,
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: labelling run {wildcards.run} of {wildcards.protocol}, batch {wildcards.batch}"


use rule label_snapshots as label_snapshot with:
    # retry a single failed cell on request: `snakemake failures` prints the command
    output:
        labels="results/{campaign}/labels/distillation/{protocol}/{run}/cells/{index}.extxyz",
    log:
        "results/{campaign}/logs/labels/distillation/{protocol}/{run}/cell{index}.log",
    benchmark:
        "results/{campaign}/logs/labels/distillation/{protocol}/{run}/cell{index}.tsv"
    resources:
        **runs_on(reference_on_gpu),
        **labelling(need_of_cell, side_by_side=True),
    message:
        "{wildcards.campaign}: labelling cell {wildcards.index} of {wildcards.protocol} again"


use rule gather_labels as gather_snapshots with:
    # the labels of one run of a driver
    input:
        labels=every(rules.label_snapshots.output.labels, batch=batch_numbers),
        failures=every(rules.label_snapshots.output.failures, batch=batch_numbers),
        again=tried_again(rules.label_snapshot.output.labels),
    output:
        labels="results/{campaign}/labels/distillation/{protocol}/{run}.extxyz",
        failures="results/{campaign}/labels/distillation/{protocol}/{run}.failures.json",
    log:
        "results/{campaign}/logs/labels/distillation/{protocol}/{run}.log",
    params:
        labels=setting(
            "labels",
            exclude=LABEL_EFFORT | {"batches_per_structure", "max_force_sum_ev_per_angstrom"},
        ),
        again=untracked(command_for_one(rules.label_snapshot.output.labels)),
        fraction=untracked(setting("labels/min_label_fraction")),
        what=lambda wildcards: f"run {wildcards.run} of distillation.{wildcards.protocol}",
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: gathering the labels of run {wildcards.run} of {wildcards.protocol}"


def labelled_snapshots(name, data, run):
    """The labelled snapshots of a run: of the dynamics, or of the reference after a driver."""
    driver = campaign(name).distillation[data].driver
    made = rules.gather_snapshots if driver else rules.distil
    files = made.output.labels if driver else made.output.snapshots
    return files.format(campaign=name, protocol=data, run=run)


def runs_of_teacher(pattern, searches):
    """A function for input: the files of ``pattern``, one for each run.

    ``searches`` selects random structure searches, or else molecular dynamics.
    """
    return lambda wildcards: [
        pattern.format(campaign=wildcards.campaign, protocol=name, run=number)
        for name, runs in campaign(wildcards.campaign).distillation.items()
        if runs.searches == searches
        for number in range(runs.runs)
    ]


def uses_of_runs(wildcards):
    """Whether fits learn from the cells of a teacher or are tested on them, by name."""
    runs = campaign(wildcards.campaign).distillation
    return {name: one.use for name, one in runs.items()}


rule distillation_table:
    """Runs of the teacher and of drivers: how far they came, their snapshots and their cost."""
    input:
        runs_of_teacher(rules.distil.output.outcome, searches=False),
    output:
        reported("results/{campaign}/tables/distillation.csv", "distillation", "distillation"),
    log:
        "results/{campaign}/logs/tables/distillation.log",
    localrule: True
    params:
        uses=uses_of_runs,
        version=VERSIONS["distillation"],
    message:
        "{wildcards.campaign}: table of the runs"
    script:
        "../scripts/distillation_table.py"


rule searches_table:
    """Random structure searches of the teacher: a row for each crystal."""
    input:
        runs_of_teacher(rules.distil.output.outcome, searches=True),
    output:
        reported("results/{campaign}/tables/random_searches.csv", "distillation", "random_searches"),
    log:
        "results/{campaign}/logs/tables/random_searches.log",
    localrule: True
    params:
        uses=uses_of_runs,
        version=VERSIONS["distillation"],
    message:
        "{wildcards.campaign}: table of the teacher's random structure searches"
    script:
        "../scripts/searches_table.py"


def accepted_dataset(wildcards, part):
    """The training or test set of the accepted generation."""
    name = wildcards.campaign
    return f"results/{name}/datasets/gen{accepted(wildcards)}/{part}.extxyz"


def similarity_of_data(wildcards):
    """Settings of the SOAP similarity: those of `disorder`, where the campaign has it."""
    disorder = campaign(wildcards.campaign).disorder
    return disorder.analysis.similarity.model_dump(mode="json") if disorder else {}


rule data_map:
    """Map of what fits learn from and are tested on, by the SOAP kernel of the cells."""
    input:
        train=lambda wildcards: accepted_dataset(wildcards, "train"),
        test=lambda wildcards: accepted_dataset(wildcards, "test"),
    output:
        ensure(
            reported("results/{campaign}/tables/data_map.csv", "distillation", "data_map_table"),
            non_empty=True,
        ),
    log:
        "results/{campaign}/logs/tables/data_map.log",
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(3000),
        runtime=minutes(120),
    params:
        similarity=similarity_of_data,
        seed=setting("seed"),
        version=versions("descriptions", "datasets"),
    message:
        "{wildcards.campaign}: map of the data"
    script:
        "../scripts/data_map.py"


rule draw_data_map:
    """Draw the map of what fits learn from and are tested on."""
    input:
        rules.data_map.output[0],
    output:
        reported("results/{campaign}/figures/data_map.{format}", "distillation", "data_map"),
    log:
        "results/{campaign}/logs/figures/data_map.{format}.log",
    localrule: True
    params:
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing the map of the data"
    script:
        "../scripts/draw_data_map.py"


def is_taught(name):
    """Whether fits are trained in a campaign whose teacher generates data."""
    return bool(campaign(name).distillation and campaign(name).trained)


def tables_of_distillation(name):
    """Runs of molecular dynamics and random searches, and the map of the data of trained fits."""
    searches = {runs.searches for runs in campaign(name).distillation.values()}
    return {
        **({"distillation.csv": "Runs of molecular dynamics"} if False in searches else {}),
        **({"random_searches.csv": None} if True in searches else {}),
        **({"data_map.csv": None} if is_taught(name) else {}),
    }


STAGES["distillation"] = Part(
    tables=tables_of_distillation,
    figures=lambda name: (
        {"data_map": "Map of the data: components of the SOAP kernel"} if is_taught(name) else {}
    ),
    warnings=lambda name: [
        [f"{data}, run {number}", f"results/{name}/distillation/{data}/{number}.json"]
        for data, runs in campaign(name).distillation.items()
        for number in range(runs.runs)
    ],
)
