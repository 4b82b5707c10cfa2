"""Thermodynamics of one crystal by the reference method or by a fit."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames
    from phonsmith.files.sources import Places
    from phonsmith.labels.factory import reference_or_fit
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.recorded.settings import RecordedReference
    from phonsmith.labels.settings import Labels
    from phonsmith.labels.store import LabelStore
    from phonsmith.phonons.files import load_parts, load_phonons
    from phonsmith.potentials.calculators import why_without_energies
    from phonsmith.structures.settings import Relaxation, Structure
    from phonsmith.structures.verdicts import left_out
    from phonsmith.supercells.settings import Displaced
    from phonsmith.thermodynamics.crystals import Crystal
    from phonsmith.thermodynamics.free_energies import thermodynamics
    from phonsmith.thermodynamics.recorded_volumes import read_volumes
    from phonsmith.thermodynamics.results import Result
    from phonsmith.thermodynamics.settings import Thermodynamics

    inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    (atoms,) = read_frames(inputs.crystal)
    relaxation = Relaxation.model_validate(params.relaxation)
    why = left_out(inputs.accepted)
    if inputs.get("potential"):
        why = why or why_without_energies(inputs.potential, "a free energy")
    elif params.reference["method"] == "recorded" and not inputs.get("volumes"):
        why = why or "the campaign gives no recorded_volumes of it"
    if why:
        result = Result.without(wildcards.structure, wildcards.method, atoms, why)
    else:
        if inputs.get("volumes"):
            recorded = params.physics["structure"]
            crystal = read_volumes(
                wildcards.structure,
                Structure.model_validate(recorded),
                RecordedReference.model_validate(params.reference).of(recorded),
                Places(snakemake.config["mirrors"], params.sources),
                masses=recorded["masses"],
                born=inputs.get("born") or None,
            )
        else:
            store = LabelStore(params.store, wildcards.campaign)
            attempt = snakemake.resources.attempt
            allocation = Allocation(snakemake.threads, params.work, attempt, store)
            potential, name = inputs.get("potential"), wildcards.structure
            method = reference_or_fit(
                params.reference, potential, structure=name, allocation=allocation
            )
            template = load_phonons(inputs.template)
            crystal = Crystal(
                structure=wildcards.structure,
                atoms=atoms,
                template=template,
                method=method,
                relaxation=relaxation,
                displaced=Displaced.model_validate(params.displaced),
                labels=Labels.model_validate(params.labels),
                store=store,
                cores=snakemake.threads,
                attempt=attempt,
                parts=load_parts(inputs.template, template),
            )
        result = thermodynamics(
            crystal,
            Thermodynamics.model_validate(params.thermodynamics),
            method=wildcards.method,
            tolerance_thz=params.tolerance,
        )
    result.tried(relaxation.max_steps, params.again).save(snakemake.output[0])
