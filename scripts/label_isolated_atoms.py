"""Isolated atoms of all elements of the campaign."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.labelling import isolated_atoms
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.store import LabelStore

    method = reference_method(
        snakemake.params.reference,
        allocation=Allocation(
            snakemake.threads, Path(snakemake.params.work), snakemake.resources.attempt
        ),
    )
    crystals = [read_frames(path)[0] for path in snakemake.input.crystals]
    elements = sorted({symbol for crystal in crystals for symbol in crystal.symbols})
    store = LabelStore(snakemake.params.store)
    write_frames(snakemake.output[0], isolated_atoms(elements, method, store, snakemake.params.box))
