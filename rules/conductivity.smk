"""Lattice thermal conductivity with the reference method and with every fit."""

from phonsmith.phonons.paths import phonons_file


wildcard_constraints:
    mesh=r"\d+",


def index_of_phonons(wildcards):
    """The verdicts on the crystals in the phonons of a fit.

    A fit without a potential has phonons in the reference's cell alone.
    """
    fit = wildcards.method.partition("/")[0]
    tested = fit in campaign(wildcards.campaign).tested
    cell = first_cell(wildcards) if tested else "reference"
    return f"results/{wildcards.campaign}/phonons/{wildcards.method}/{cell}.json"


def method_phonons(wildcards):
    """The harmonic phonons of the method as input: of a fit, the verdicts on all crystals.

    These are ancient, since they also change with other crystals: see `harmonic`.
    """
    if is_reference(wildcards):
        return {"phonons": phonons_of_method(wildcards)}
    return {"verdicts": ancient(index_of_phonons(wildcards))}


def phonons_of_method(wildcards):
    """The phonopy YAML of the crystal."""
    if is_reference(wildcards):
        return rules.reference_phonons.output.phonons.format(**wildcards)
    return str(phonons_file(index_of_phonons(wildcards), wildcards.structure))


def fit_of_phonons(wildcards):
    """The files of a fit from which its phonons follow; empty for the reference."""
    if is_reference(wildcards):
        return []
    files = method_files(wildcards)
    return [files["potential"], files["model"], *files["environment"]]


def harmonic(wildcards):
    """The settings from which the phonons of a crystal by a fit follow; None for the reference."""
    if is_reference(wildcards):
        return None
    again = tries_of_crystals(wildcards, index_of_phonons(wildcards))
    return {
        "displaced": setting("supercells/displaced")(wildcards),
        "tolerances": setting("relaxation", exclude=RELAXATION_EFFORT)(wildcards),
        "fixed_volume": is_scaled(wildcards),
        "again": again.get(wildcards.structure, 0),
    }


def recorded_of_method(wildcards):
    """The record of fetched third-order data, for a recorded reference."""
    return recorded_files(wildcards) if is_reference(wildcards) else []


def record_of_method(wildcards):
    """The name of the recorded data of the crystal, for a recorded reference."""
    return (
        look_up(wildcards, "structures/{structure}/recorded") if is_reference(wildcards) else None
    )


def cell_of_third_order(wildcards):
    """The cell that phono3py takes as primitive; where it is sampled makes no other cells."""
    folded = campaign(wildcards.campaign).conductivity.mesh_of == "unit_folded"
    return "unit_folded" if folded else "primitive"


rule third_order_cells:
    """Make the displaced cells of a crystal for third-order force constants.

    The crystal is that of the harmonic phonons: as the reference or the fit relaxed it. Recorded
    data bring their own cells, with forces.
    """
    input:
        unpack(method_phonons),
        fit=fit_of_phonons,
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
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(3000),
        runtime=minutes(120),
    params:
        third_order=setting("conductivity/third_order"),
        mesh_of=cell_of_third_order,
        harmonic=harmonic,
        phonons=untracked(phonons_of_method),
        # for what is refused beforehand
        effort=untracked(setting("conductivity", exclude={"published", "third_order"})),
        seed=setting("seed"),
        reference=untracked(setting("reference")),
        recorded=record_of_method,
        sources=SOURCES,
        readers=readers_if_recorded,
        version=versions("conductivity", "structures", "supercells", "labels", "phonons"),
    message:
        "{wildcards.campaign}: third-order cells of {wildcards.structure} with {wildcards.method}"
    script:
        "../scripts/third_order_cells.py"


def conductivity_jobs(wildcards):
    """About how many jobs compute conductivities at the same time."""
    settings = campaign(wildcards.campaign)
    return len(settings.conducting) * (1 + len(settings.fits))


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
    threads: label_threads(conductivity_jobs)
    resources:
        **runs_on(method_on_gpu),
        **labelling(need_of_batches, side_by_side=True),
    params:
        **OF_BATCH,
        method=method_physics,
        version=VERSIONS["labels"],
    message:
        "{wildcards.campaign}: third-order forces of {wildcards.structure} with "
        "{wildcards.method}, batch {wildcards.batch}"
    script:
        "../scripts/label_third_order.py"


