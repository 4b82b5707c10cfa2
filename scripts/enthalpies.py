"""One crystal relaxed at pressures and at volumes, by the reference method or by a fit."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.applications import Pressing
    from phonsmith.calculators import load_potential, without_energies
    from phonsmith.extxyz import read_frames
    from phonsmith.labels import Allocation, LabelStore, reference_or_fit
    from phonsmith.settings import Relaxation
    from phonsmith.transitions import enthalpies, no_enthalpies

    inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    (atoms,) = read_frames(inputs.crystal)
    relaxation = Relaxation.model_validate(params.relaxation)
    potential = inputs.get("potential")
    why = without_energies(load_potential(potential), "an enthalpy") if potential else ""
    if why:
        result = no_enthalpies(wildcards.structure, wildcards.method, atoms, why)
    else:
        store = LabelStore(params.store)
        result = enthalpies(
            wildcards.structure,
            atoms,
            reference_or_fit(
                params.reference,
                potential,
                structure=wildcards.structure,
                allocation=Allocation(
                    snakemake.threads, Path(params.work), snakemake.resources.attempt, store
                ),
            ),
            Pressing.model_validate(params.pressing),
            relaxation,
            name=wildcards.method,
            store=store,
        )
    result.tried(relaxation.max_steps, params.again).save(snakemake.output[0])
