"""Energies, forces and stresses by the reference method."""

from glob import glob


def label_batches(wildcards):
    """How many jobs label the supercells of a campaign."""
    settings = campaign(wildcards.campaign)
    return len(settings.structures) * settings.labels.batches_per_structure


rule label_batch:
    """Label one batch of supercells: cell i belongs to batch i modulo the number of batches.

    Every label goes into the label store as soon as it is there, so that a killed job loses only
    the cell in progress. Where a code ran out of memory or time, the next try has more.
    """
    input:
        "results/{campaign}/supercells/gen{generation}/{structure}.extxyz",
        recorded=recorded_files,
        model=reference_model,
    output:
        labels="results/{campaign}/labels/gen{generation}/batches/{structure}/{batch}.extxyz",
        failures="results/{campaign}/labels/gen{generation}/batches/{structure}/{batch}.json",
    log:
        "results/{campaign}/logs/labels/gen{generation}/{structure}/{batch}.log",
    benchmark:
        "results/{campaign}/logs/labels/gen{generation}/{structure}/{batch}.tsv"
    retries: RETRIES
    threads: label_threads(label_batches)
    resources:
        **runs_on(reference_on_gpu),
        **labelling(need_of_batches, side_by_side=True),
    params:
        **OF_BATCH,
        method=reference_physics,
        structure=setting("structures/{structure}", exclude=NOT_OF_CELLS),
        sources=SOURCES,
        readers=readers_if_recorded,
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: labelling {wildcards.structure}, batch {wildcards.batch}"
    script:
        "../scripts/label_batch.py"


def need_of_cell(needs, settings, cells, structure, **names):
    """One of the cells, alone."""
    alone = {"batches": len(cells), "side_by_side": settings.labels.side_by_side}
    return needs.need_of_labels(cells, settings.reference, structure, **alone)


use rule label_batch as label_cell with:
    # retry a single failed cell on request: `snakemake failures` prints the command
    output:
        labels="results/{campaign}/labels/gen{generation}/cells/{structure}/{index}.extxyz",
    log:
        "results/{campaign}/logs/labels/gen{generation}/{structure}/cell{index}.log",
    benchmark:
        "results/{campaign}/logs/labels/gen{generation}/{structure}/cell{index}.tsv"
    resources:
        **runs_on(reference_on_gpu),
        **labelling(need_of_cell, side_by_side=True),
    message:
        "{wildcards.campaign}: labelling cell {wildcards.index} of {wildcards.structure} again"


def with_isolated_atoms(wildcards):
    """The structures whose elements have isolated atoms: those used for training.

    All of them beside data sets, whose elements are not known here.
    """
    settings = campaign(wildcards.campaign)
    alone = settings.learnt and not settings.datasets.databases
    return settings.learnt if alone else list(settings.structures)


def need_of_atoms(needs, settings, cells, **names):
    """Isolated atoms of all elements."""
    elements = {symbol for cell in cells for symbol in cell.symbols}
    return needs.need_of_atoms(elements, settings.reference)


rule label_isolated_atoms:
    """Isolated atoms of every element, where the reference method offers them."""
    input:
        crystals=every(
            "results/{campaign}/structures/{structure}.extxyz",
            structure=with_isolated_atoms,
        ),
        model=reference_model,
    output:
        "results/{campaign}/labels/isolated_atoms.extxyz",
    log:
        "results/{campaign}/logs/labels/isolated_atoms.log",
    benchmark:
        "results/{campaign}/logs/labels/isolated_atoms.tsv"
    retries: RETRIES
    threads: of_one_run(otherwise=1)
    resources:
        **runs_on(reference_on_gpu),
        **labelling(need_of_atoms),
    params:
        **OF_REFERENCE,
        method=reference_physics,
        box=setting("reference/box_of_isolated_atoms"),
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: labelling isolated atoms"
    script:
        "../scripts/label_isolated_atoms.py"


rule fetch_database:
    """Fetch the files of an existing data set where Snakemake runs, which has a network."""
    input:
        own_files,
    output:
        "results/{campaign}/sources/databases/{database}.json",
    log:
        "results/{campaign}/logs/sources/databases/{database}.log",
    localrule: True
    params:
        database=untracked(setting("datasets/databases/{database}")),
        recorded=setting("datasets/databases/{database}", exclude={"source": {"url"}}),
        sources=SOURCES,
    message:
        "{wildcards.campaign}: fetching database {wildcards.database}"
    script:
        "../scripts/fetch_recorded.py"


rule read_database:
    """The cells of a data set to relabel; they determine the cost of the new labels."""
    input:
        "results/{campaign}/sources/databases/{database}.json",
    output:
        "results/{campaign}/labels/databases/{database}/cells.extxyz",
    log:
        "results/{campaign}/logs/labels/databases/{database}/read.log",
    localrule: True
    params:
        database=untracked(setting("datasets/databases/{database}")),
        recorded=setting("datasets/databases/{database}", exclude={"source": {"url"}}),
        sources=SOURCES,
        version=versions("labels", "structures", "readers"),
    message:
        "{wildcards.campaign}: reading database {wildcards.database}"
    script:
        "../scripts/read_database.py"


