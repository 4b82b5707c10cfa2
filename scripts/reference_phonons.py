"""Phonons of one structure by the reference method."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.extxyz import read_frames
    from phonsmith.phonons import (
        band_path,
        load_displacements,
        reference_phonons,
        save_phonons,
        spectrum,
    )
    from phonsmith.settings import Phonons, Structure
    from phonsmith.supercells import to_ase

    structure = Structure.model_validate(snakemake.params.structure)
    phonon = reference_phonons(
        load_displacements(snakemake.input.displacements),
        read_frames(snakemake.input.labels),
        structure.born,
    )
    path = band_path(to_ase(phonon.primitive), Phonons.model_validate(snakemake.params.phonons))
    spectrum(phonon, path).save(snakemake.output.spectrum)
    save_phonons(snakemake.output.phonons, phonon)
