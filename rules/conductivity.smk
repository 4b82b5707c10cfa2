"""Lattice thermal conductivity with the reference method and with every fit."""


wildcard_constraints:
    mesh=r"\d+",


rule third_order_cells:
    """The displaced cells of one crystal that third-order force constants follow from.

    The crystal is that of the harmonic phonons: as the reference or the fit relaxed it. Recorded
    data bring their own cells, with forces.
    """
    input:
        unpack(method_phonons),
        template="results/{campaign}/phonons/reference/reference/{structure}.yaml",
        recorded=recorded_of_method,
        accepted=ACCEPTED,
    output:
        displacements="results/{campaign}/conductivity/{method}/{structure}/displacements.yaml",
        cells="results/{campaign}/conductivity/{method}/{structure}/cells.extxyz",
        record="results/{campaign}/conductivity/{method}/{structure}/cells.json",
    log:
        "results/{campaign}/logs/conductivity/{method}/{structure}/cells.log",
    benchmark:
        "results/{campaign}/logs/conductivity/{method}/{structure}/cells.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(3000),
        runtime=minutes(120),
    params:
        third_order=setting("conductivity/third_order"),
        mesh_of=cell_of_third_order,
        # for what is refused beforehand
        effort=untracked(setting("conductivity", exclude={"published", "third_order"})),
        seed=setting("seed"),
        reference=untracked(setting("reference")),
        recorded=record_of_method,
        sources=SOURCES,
        readers=readers_if_recorded,
        version=versions(
            "conductivity", "structures", "supercells", "labels", "phonons"
        ),
    message:
        "{wildcards.campaign}: third-order cells of {wildcards.structure} with {wildcards.method}"
    script:
        "../scripts/third_order_cells.py"


rule label_third_order:
    """Forces on one batch of these cells: cell i belongs to batch i modulo the number of batches."""
    input:
        "results/{campaign}/conductivity/{method}/{structure}/cells.extxyz",
        unpack(method_files),
    output:
        labels="results/{campaign}/conductivity/{method}/{structure}/batches/{batch}.extxyz",
        failures="results/{campaign}/conductivity/{method}/{structure}/batches/{batch}.json",
    log:
        "results/{campaign}/logs/conductivity/{method}/{structure}/{batch}.log",
    benchmark:
        "results/{campaign}/logs/conductivity/{method}/{structure}/{batch}.tsv"
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: label_threads(conductivity_jobs)
    resources:
        **runs_on(method_on_gpu),
        mem_mb=label_memory(side_by_side=True),
        runtime=label_runtime,
        attempt=attempt,
    params:
        reference=untracked(setting("reference")),
        method=method_physics,
        labels=setting(
            "labels", exclude=LABEL_EFFORT | {"max_energy_spread_ev_per_atom"}
        ),
        runtime=untracked(setting("labels/runtime_minutes")),
        work=untracked(work_folder),
        store=untracked(label_store),
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: third-order forces of {wildcards.structure} with "
        "{wildcards.method}, batch {wildcards.batch}"
    script:
        "../scripts/label_third_order.py"


rule third_order_constants:
    """Third-order force constants from the forces, in phono3py's own files."""
    input:
        unpack(method_phonons),
        displacements="results/{campaign}/conductivity/{method}/{structure}/displacements.yaml",
        record="results/{campaign}/conductivity/{method}/{structure}/cells.json",
        labels=third_order_batches("extxyz"),
        failures=third_order_batches("json"),
    output:
        yaml="results/{campaign}/conductivity/{method}/{structure}/phono3py.yaml",
        fc3="results/{campaign}/conductivity/{method}/{structure}/fc3.hdf5",
        fc2="results/{campaign}/conductivity/{method}/{structure}/fc2.hdf5",
        record="results/{campaign}/conductivity/{method}/{structure}/third_order.json",
    log:
        "results/{campaign}/logs/conductivity/{method}/{structure}/third_order.log",
    benchmark:
        "results/{campaign}/logs/conductivity/{method}/{structure}/third_order.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(conductivity_effort("memory_mb")),
        runtime=minutes(conductivity_effort("runtime_minutes")),
    params:
        third_order=setting("conductivity/third_order"),
        version=versions("conductivity", "structures", "supercells", "phonons"),
    message:
        "{wildcards.campaign}: third-order force constants of {wildcards.structure} with "
        "{wildcards.method}"
    script:
        "../scripts/third_order_constants.py"