def database_batches(wildcards):
    """Number of jobs that relabel the cells of existing data sets."""
    settings = campaign(wildcards.campaign)
    relabelled = sum(one.relabel for one in settings.datasets.databases.values())
    return relabelled * settings.labels.batches_per_structure


rule label_database_batch:
    """Label one batch of its cells: cell i belongs to batch i modulo the number of batches."""
    input:
        "results/{campaign}/labels/databases/{database}/cells.extxyz",
        recorded="results/{campaign}/sources/databases/{database}.json",
        model=reference_model,
    output:
        labels="results/{campaign}/labels/databases/{database}/batches/{batch}.extxyz",
        failures="results/{campaign}/labels/databases/{database}/batches/{batch}.json",
    log:
        "results/{campaign}/logs/labels/databases/{database}/{batch}.log",
    benchmark:
        "results/{campaign}/logs/labels/databases/{database}/{batch}.tsv"
    retries: RETRIES
    threads: label_threads(database_batches)
    resources:
        **runs_on(reference_on_gpu),
        **labelling(need_of_batches, side_by_side=True),
    params:
        **OF_BATCH,
        database=untracked(setting("datasets/databases/{database}")),
        recorded=setting("datasets/databases/{database}", exclude={"source": {"url"}}),
        method=reference_physics,
        sources=SOURCES,
        version=versions("labels", "structures", "readers"),
    message:
        "{wildcards.campaign}: labelling database {wildcards.database}, batch {wildcards.batch}"
    script:
        "../scripts/label_database_batch.py"


def batches_of_database(wildcards):
    """The batches of an existing data set with new labels; none if it keeps its labels."""
    relabel = look_up(wildcards, "datasets/databases/{database}").relabel
    return batch_numbers(wildcards) if relabel else []


rule label_database:
    """Gather an existing data set, with its labels or with new labels of its batches."""
    input:
        recorded="results/{campaign}/sources/databases/{database}.json",
        labels=every(rules.label_database_batch.output.labels, batch=batches_of_database),
        failures=every(rules.label_database_batch.output.failures, batch=batches_of_database),
    output:
        train="results/{campaign}/labels/databases/{database}/train.extxyz",
        test="results/{campaign}/labels/databases/{database}/test.extxyz",
        failures="results/{campaign}/labels/databases/{database}/failures.json",
    log:
        "results/{campaign}/logs/labels/databases/{database}.log",
    benchmark:
        "results/{campaign}/logs/labels/databases/{database}.tsv"
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(4000),
        runtime=minutes(120),
    params:
        database=untracked(setting("datasets/databases/{database}")),
        recorded=setting("datasets/databases/{database}", exclude={"source": {"url"}}),
        sources=SOURCES,
        fraction=untracked(setting("labels/min_label_fraction")),
        version=versions("labels", "structures", "readers"),
    message:
        "{wildcards.campaign}: gathering the labels of database {wildcards.database}"
    script:
        "../scripts/label_database.py"


rule born_charges:
    """Born charges and dielectric tensor of one crystal, as phonopy's BORN file."""
    input:
        "results/{campaign}/relaxed/{structure}.extxyz",
        accepted=ACCEPTED,
    output:
        "results/{campaign}/labels/born/{structure}.BORN",
    log:
        "results/{campaign}/logs/labels/born/{structure}.log",
    benchmark:
        "results/{campaign}/logs/labels/born/{structure}.tsv"
    retries: RETRIES
    threads: of_one_run(otherwise=1)
    resources:
        **runs_on("cpu"),
        **labelling(need_of_crystal),
    params:
        reference=untracked(setting("reference")),
        method=reference_physics,
        work=untracked(work_folder),
        version=versions("labels", "structures"),
    message:
        "{wildcards.campaign}: Born charges of {wildcards.structure}"
    script:
        "../scripts/born_charges.py"


def tried_again(label):
    """A function for input: existing labels of failed cells that were retried individually.

    ``label`` is the file of one cell, which has the wildcards of its batch and ``index``.
    """
    return lambda wildcards: sorted(glob(label.format(index="*", **wildcards)))


def command_for_one(label):
    """A function: the command to label a failed cell again, with a placeholder for its index."""

    def of(wildcards):
        (cell,) = expand(label, allow_missing=True, **wildcards)
        return f"snakemake --profile profiles/local --force {cell}"

    return of


