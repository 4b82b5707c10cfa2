"""Isolated atoms of all elements of the campaign."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.labelling import isolated_atoms
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.store import LabelStore

    params = snakemake.params
    allocation = Allocation(snakemake.threads, params.work, snakemake.resources.attempt)
    method = reference_method(params.reference, allocation=allocation)
    crystals = [read_frames(path)[0] for path in snakemake.input.crystals]
    elements = sorted({symbol for crystal in crystals for symbol in crystal.symbols})
    atoms = isolated_atoms(elements, method, LabelStore(params.store), params.box)
    write_frames(snakemake.output[0], atoms)
