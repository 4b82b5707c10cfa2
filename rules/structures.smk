"""Crystals: read, checked, and relaxed with the reference method."""


rule fetch_crystal:
    """Fetch one crystal from its database, once; where Snakemake runs, which has a network.

    The file is kept and may be committed. It depends on nothing: delete it to fetch it again.
    """
    output:
        ensure("config/structures/fetched/{origin}/{entry}.extxyz", non_empty=True),
    log:
        "results/.logs/crystals/{origin}/{entry}.log",
    wildcard_constraints:
        origin=r"[^/]+",
        entry=r"[^/]+",
    localrule: True
    conda:
        ENVIRONMENT
    message:
        "fetching crystal {wildcards.entry} of {wildcards.origin}"
    script:
        "../scripts/fetch_crystal.py"


rule fetch_recorded:
    """Bring the files of one crystal in the recorded data set here, likewise."""
    input:
        own_files,
    output:
        "results/{campaign}/sources/{structure}.json",
    log:
        "results/{campaign}/logs/sources/{structure}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        structure=setting("structures/{structure}", exclude=NOT_OF_CELLS),
        reference=untracked(setting("reference")),
        recorded=if_recorded(reference_physics),
        sources=SOURCES,
    message:
        "{wildcards.campaign}: fetching the recorded data of {wildcards.structure}"
    script:
        "../scripts/fetch_recorded.py"


rule read_structure:
    """Read one crystal from its file, a database, or the recorded data set."""
    input:
        crystal=crystal_file,
        recorded=recorded_files,
    output:
        ensure("results/{campaign}/structures/{structure}.extxyz", non_empty=True),
    log:
        "results/{campaign}/logs/structures/{structure}.read.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        structure=setting("structures/{structure}", exclude=NOT_OF_CELLS),
        reference=untracked(setting("reference")),
        recorded=if_recorded(reference_physics),
        sources=SOURCES,
        readers=readers_if_recorded,
        version=versions("structures", "labels"),
    message:
        "{wildcards.campaign}: reading crystal {wildcards.structure}"
    script:
        "../scripts/read_structure.py"


rule relax_structure:
    """Relax one crystal with the reference method, and judge what became of it."""
    input:
        "results/{campaign}/structures/{structure}.extxyz",
        model=reference_model,
    output:
        crystal=ensure("results/{campaign}/relaxed/{structure}.extxyz", non_empty=True),
        # kept until the job ends: `again` is read from it
        verdict=update("results/{campaign}/relaxed/{structure}.json"),
    log:
        "results/{campaign}/logs/relaxed/{structure}.log",
    benchmark:
        "results/{campaign}/logs/relaxed/{structure}.tsv"
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
        method=if_relaxed(reference_physics),
        work=untracked(work_folder),
        store=untracked(label_store),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=relaxations_again,
        relax=is_relaxed,
        fixed_volume=is_scaled,
        version=versions("structures", "labels"),
    message:
        "{wildcards.campaign}: relaxing {wildcards.structure} with the reference method"
    script:
        "../scripts/relax_structure.py"


rule accept_crystal:
    """The gate: whether the campaign goes on with a crystal as it was relaxed, or stops.

    All rules that use a relaxed crystal wait for it. Another policy reruns it only where the
    crystal is left out under one policy and used under the other.
    """
    input:
        "results/{campaign}/relaxed/{structure}.json",
    output:
        ACCEPTED,
    log:
        "results/{campaign}/logs/accepted/{structure}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        on_change=untracked(setting("relaxation/on_change")),
        left_out=crystal_left_out,
        version=VERSIONS["structures"],
    message:
        "{wildcards.campaign}: judging crystal {wildcards.structure} as it was relaxed"
    script:
        "../scripts/accept_crystal.py"


rule check_crystals:
    """Whether the campaign has to stop at a crystal: the gate again, for crystals in use already."""
    input:
        verdicts=lambda wildcards: expand(
            "results/{campaign}/relaxed/{structure}.json",
            campaign=wildcards.campaign,
            structure=campaign(wildcards.campaign).structures,
        ),
    output:
        "results/{campaign}/accepted.json",
    log:
        "results/{campaign}/logs/accepted.log",
    priority: 1  # before anything that uses them
    localrule: True
    conda:
        ENVIRONMENT
    params:
        refused=crystals_refused,
        version=VERSIONS["structures"],
    message:
        "{wildcards.campaign}: checking the crystals"
    script:
        "../scripts/check_crystals.py"


RECORDS["structures"] = lambda name: [
    [structure, f"results/{name}/relaxed/{structure}.json"]
    for structure in campaign(name).structures
]


rule structures_table:
    """Space groups before and after relaxation, volumes, and what was reported."""
    input:
        verdicts=lambda wildcards: expand(
            "results/{campaign}/relaxed/{structure}.json",
            campaign=wildcards.campaign,
            structure=campaign(wildcards.campaign).structures,
        ),
        accepted=lambda wildcards: expand(
            ACCEPTED,
            campaign=wildcards.campaign,
            structure=campaign(wildcards.campaign).structures,
        ),
        checked="results/{campaign}/accepted.json",
    output:
        "results/{campaign}/tables/structures.csv",
    log:
        "results/{campaign}/logs/tables/structures.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        structures=lambda wildcards: list(campaign(wildcards.campaign).structures),
        version=VERSIONS["structures"],
    script:
        "../scripts/structures_table.py"
