"""Band structures of one structure or of all, one fit against the reference."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.benchmarks.comparison import Benchmarks
    from phonsmith.figures.bands import BandFigures, bands_of_benchmark
    from phonsmith.figures.style import looks
    from phonsmith.phonons.paths import spectrum_file
    from phonsmith.phonons.spectra import Spectrum

    inputs, params = snakemake.input, snakemake.params
    look = looks(params.labels)[snakemake.wildcards.fit]
    crystals = pd.read_csv(inputs.structures, dtype=str, index_col="structure").fillna("")
    figures = BandFigures(snakemake.output[0], params.formats, params.dpi)
    benchmarks = Benchmarks.load(inputs.benchmarks[0])
    for structure, reference in zip(params.structures, inputs.reference, strict=True):
        figure = None
        if Spectrum.load_if_any(reference) is not None:
            figure = bands_of_benchmark(
                benchmarks.of(structure),
                params.cell,
                reference=reference,
                fit=spectrum_file(inputs.phonons[0], structure),
                look=look,
                space_group=crystals["symbol_after"].get(structure, ""),
                level_of_theory=params.level_of_theory,
            )
        figures.save(structure, figure)
    figures.finish()
