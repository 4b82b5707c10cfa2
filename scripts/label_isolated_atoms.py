"""Isolated atoms of all elements of the campaign."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.extxyz import read_frames, write_frames
    from phonsmith.labels import Allocation, reference_method

    method = reference_method(
        snakemake.params.reference,
        allocation=Allocation(
            snakemake.threads, Path(snakemake.params.work), snakemake.resources.attempt
        ),
    )
    crystals = [read_frames(path)[0] for path in snakemake.input.crystals]
    elements = sorted({symbol for crystal in crystals for symbol in crystal.symbols})
    atoms = [method.isolated_atom(element) for element in elements]
    write_frames(snakemake.output[0], [atom for atom in atoms if atom is not None])
