"""Phonons of one structure by a fit, in the relaxed or in the reference cell."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from dataclasses import replace
    from pathlib import Path

    from phonsmith.files.reading_writing import read_json, write_json
    from phonsmith.phonons.band_paths import band_path
    from phonsmith.phonons.files import load_parts, load_phonons, save_phonons
    from phonsmith.phonons.force_constants import phonons_in_cell
    from phonsmith.phonons.recorded import recorded_phonons
    from phonsmith.phonons.settings import Phonons
    from phonsmith.phonons.spectra import spectrum
    from phonsmith.potentials.calculators import load_potential
    from phonsmith.structures.settings import Relaxation
    from phonsmith.supercells.cells import to_ase
    from phonsmith.supercells.settings import Displaced

    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    reference, cell = load_phonons(inputs.reference), snakemake.wildcards.cell
    relaxation = Relaxation.model_validate(params.relaxation)
    if "recorded" in read_json(inputs.potential):
        path = Path(inputs.model) / f"{snakemake.wildcards.structure}.yaml"
        phonon, verdict = recorded_phonons(cell, reference, path, relaxation)
    else:
        phonon, verdict = phonons_in_cell(
            cell,
            reference,
            load_potential(inputs.potential).source,
            Displaced.model_validate(params.displaced),
            relaxation,
            fixed_volume=params.fixed_volume,
            processes=snakemake.threads,
            parts=load_parts(inputs.reference, reference),
        )
    save_phonons(output.phonons, phonon)
    if verdict.reason:
        Path(output.spectrum).touch()  # no phonons; the verdict contains the reason
    else:
        path = band_path(to_ase(reference.primitive), Phonons.model_validate(params.phonons))
        spectrum(phonon, path).save(output.spectrum)
    write_json(output.verdict, replace(verdict, again=params.again).model_dump())