def conductivity_effort(key):
    """Function for resources: memory (MB) or time (minutes) set in the campaign."""
    return lambda wildcards: getattr(campaign(wildcards.campaign).conductivity, key)


rule third_order_constants:
    """Third-order force constants from the forces, in phono3py's own files."""
    input:
        unpack(method_phonons),
        displacements="results/{campaign}/conductivity/{method}/{structure}/displacements.yaml",
        record="results/{campaign}/conductivity/{method}/{structure}/cells.json",
        labels=every(rules.label_third_order.output.labels, batch=batch_numbers),
        failures=every(rules.label_third_order.output.failures, batch=batch_numbers),
    output:
        yaml="results/{campaign}/conductivity/{method}/{structure}/phono3py.yaml",
        fc3="results/{campaign}/conductivity/{method}/{structure}/fc3.hdf5",
        fc2="results/{campaign}/conductivity/{method}/{structure}/fc2.hdf5",
        record="results/{campaign}/conductivity/{method}/{structure}/third_order.json",
    log:
        "results/{campaign}/logs/conductivity/{method}/{structure}/third_order.log",
    benchmark:
        "results/{campaign}/logs/conductivity/{method}/{structure}/third_order.tsv"
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(conductivity_effort("memory_mb")),
        runtime=minutes(conductivity_effort("runtime_minutes")),
    params:
        third_order=setting("conductivity/third_order"),
        phonons=untracked(phonons_of_method),
        version=versions("conductivity", "structures", "supercells", "phonons"),
    message:
        "{wildcards.campaign}: third-order force constants of {wildcards.structure} with "
        "{wildcards.method}"
    script:
        "../scripts/third_order_constants.py"


CONDUCTIVITY_EFFORT = {"memory_mb", "runtime_minutes"}


CONDUCTIVITY_TABLES = {
    "structures",
    "convergence",
    "published",
    "directions",
    "all_generations",
}


def mesh_of_convergence(wildcards):
    """The mesh of this number in the table of convergence; None for the mesh of the results."""
    settings = campaign(wildcards.campaign).conductivity.model_dump(mode="json")
    number = int(wildcards.mesh)
    return settings["convergence"][number - 1] if number else None


rule conductivity:
    """Compute the conductivity on a mesh: number 0 is for results, others for convergence."""
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
        pair_cutoff=setting("conductivity/third_order/pair_cutoff_angstrom"),
        imaginary_tolerance=setting("benchmarks/imaginary_tolerance_thz"),
        version=versions("conductivity", "structures", "supercells", "phonons"),
    message:
        "{wildcards.campaign}: thermal conductivity of {wildcards.structure} with "
        "{wildcards.method}, mesh {wildcards.mesh}"
    script:
        "../scripts/conductivity.py"


def conductivity_methods(wildcards):
    """Methods of the conductivity: reference (if recorded, with third-order data) and fits."""
    recorded = campaign(wildcards.campaign).has_third_order
    return methods_of(wildcards, recorded)


def of_results(wildcards):
    """The mesh of the results."""
    return 0


def of_convergence(wildcards):
    """The meshes of the table of convergence."""
    return range(1, len(campaign(wildcards.campaign).conductivity.convergence) + 1)


def with_generations(pattern):
    """A function for input: the results of all crystals and methods.

    Of some crystals also with the fits of the generations before.
    """
    mesh = {"mesh": of_results}
    now = every(pattern, method=conductivity_methods, structure="conducting", **mesh)
    before = every(pattern, method=methods_before, structure="conducting_in_loop", **mesh)
    return lambda wildcards: now(wildcards) + before(wildcards)


