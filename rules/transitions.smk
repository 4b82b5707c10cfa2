"""Phase transitions with temperature and pressure, by the reference method and by fits."""


rule enthalpies:
    """One crystal relaxed at the pressures of a transition, and at volumes, by one method.

    It starts from the crystal as it was read: what is lost without pressure may exist under it.
    """
    input:
        unpack(method_files),
        crystal="results/{campaign}/structures/{structure}.extxyz",
    output:
        # kept until the job ends: `again` is read from it
        update("results/{campaign}/transitions/{method}/{transition}/{structure}.json"),
    log:
        "results/{campaign}/logs/transitions/{method}/{transition}/{structure}.log",
    benchmark:
        "results/{campaign}/logs/transitions/{method}/{transition}/{structure}.tsv"
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: of_one_run(otherwise=1)
    resources:
        **runs_on(method_on_gpu),
        mem_mb=label_memory(side_by_side=False, job=1000, process=2000),
        runtime=label_runtime,
        attempt=attempt,
    params:
        reference=untracked(setting("reference")),
        physics=method_physics,
        pressing=pressing_of,
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=tries_again(
            "results/{campaign}/transitions/{method}/{transition}/{structure}.json"
        ),
        work=untracked(work_folder),
        store=untracked(label_store),
        version=versions(
            "transitions", "structures", "labels", "benchmarks", "thermodynamics"
        ),
    message:
        "{wildcards.campaign}: {wildcards.structure} under pressure with {wildcards.method}"
    script:
        "../scripts/enthalpies.py"


rule transition:
    """Where the crystals of one transition take over from each other, by one method."""
    input:
        enthalpies=enthalpies_of_transition,
        thermodynamics=thermodynamics_of_transition,
        spectra=spectra_of_transition,
    output:
        "results/{campaign}/transitions/{method}/{transition}.json",
    log:
        "results/{campaign}/logs/transitions/{method}/{transition}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        transition=setting(
            "transitions/{transition}", exclude={"published", "all_generations"}
        ),
        refuse_imaginary=lambda wildcards: (
            not is_pressed(wildcards)
            and look_up(wildcards, "thermodynamics/imaginary") != "report"
        ),
        tolerance_thz=setting("benchmarks/imaginary_tolerance_thz"),
        version=versions(
            "transitions",
            "structures",
            "supercells",
            "labels",
            "phonons",
            "benchmarks",
            "thermodynamics",
        ),
    message:
        "{wildcards.campaign}: transition {wildcards.transition} with {wildcards.method}"
    script:
        "../scripts/transition.py"


rule transitions_tables:
    """All transitions by all methods: every crossing, and an overview beside published values."""
    input:
        transition_results,
    output:
        transitions="results/{campaign}/tables/transitions.csv",
        overview="results/{campaign}/tables/transitions_overview.csv",
    log:
        "results/{campaign}/logs/tables/transitions.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        groups=lambda wildcards: campaign(wildcards.campaign).groups,
        labels=fit_labels,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        published=lambda wildcards: {
            name: published_transitions(one)
            for name, one in campaign(wildcards.campaign).transitions.items()
        },
        version=versions(
            "transitions", "structures", "labels", "benchmarks", "thermodynamics"
        ),
    message:
        "{wildcards.campaign}: tables of the phase transitions"
    script:
        "../scripts/transitions_tables.py"


rule draw_transition:
    """Free energies or enthalpies of the crystals of one transition, reference and fits."""
    input:
        lambda wildcards: expand(
            "results/{campaign}/transitions/{method}/{transition}.json",
            campaign=wildcards.campaign,
            transition=wildcards.transition,
            method=without_repeats(wildcards.campaign, wildcards.transition),
        ),
    output:
        "results/{campaign}/figures/transitions/{transition}.{format}",
    log:
        "results/{campaign}/logs/figures/transitions/{transition}.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=fit_labels,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        published=lambda wildcards: published_transitions(transition_of(wildcards)),
        structures=setting("transitions/{transition}/structures"),
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing transition {wildcards.transition} ({wildcards.format})"
    script:
        "../scripts/draw_transition.py"


rule draw_transition_generations:
    """A transition against the generation of the fits."""
    input:
        "results/{campaign}/tables/transitions.csv",
    output:
        "results/{campaign}/figures/transitions/generations/{transition}.{format}",
    log:
        "results/{campaign}/logs/figures/transitions/generations/{transition}.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=fit_labels,
        groups=lambda wildcards: campaign(wildcards.campaign).groups,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        structures=lambda wildcards: transition_of(wildcards).structures[:2],
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing transition {wildcards.transition} against generations "
        "({wildcards.format})"
    script:
        "../scripts/draw_transition_generations.py"


RECORDS["transitions"] = lambda name: [
    [
        f"{subject}, {transition}",
        f"results/{name}/transitions/{method}/{transition}.json",
    ]
    for transition in campaign(name).transitions
    for subject, method in methods_later(
        name, recorded=recorded_suffices(name, transition)
    )
]
