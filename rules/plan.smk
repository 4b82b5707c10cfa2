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
