"""One crystal relaxed at pressures and at volumes, by the reference method or by a fit."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames
    from phonsmith.labels.factory import reference_or_fit
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.store import LabelStore
    from phonsmith.potentials.calculators import why_without_energies
    from phonsmith.structures.settings import Relaxation
    from phonsmith.transitions.enthalpies import enthalpies
    from phonsmith.transitions.results import Enthalpies
    from phonsmith.transitions.settings import Pressing

    inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    (atoms,) = read_frames(inputs.crystal)
    relaxation = Relaxation.model_validate(params.relaxation)
    potential = inputs.get("potential")
    why = why_without_energies(potential, "an enthalpy") if potential else ""
    if why:
        result = Enthalpies.without(wildcards.structure, wildcards.method, atoms, why)
    else:
        store = LabelStore(params.store)
        allocation = Allocation(snakemake.threads, params.work, snakemake.resources.attempt, store)
        method = reference_or_fit(
            params.reference, potential, structure=wildcards.structure, allocation=allocation
        )
        result = enthalpies(
            wildcards.structure,
            atoms,
            method,
            Pressing.model_validate(params.pressing),
            relaxation,
            name=wildcards.method,
            store=store,
        )
    result.tried(relaxation.max_steps, params.again).save(snakemake.output[0])
