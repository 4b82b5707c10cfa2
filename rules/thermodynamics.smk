"""Equations of state and free energies of the crystals, by the reference method and by fits."""

OVERVIEW_KELVIN = 300


rule fetch_volumes:
    """Bring the recorded data of one crystal at its volumes here: where there is a network."""
    input:
        own_files,
    output:
        "results/{campaign}/sources/volumes/{structure}.json",
    log:
        "results/{campaign}/logs/sources/volumes/{structure}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        structure=setting("structures/{structure}", exclude={"role", "born", "masses"}),
        volumes=True,
        reference=untracked(setting("reference")),
        recorded=if_recorded(reference_physics),
        sources=SOURCES,
    message:
        "{wildcards.campaign}: fetching the recorded volumes of {wildcards.structure}"
    script:
        "../scripts/fetch_recorded.py"


rule thermodynamics:
    """One crystal by one method: energies and phonons at volumes around its minimum."""
    input:
        unpack(thermodynamics_files),
        crystal="results/{campaign}/relaxed/{structure}.extxyz",
        template="results/{campaign}/phonons/reference/reference/{structure}.yaml",
        accepted=ACCEPTED,
    output:
        # kept until the job ends: `again` is read from it
        update("results/{campaign}/thermodynamics/{method}/{structure}.json"),
    log:
        "results/{campaign}/logs/thermodynamics/{method}/{structure}.log",
    benchmark:
        "results/{campaign}/logs/thermodynamics/{method}/{structure}.tsv"
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: label_threads(thermodynamics_jobs)
    resources:
        **runs_on(method_on_gpu),
        mem_mb=label_memory(side_by_side=True, job=1000, process=2000),
        runtime=label_runtime,
        attempt=attempt,
    params:
        reference=untracked(setting("reference")),
        physics=thermodynamics_physics,
        thermodynamics=setting("thermodynamics", exclude={"structures"}),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=tries_again("results/{campaign}/thermodynamics/{method}/{structure}.json"),
        displaced=setting("supercells/displaced"),
        labels=setting(
            "labels",
            exclude=LABEL_EFFORT
            | {"batches_per_structure", "max_energy_spread_ev_per_atom"},
        ),
        tolerance=setting("benchmarks/imaginary_tolerance_thz"),
        work=untracked(work_folder),
        store=untracked(label_store),
        sources=untracked(lambda wildcards: SOURCES),
        version=versions(
            "thermodynamics",
            "structures",
            "supercells",
            "labels",
            "phonons",
            "benchmarks",
        ),
    message:
        "{wildcards.campaign}: thermodynamics of {wildcards.structure} with {wildcards.method}"
    script:
        "../scripts/thermodynamics.py"


rule thermodynamics_tables:
    """All methods and crystals: by temperature and pressure, and equations of state."""
    input:
        thermodynamics_of_all,
    output:
        thermodynamics="results/{campaign}/tables/thermodynamics.csv",
        overview="results/{campaign}/tables/thermodynamics_overview.csv",
        states="results/{campaign}/tables/equations_of_state.csv",
    log:
        "results/{campaign}/logs/tables/thermodynamics.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        temperature=OVERVIEW_KELVIN,
        version=versions(
            "thermodynamics",
            "structures",
            "supercells",
            "labels",
            "phonons",
            "benchmarks",
        ),
    message:
        "{wildcards.campaign}: tables of thermodynamics"
    script:
        "../scripts/thermodynamics_tables.py"


rule draw_thermodynamics:
    """Energy against volume, and volume and thermal expansion against temperature."""
    input:
        thermodynamics_of_all,
    output:
        "results/{campaign}/figures/{figure}.{format}",
    log:
        "results/{campaign}/logs/figures/{figure}.{format}.log",
    wildcard_constraints:
        figure="equations_of_state|thermal_expansion",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=fit_labels,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing {wildcards.figure} ({wildcards.format})"
    script:
        "../scripts/draw_thermodynamics.py"


RECORDS["thermodynamics"] = lambda name: [
    [
        f"{subject}, {structure}",
        f"results/{name}/thermodynamics/{method}/{structure}.json",
    ]
    for subject, method in methods_later(name, recorded=campaign(name).has_volumes)
    for structure in campaign(name).warmed
]
