"""Relax one crystal with the reference method (or keep it unrelaxed), and write the verdict."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from dataclasses import replace

    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.reading_writing import write_json
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.reference_crystal import reference_crystal
    from phonsmith.labels.store import LabelStore
    from phonsmith.structures.relaxation import Load, cautioned, crystal_as_given
    from phonsmith.structures.settings import Relaxation
    from phonsmith.structures.symmetry import symmetrized

    name, params = snakemake.wildcards.structure, snakemake.params
    relaxation = Relaxation.model_validate(params.relaxation)
    (given,) = read_frames(snakemake.input[0])
    if params.relax:
        store = LabelStore(params.store)
        allocation = Allocation(snakemake.threads, params.work, snakemake.resources.attempt, store)
        method = reference_method(params.reference, structure=name, allocation=allocation)
        load = Load(fixed_volume=params.fixed_volume)
        crystal, verdict = reference_crystal(name, given, method, relaxation, load, store=store)
    else:
        crystal, verdict = crystal_as_given(given, relaxation)
        if params.reference["method"] != "recorded":
            crystal = symmetrized(crystal, relaxation.symprec_angstrom)
    verdict = replace(verdict, again=params.again)
    crystal.info["structure"] = name
    write_frames(snakemake.output.crystal, [crystal])
    write_json(snakemake.output.verdict, cautioned(verdict, given).model_dump())