rule conductivity:
    """Conductivity on one mesh: number 0 is that of the results, others are for convergence."""
    input:
        yaml="results/{campaign}/conductivity/{method}/{structure}/phono3py.yaml",
        fc3="results/{campaign}/conductivity/{method}/{structure}/fc3.hdf5",
        fc2="results/{campaign}/conductivity/{method}/{structure}/fc2.hdf5",
        record="results/{campaign}/conductivity/{method}/{structure}/third_order.json",
        template="results/{campaign}/phonons/reference/reference/{structure}.yaml",
    output:
        result="results/{campaign}/conductivity/{method}/{structure}/kappa{mesh}.json",
        modes="results/{campaign}/conductivity/{method}/{structure}/kappa{mesh}.npz",
    log:
        "results/{campaign}/logs/conductivity/{method}/{structure}/kappa{mesh}.log",
    benchmark:
        "results/{campaign}/logs/conductivity/{method}/{structure}/kappa{mesh}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(conductivity_jobs)
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(conductivity_effort("memory_mb")),
        runtime=minutes(conductivity_effort("runtime_minutes")),
    params:
        conductivity=setting(
            "conductivity",
            exclude=CONDUCTIVITY_EFFORT | CONDUCTIVITY_TABLES | {"third_order"},
        ),
        converging=mesh_of_convergence,
        imaginary_tolerance=setting("benchmarks/imaginary_tolerance_thz"),
        version=versions("conductivity", "structures", "supercells", "phonons"),
    message:
        "{wildcards.campaign}: thermal conductivity of {wildcards.structure} with "
        "{wildcards.method}, mesh {wildcards.mesh}"
    script:
        "../scripts/conductivity.py"


rule conductivity_tables:
    """Conductivities, their errors, their convergence, and what they cost in labels."""
    input:
        results=conductivities_so_far("kappa0.json"),
        modes=conductivities_so_far("kappa0.npz"),
        converging=conductivities_of_meshes,
        records=conductivities_so_far("third_order.json"),
    output:
        conductivity="results/{campaign}/tables/conductivity.csv",
        overview="results/{campaign}/tables/conductivity_overview.csv",
        errors="results/{campaign}/tables/kappa_errors.csv",
        convergence="results/{campaign}/tables/kappa_convergence.csv",
        labels="results/{campaign}/tables/third_order_labels.csv",
    log:
        "results/{campaign}/logs/tables/conductivity.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        conductivity=setting("conductivity", exclude=CONDUCTIVITY_EFFORT),
        version=VERSIONS["conductivity"],
    message:
        "{wildcards.campaign}: tables of the thermal conductivity"
    script:
        "../scripts/conductivity_tables.py"


rule draw_conductivity:
    """κ against temperature and cumulative κ of one crystal, reference and fits."""
    input:
        table="results/{campaign}/tables/conductivity.csv",
        results=conductivities("kappa0.json"),
        modes=conductivities("kappa0.npz"),
    output:
        temperature="results/{campaign}/figures/conductivity/{structure}.{format}",
        cumulative="results/{campaign}/figures/conductivity/cumulative/{structure}.{format}",
    log:
        "results/{campaign}/logs/figures/conductivity/{structure}.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=fit_labels,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        conductivity=setting("conductivity", exclude=CONDUCTIVITY_EFFORT),
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing the conductivity of {wildcards.structure} "
        "({wildcards.format})"
    script:
        "../scripts/draw_conductivity.py"


rule draw_conductivity_generations:
    """κ of one crystal against the generation of the fits."""
    input:
        "results/{campaign}/tables/conductivity.csv",
    output:
        "results/{campaign}/figures/conductivity/generations/{structure}.{format}",
    log:
        "results/{campaign}/logs/figures/conductivity/generations/{structure}.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=fit_labels,
        groups=lambda wildcards: campaign(wildcards.campaign).groups,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        conductivity=setting("conductivity", exclude=CONDUCTIVITY_EFFORT),
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing the conductivity of {wildcards.structure} against "
        "generations ({wildcards.format})"
    script:
        "../scripts/draw_conductivity_generations.py"


RECORDS["conductivity"] = lambda name: [
    [
        f"{subject}, {structure}",
        f"results/{name}/conductivity/{method}/{structure}/kappa0.json",
    ]
    for subject, method in methods_later(name, recorded=campaign(name).has_third_order)
    for structure in campaign(name).conducting
]
