"""Phonons of one structure by the reference method."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.errors import MissingLabels
    from phonsmith.extxyz import read_frames
    from phonsmith.phonons import (
        band_path,
        load_displacements,
        reference_phonons,
        save_phonons,
        spectrum,
        with_masses,
    )
    from phonsmith.settings import Phonons
    from phonsmith.supercells import to_ase

    phonon = load_displacements(snakemake.input.displacements)
    phonon = with_masses(phonon, snakemake.params.masses)
    labels = read_frames(snakemake.input.labels)
    try:
        phonon = reference_phonons(phonon, labels, snakemake.input.get("born") or None)
        settings = Phonons.model_validate(snakemake.params.phonons)
        path = band_path(to_ase(phonon.primitive), settings)
        spectrum(phonon, path).save(snakemake.output.spectrum)
    except MissingLabels as error:
        print(error)
        Path(snakemake.output.spectrum).touch()  # the campaign goes on; its tables say why
    save_phonons(snakemake.output.phonons, phonon)
