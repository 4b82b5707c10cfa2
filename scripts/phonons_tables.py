"""What the reference phonons were computed with, and the frequencies at Γ of reference and fits."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.benchmarks.tables import gamma_table, reference_table
    from phonsmith.phonons.files import load_displacements
    from phonsmith.phonons.paths import spectrum_file
    from phonsmith.phonons.spectra import Spectrum

    inputs, params = snakemake.input, snakemake.params
    spectra = dict(zip(params.structures, map(Spectrum.load_if_any, inputs.reference), strict=True))
    phonons = {
        structure: (load_displacements(path), spectra[structure])
        for structure, path in zip(params.structures, inputs.phonons, strict=True)
    }
    reference_table(phonons).to_csv(snakemake.output.phonons, index=False)
    of_fits = (
        (structure, fit, cell, Spectrum.load_if_any(spectrum_file(index, structure)))
        for (fit, cell), index in zip(params.fits, inputs.fits, strict=True)
        for structure in params.structures
    )
    of_reference = ((name, "reference", "reference", one) for name, one in spectra.items())
    gamma_table([*of_reference, *of_fits]).to_csv(snakemake.output.gamma, index=False)