rule gather_labels:
    """Gather the labels of a structure, and a record of failures with reasons."""
    input:
        labels=every(rules.label_batch.output.labels, batch=batch_numbers),
        failures=every(rules.label_batch.output.failures, batch=batch_numbers),
        again=tried_again(rules.label_cell.output.labels),
    output:
        labels="results/{campaign}/labels/gen{generation}/{structure}.extxyz",
        failures="results/{campaign}/labels/gen{generation}/{structure}.failures.json",
    log:
        "results/{campaign}/logs/labels/gen{generation}/{structure}.log",
    localrule: True
    params:
        labels=setting(
            "labels",
            exclude=LABEL_EFFORT | {"batches_per_structure", "max_force_sum_ev_per_angstrom"},
        ),
        again=untracked(command_for_one(rules.label_cell.output.labels)),
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: gathering the labels of {wildcards.structure}"
    script:
        "../scripts/gather_labels.py"


rule enough_labels:
    """Check that enough cells of a generation are labelled to continue without the failed cells.

    Those who wait for it take it as ancient: a new count alone makes nothing stale.
    """
    input:
        labels=every(rules.gather_labels.output.labels, structure="structures"),
        failures=every(rules.gather_labels.output.failures, structure="structures"),
    output:
        "results/{campaign}/labels/gen{generation}.json",
    log:
        "results/{campaign}/logs/labels/gen{generation}.log",
    localrule: True
    params:
        fraction=setting("labels/min_label_fraction"),
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: counting the labels of generation {wildcards.generation}"
    script:
        "../scripts/enough_labels.py"


def failures_so_far():
    """The records of failures of each campaign that config.yaml names."""
    patterns = [
        rules.gather_labels.output.failures,
        rules.label_database.output.failures,
        rules.label_third_order.output.failures,
        rules.gather_snapshots.output.failures,
    ]
    names = ("generation", "structure", "database", "batch", "protocol", "run")
    anything = {**dict.fromkeys(names, "*"), "method": "**"}
    return {
        name: [
            path
            for pattern in patterns
            for path in sorted(glob(pattern.format(campaign=name, **anything), recursive=True))
        ]
        for name in config["campaigns"]
    }


rule failures:
    """Print the failures so far in the campaigns of config.yaml: `snakemake failures`.

    Without inputs, since it labels nothing, and without outputs, so that it always runs.
    """
    log:
        "results/.logs/failures.log",
    localrule: True
    params:
        failures=lambda wildcards: failures_so_far(),
    message:
        "failed labels:"
    script:
        "../scripts/print_failures.py"


COMMANDS.append("failures")


def labels_of_drivers(kind):
    """A function for input: ``labels`` or ``failures`` of the snapshots of drivers."""
    return lambda wildcards: [
        getattr(rules.gather_snapshots.output, kind).format(
            campaign=wildcards.campaign, protocol=name, run=number
        )
        for name, number in campaign(wildcards.campaign).driven
    ]


rule labels_table:
    """Labels and failures by structure and generation."""
    input:
        labels=every(
            rules.gather_labels.output.labels,
            generation=up_to_accepted,
            structure="structures",
        ),
        failures=every(
            rules.gather_labels.output.failures,
            generation=up_to_accepted,
            structure="structures",
        ),
        driven_labels=labels_of_drivers("labels"),
        driven_failures=labels_of_drivers("failures"),
        enough=ancient(every(rules.enough_labels.output[0], generation=up_to_accepted)),
    output:
        reported("results/{campaign}/tables/labels.csv", "labels", "labels"),
    log:
        "results/{campaign}/logs/tables/labels.log",
    localrule: True
    params:
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: table of labels"
    script:
        "../scripts/labels_table.py"


def taught_structures(wildcards):
    """The crystals whose labels are used for training."""
    settings = campaign(wildcards.campaign)
    return sorted(settings.learnt) if settings.trained else []


def mixed_levels_allowed(wildcards):
    """Whether several levels of theory may be mixed in training."""
    settings = campaign(wildcards.campaign)
    of_runs = settings.recorded and settings.recorded.allow_mixed_levels_of_theory
    return settings.datasets.allow_mixed_levels_of_theory or bool(of_runs)


rule recorded_levels:
    """Check that the recorded crystals have a single level of theory, as training requires."""
    input:
        every(
            "results/{campaign}/labels/recorded/{structure}.json",
            structure="structures",
        ),
    output:
        "results/{campaign}/labels/levels.json",
    log:
        "results/{campaign}/logs/labels/levels.log",
    localrule: True
    params:
        # beside the inputs, since all of them count as one set for Snakemake
        structures=lambda wildcards: list(campaign(wildcards.campaign).structures),
        learnt=taught_structures,
        allow_mixed=mixed_levels_allowed,
        version=versions("labels", "readers"),
    message:
        "{wildcards.campaign}: comparing the levels of theory of the recorded crystals"
    script:
        "../scripts/recorded_levels.py"


def recorded_warnings(name):
    """Warnings on refused recorded data and on different levels of theory."""
    if not campaign(name).recorded:
        return []
    folder = f"results/{name}/labels"
    found = [
        [structure, f"{folder}/recorded/{structure}.json"]
        for structure in campaign(name).structures
    ]
    return [*found, ["", f"{folder}/levels.json"]]


STAGES["labels"] = Part(
    tables=lambda name: {"labels.csv": None},
    warnings=recorded_warnings,
)
