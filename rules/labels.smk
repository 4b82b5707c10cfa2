"""Energies, forces and stresses by the reference method."""


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
    conda:
        ENVIRONMENT
    threads: label_threads(label_batches)
    resources:
        **runs_on(reference_on_gpu),
        mem_mb=label_memory(side_by_side=True),
        runtime=label_runtime,
        attempt=attempt,
    params:
        reference=untracked(setting("reference")),
        method=reference_physics,
        labels=setting(
            "labels", exclude=LABEL_EFFORT | {"max_energy_spread_ev_per_atom"}
        ),
        structure=setting("structures/{structure}", exclude=NOT_OF_CELLS),
        sources=SOURCES,
        runtime=untracked(setting("labels/runtime_minutes")),
        work=untracked(work_folder),
        store=untracked(label_store),
        readers=readers_if_recorded,
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: labelling {wildcards.structure}, batch {wildcards.batch}"
    script:
        "../scripts/label_batch.py"


use rule label_batch as label_cell with:
    # a failed cell once more, alone, when its user asks for it: `snakemake failures` says how
    output:
        labels="results/{campaign}/labels/gen{generation}/cells/{structure}/{index}.extxyz",
    log:
        "results/{campaign}/logs/labels/gen{generation}/{structure}/cell{index}.log",
    benchmark:
        "results/{campaign}/logs/labels/gen{generation}/{structure}/cell{index}.tsv"
    message:
        "{wildcards.campaign}: labelling cell {wildcards.index} of {wildcards.structure} again"


rule label_isolated_atoms:
    """Isolated atoms of every element, where the reference method offers them."""
    input:
        crystals=lambda wildcards: expand(
            "results/{campaign}/structures/{structure}.extxyz",
            campaign=wildcards.campaign,
            structure=with_isolated_atoms(campaign(wildcards.campaign)),
        ),
        model=reference_model,
    output:
        "results/{campaign}/labels/isolated_atoms.extxyz",
    log:
        "results/{campaign}/logs/labels/isolated_atoms.log",
    benchmark:
        "results/{campaign}/logs/labels/isolated_atoms.tsv"
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: of_one_run(otherwise=1)
    resources:
        **runs_on(reference_on_gpu),
        mem_mb=label_memory(side_by_side=False),
        runtime=label_runtime,
        attempt=attempt,
    params:
        reference=untracked(setting("reference")),
        method=reference_physics,
        box=isolated_atom_box,
        work=untracked(work_folder),
        store=untracked(label_store),
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: labelling isolated atoms"
    script:
        "../scripts/label_isolated_atoms.py"


rule fetch_database:
    """Bring the files of an existing data set here: where Snakemake runs, which has a network."""
    input:
        own_files,
    output:
        "results/{campaign}/sources/databases/{database}.json",
    log:
        "results/{campaign}/logs/sources/databases/{database}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        database=untracked(setting("datasets/databases/{database}")),
        recorded=setting("datasets/databases/{database}", exclude={"source": {"url"}}),
        sources=SOURCES,
    message:
        "{wildcards.campaign}: fetching database {wildcards.database}"
    script:
        "../scripts/fetch_recorded.py"


rule read_database:
    """The cells of an existing data set that gets new labels: what these cost goes by them."""
    input:
        "results/{campaign}/sources/databases/{database}.json",
    output:
        "results/{campaign}/labels/databases/{database}/cells.extxyz",
    log:
        "results/{campaign}/logs/labels/databases/{database}/read.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        database=untracked(setting("datasets/databases/{database}")),
        recorded=setting("datasets/databases/{database}", exclude={"source": {"url"}}),
        sources=SOURCES,
        version=versions("labels", "structures", "readers"),
    message:
        "{wildcards.campaign}: reading database {wildcards.database}"
    script:
        "../scripts/read_database.py"


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
    conda:
        ENVIRONMENT
    threads: label_threads(database_batches)
    resources:
        **runs_on(reference_on_gpu),
        mem_mb=label_memory(side_by_side=True),
        runtime=label_runtime,
        attempt=attempt,
    params:
        database=untracked(setting("datasets/databases/{database}")),
        recorded=setting("datasets/databases/{database}", exclude={"source": {"url"}}),
        reference=untracked(setting("reference")),
        method=reference_physics,
        labels=setting(
            "labels", exclude=LABEL_EFFORT | {"max_energy_spread_ev_per_atom"}
        ),
        runtime=untracked(setting("labels/runtime_minutes")),
        work=untracked(work_folder),
        sources=SOURCES,
        store=untracked(label_store),
        version=versions("labels", "structures", "readers"),
    message:
        "{wildcards.campaign}: labelling database {wildcards.database}, batch {wildcards.batch}"
    script:
        "../scripts/label_database_batch.py"


