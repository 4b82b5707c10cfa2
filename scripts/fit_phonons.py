"""Phonons of one structure by a fit, in the relaxed or in the reference cell."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from dataclasses import replace
    from pathlib import Path

    from phonsmith.files.reading_writing import read_json, write_json
    from phonsmith.phonons.band_paths import band_path
    from phonsmith.phonons.files import load_phonons, save_phonons
    from phonsmith.phonons.force_constants import phonons_in_cell
    from phonsmith.phonons.recorded import recorded_phonons
    from phonsmith.phonons.settings import Phonons
    from phonsmith.phonons.spectra import spectrum
    from phonsmith.potentials.calculators import load_potential
    from phonsmith.structures.settings import Relaxation
    from phonsmith.supercells.cells import to_ase
    from phonsmith.supercells.settings import Displaced

    reference = load_phonons(snakemake.input.reference)
    cell, structure = snakemake.wildcards.cell, snakemake.wildcards.structure
    relaxation = Relaxation.model_validate(snakemake.params.relaxation)
    if "recorded" in read_json(snakemake.input.potential):
        path = Path(snakemake.input.model) / f"{structure}.yaml"
        phonon, verdict = recorded_phonons(cell, reference, path, relaxation)
    else:
        phonon, verdict = phonons_in_cell(
            cell,
            reference,
            load_potential(snakemake.input.potential).source,
            Displaced.model_validate(snakemake.params.displaced),
            relaxation,
            fixed_volume=snakemake.params.fixed_volume,
            processes=snakemake.threads,
        )
    save_phonons(snakemake.output.phonons, phonon)
    if verdict.reason:
        Path(snakemake.output.spectrum).touch()  # no phonons; the verdict contains the reason
    else:
        settings = Phonons.model_validate(snakemake.params.phonons)
        path = band_path(to_ase(reference.primitive), settings)
        spectrum(phonon, path).save(snakemake.output.spectrum)
    verdict = replace(verdict, again=snakemake.params.again)
    write_json(snakemake.output.verdict, verdict.model_dump())
