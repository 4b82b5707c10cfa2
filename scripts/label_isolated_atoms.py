"""Isolated atoms of all elements of the campaign."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.extxyz import read_frames, write_frames
    from phonsmith.labels import Allocation, LabelStore, isolated_atoms, reference_method

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