rule label_database:
    """An existing data set, with its own labels or with those of its batches."""
    input:
        recorded="results/{campaign}/sources/databases/{database}.json",
        labels=batches_of_database("extxyz"),
        failures=batches_of_database("json"),
    output:
        train="results/{campaign}/labels/databases/{database}/train.extxyz",
        test="results/{campaign}/labels/databases/{database}/test.extxyz",
        failures="results/{campaign}/labels/databases/{database}/failures.json",
    log:
        "results/{campaign}/logs/labels/databases/{database}.log",
    benchmark:
        "results/{campaign}/logs/labels/databases/{database}.tsv"
    conda:
        ENVIRONMENT
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
    conda:
        ENVIRONMENT
    threads: of_one_run(otherwise=1)
    resources:
        **runs_on("cpu"),
        mem_mb=label_memory(side_by_side=False),
        runtime=label_runtime,
        attempt=attempt,
    params:
        reference=untracked(setting("reference")),
        method=reference_physics,
        work=untracked(work_folder),
        version=versions("labels", "structures"),
    message:
        "{wildcards.campaign}: Born charges of {wildcards.structure}"
    script:
        "../scripts/born_charges.py"


rule gather_labels:
    """The labels of one structure, and a record of what failed and why."""
    input:
        labels=batches("extxyz"),
        failures=batches("json"),
        again=cells_tried_again,
    output:
        labels="results/{campaign}/labels/gen{generation}/{structure}.extxyz",
        failures="results/{campaign}/labels/gen{generation}/{structure}.failures.json",
    log:
        "results/{campaign}/logs/labels/gen{generation}/{structure}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=setting(
            "labels",
            exclude=LABEL_EFFORT
            | {"batches_per_structure", "max_force_sum_ev_per_angstrom"},
        ),
        again=untracked(command_for_one_cell),
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: gathering the labels of {wildcards.structure}"
    script:
        "../scripts/gather_labels.py"


rule enough_labels:
    """Whether enough cells of a generation are labelled to go on without those that failed.

    Those who wait for it take it as ancient: a new count alone makes nothing stale.
    """
    input:
        labels=labels_of_generation("extxyz"),
        failures=labels_of_generation("failures.json"),
    output:
        "results/{campaign}/labels/gen{generation}.json",
    log:
        "results/{campaign}/logs/labels/gen{generation}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        fraction=setting("labels/min_label_fraction"),
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: counting the labels of generation {wildcards.generation}"
    script:
        "../scripts/enough_labels.py"


rule failures:
    """Print what failed in the campaigns of config.yaml so far: `snakemake failures`.

    Without inputs, since it labels nothing, and without outputs, so that it always runs.
    """
    log:
        "results/.logs/failures.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        failures=lambda wildcards: failures_so_far(),
    message:
        "labels that failed:"
    script:
        "../scripts/print_failures.py"


rule labels_table:
    """Labels and failures by structure and generation."""
    input:
        labels=lambda wildcards: expand(
            "results/{campaign}/labels/gen{generation}/{structure}.extxyz",
            campaign=wildcards.campaign,
            generation=range(accepted_generation(wildcards.campaign) + 1),
            structure=campaign(wildcards.campaign).structures,
        ),
        failures=lambda wildcards: expand(
            "results/{campaign}/labels/gen{generation}/{structure}.failures.json",
            campaign=wildcards.campaign,
            generation=range(accepted_generation(wildcards.campaign) + 1),
            structure=campaign(wildcards.campaign).structures,
        ),
        enough=ancient(
            lambda wildcards: expand(
                "results/{campaign}/labels/gen{generation}.json",
                campaign=wildcards.campaign,
                generation=range(accepted_generation(wildcards.campaign) + 1),
            )
        ),
    output:
        "results/{campaign}/tables/labels.csv",
    log:
        "results/{campaign}/logs/tables/labels.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        version=VERSIONS["labels"],
    script:
        "../scripts/labels_table.py"


rule recorded_levels:
    """Whether the recorded crystals are of one level of theory; fits must not learn from several."""
    input:
        recorded_facts,
    output:
        "results/{campaign}/labels/levels.json",
    log:
        "results/{campaign}/logs/labels/levels.log",
    localrule: True
    conda:
        ENVIRONMENT
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


RECORDS["labels"] = lambda name: (
    [
        *(
            [structure, f"results/{name}/labels/recorded/{structure}.json"]
            for structure in campaign(name).structures
        ),
        ["", f"results/{name}/labels/levels.json"],
    ]
    if campaign(name).recorded
    else []
)
