"""Phonons of one structure by the reference method."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.files.errors import MissingLabels
    from phonsmith.files.extxyz import read_frames
    from phonsmith.phonons.band_paths import band_path
    from phonsmith.phonons.files import load_displacements, load_parts, save_phonons
    from phonsmith.phonons.force_constants import reference_phonons, with_masses
    from phonsmith.phonons.settings import Phonons
    from phonsmith.phonons.spectra import spectrum
    from phonsmith.supercells.cells import to_ase

    phonon = load_displacements(snakemake.input.displacements)
    parts = load_parts(snakemake.input.displacements, phonon)
    phonon = with_masses(phonon, snakemake.params.masses)
    labels = read_frames(snakemake.input.labels)
    try:
        phonon = reference_phonons(phonon, labels, snakemake.input.get("born") or None, parts)
        settings = Phonons.model_validate(snakemake.params.phonons)
        path = band_path(to_ase(phonon.primitive), settings)
        spectrum(phonon, path).save(snakemake.output.spectrum)
    except MissingLabels as error:
        print(error)
        # the campaign continues; its tables contain the reason
        Path(snakemake.output.spectrum).touch()
    save_phonons(snakemake.output.phonons, phonon, parts)
