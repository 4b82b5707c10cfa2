"""Equations of state and free energies of the crystals, by the reference method and by fits."""

OVERVIEW_KELVIN = 300


rule fetch_volumes:
    """Fetch the recorded data of a crystal at its volumes where Snakemake runs, with a network."""
    input:
        own_files,
    output:
        "results/{campaign}/sources/volumes/{structure}.json",
    log:
        "results/{campaign}/logs/sources/volumes/{structure}.log",
    localrule: True
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


def thermodynamics_jobs(wildcards):
    """How many jobs compute thermodynamics."""
    name = wildcards.campaign
    return len(campaign(name).warmed) * (1 + len(campaign(name).fits))


def with_volumes(wildcards):
    """Whether the thermodynamics of the crystal by the method is recorded."""
    structure = look_up(wildcards, "structures/{structure}")
    return is_reference(wildcards) and bool(structure.recorded_volumes)


def thermodynamics_files(wildcards):
    """The files from which thermodynamics is computed or, if recorded, read."""
    if not with_volumes(wildcards):
        return method_files(wildcards)
    structure = look_up(wildcards, "structures/{structure}")
    record = "results/{campaign}/sources/volumes/{structure}.json"
    return {
        "volumes": record.format(**wildcards),
        "cells": [one.file for one in structure.recorded_volumes if one.file],
        "born": structure.born or [],
    }


def thermodynamics_physics(wildcards):
    """Settings that affect results of the reference method, with the crystal if recorded."""
    physics = method_physics(wildcards)
    if not with_volumes(wildcards):
        return physics
    structure = setting("structures/{structure}", exclude={"role", "born"})
    return {**physics, "structure": structure(wildcards)}


def need_of_thermodynamics(needs, settings, cells, structure, **names):
    """Relaxations and displaced cells at all volumes."""
    return needs.need_of_thermodynamics(
        cells[0],
        [cell for cell in cells[1:] if cell.info["kind"] == "displaced"],
        settings.reference,
        structure,
        settings.thermodynamics,
        side_by_side=settings.labels.side_by_side,
    )


rule thermodynamics:
    """Compute energies and phonons of a crystal by a method at volumes around its minimum."""
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
    threads: label_threads(thermodynamics_jobs)
    resources:
        **runs_on(method_on_gpu),
        **labelling(
            need_of_thermodynamics,
            side_by_side=True,
            job=1000,
            process=2000,
            # as many displaced cells of the same size as for the reference phonons at rest
            further=rules.make_supercells.output.cells,
        ),
    params:
        **OF_REFERENCE,
        physics=thermodynamics_physics,
        thermodynamics=setting("thermodynamics", exclude={"structures"}),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=tries_again("thermodynamics"),
        displaced=setting("supercells/displaced"),
        labels=setting(
            "labels",
            exclude=LABEL_EFFORT | {"batches_per_structure", "max_energy_spread_ev_per_atom"},
        ),
        tolerance=setting("benchmarks/imaginary_tolerance_thz"),
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


def thermodynamics_methods(wildcards):
    """Methods of thermodynamics: reference (if recorded, with volumes) and fits."""
    return methods_of(wildcards, campaign(wildcards.campaign).has_volumes)


rule thermodynamics_tables:
    """Tabulate all methods and crystals by temperature and pressure, and equations of state."""
    input:
        every(
            rules.thermodynamics.output[0],
            method=thermodynamics_methods,
            structure="warmed",
        ),
    output:
        thermodynamics=reported(
            "results/{campaign}/tables/thermodynamics.csv", "thermodynamics", "thermodynamics"
        ),
        overview=reported(
            "results/{campaign}/tables/thermodynamics_overview.csv",
            "thermodynamics",
            "thermodynamics",
        ),
        states=reported(
            "results/{campaign}/tables/equations_of_state.csv",
            "thermodynamics",
            "equations_of_state",
        ),
    log:
        "results/{campaign}/logs/tables/thermodynamics.log",
    localrule: True
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
        every(
            rules.thermodynamics.output[0],
            method=thermodynamics_methods,
            structure="warmed",
        ),
    output:
        reported(
            "results/{campaign}/figures/{figure}.{format}",
            "thermodynamics",
            "thermodynamics_figure",
        ),
    log:
        "results/{campaign}/logs/figures/{figure}.{format}.log",
    wildcard_constraints:
        figure="equations_of_state|thermal_expansion",
    localrule: True
    params:
        labels=fit_labels,
        level_of_theory=setting("level_of_theory"),
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing {wildcards.figure}"
    script:
        "../scripts/draw_thermodynamics.py"


def tables_of_thermodynamics(name):
    """Tables of thermodynamics, and their captions in the report."""
    if not campaign(name).thermodynamics:
        return {}
    return {
        "thermodynamics.csv": None,
        "thermodynamics_overview.csv": "Thermodynamics",
        "equations_of_state.csv": "Equations of state",
    }


def figures_of_thermodynamics(name):
    """Equations of state, and the quasi-harmonic expansion where it is computed."""
    thermodynamics = campaign(name).thermodynamics
    if not thermodynamics:
        return {}
    energies = "Energy against volume, from the minimum of each method."
    expansion = (
        "Volume and thermal expansion of the volume, quasi-harmonic, at the pressure "
        "nearest to zero."
    )
    expands = {"thermal_expansion": expansion} if thermodynamics.quasi_harmonic else {}
    return {"equations_of_state": energies, **expands}


STAGES["thermodynamics"] = Part(
    tables=tables_of_thermodynamics,
    figures=figures_of_thermodynamics,
    warnings=lambda name: [
        [
            f"{subject}, {structure}",
            f"results/{name}/thermodynamics/{method}/{structure}.json",
        ]
        for subject, method in methods_later(name, recorded=campaign(name).has_volumes)
        for structure in campaign(name).warmed
    ],
)