rule conductivity_tables:
    """Conductivities, their errors, their convergence, and what they cost in labels."""
    input:
        results=with_generations(rules.conductivity.output.result),
        modes=with_generations(rules.conductivity.output.modes),
        converging=every(
            rules.conductivity.output.result,
            mesh=of_convergence,
            method=conductivity_methods,
            structure="conducting",
        ),
        records=with_generations(rules.third_order_constants.output.record),
    output:
        conductivity=reported(
            "results/{campaign}/tables/conductivity.csv", "conductivity", "conductivity"
        ),
        overview=reported(
            "results/{campaign}/tables/conductivity_overview.csv", "conductivity", "conductivity"
        ),
        errors=reported(
            "results/{campaign}/tables/kappa_errors.csv", "conductivity", "kappa_errors"
        ),
        convergence=reported(
            "results/{campaign}/tables/kappa_convergence.csv", "conductivity", "kappa_convergence"
        ),
        labels=reported(
            "results/{campaign}/tables/third_order_labels.csv",
            "conductivity",
            "third_order_labels",
        ),
    log:
        "results/{campaign}/logs/tables/conductivity.log",
    localrule: True
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
        results=every(
            rules.conductivity.output.result,
            method=conductivity_methods,
            mesh=of_results,
        ),
        modes=every(
            rules.conductivity.output.modes,
            method=conductivity_methods,
            mesh=of_results,
        ),
    output:
        temperature=reported(
            "results/{campaign}/figures/conductivity/{structure}.{format}",
            "conductivity",
            "conductivity_figure",
        ),
        cumulative=reported(
            "results/{campaign}/figures/conductivity/cumulative/{structure}.{format}",
            "conductivity",
            "conductivity_figure",
        ),
    log:
        "results/{campaign}/logs/figures/conductivity/{structure}.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        level_of_theory=setting("level_of_theory"),
        conductivity=setting("conductivity", exclude=CONDUCTIVITY_EFFORT),
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
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
        reported(
            "results/{campaign}/figures/conductivity/generations/{structure}.{format}",
            "conductivity",
            "conductivity_generations",
        ),
    log:
        "results/{campaign}/logs/figures/conductivity/generations/{structure}.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        groups=setting("groups"),
        level_of_theory=setting("level_of_theory"),
        conductivity=setting("conductivity", exclude=CONDUCTIVITY_EFFORT),
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing the conductivity of {wildcards.structure} against "
        "generations"
    script:
        "../scripts/draw_conductivity_generations.py"


def tables_of_conductivity(name):
    """Tables of the conductivity, and their captions in the report."""
    if not campaign(name).conductivity:
        return {}
    return {
        "conductivity.csv": None,
        "conductivity_overview.csv": "Thermal conductivity in W/mK",
        "kappa_errors.csv": "Thermal conductivity of fits against the reference; SRE: symmetric "
        "relative error of κ, SRME: that of the contributions of all modes (0: equal, 2: worst)",
        "kappa_convergence.csv": "Convergence of the conductivity with the "
        "mesh; change: from the densest mesh; –: only one mesh, convergence not tested",
        "third_order_labels.csv": "Labels for third-order force constants",
    }


def figures_of_conductivity(name):
    """Figures of each crystal, and if requested against the generation of the fits."""
    settings, figures = campaign(name), {}
    for one in settings.conducting:
        figures[f"conductivity/{one}"] = (
            f"{one}: thermal conductivity, the mean and along directions."
        )
        figures[f"conductivity/cumulative/{one}"] = (
            f"{one}: conductivity of all modes below a frequency and a mean free path; "
            "relaxation-time approximation for the paths."
        )
        if one in settings.conducting_in_loop:
            figures[f"conductivity/generations/{one}"] = (
                f"{one}: thermal conductivity against the generation of the fits, mean and "
                "standard deviation over repeats."
            )
    return figures


STAGES["conductivity"] = Part(
    tables=tables_of_conductivity,
    figures=figures_of_conductivity,
    warnings=lambda name: [
        [
            f"{subject}, {structure}",
            f"results/{name}/conductivity/{method}/{structure}/kappa0.json",
        ]
        for subject, method in methods_later(name, recorded=campaign(name).has_third_order)
        for structure in campaign(name).conducting
    ],
)
