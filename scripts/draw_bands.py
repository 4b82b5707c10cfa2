"""Band structures of one structure or of all, one fit against the reference."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.benchmarks import Benchmark
    from phonsmith.figures.bands import BandFigures, bands_of_benchmark
    from phonsmith.figures.style import looks
    from phonsmith.phonons import Spectrum

    inputs, params = snakemake.input, snakemake.params
    look = looks(params.labels)[snakemake.wildcards.fit]
    crystals = pd.read_csv(inputs.structures, dtype=str, index_col="structure").fillna("")
    figures = BandFigures(snakemake.output[0], params.formats, params.dpi)
    for structure, reference, spectrum, path in zip(
        params.structures, inputs.reference, inputs.spectra, inputs.benchmarks, strict=True
    ):
        figure = None
        if Spectrum.load_if_any(reference) is not None:
            figure = bands_of_benchmark(
                Benchmark.load(path),
                params.cell,
                reference=reference,
                fit=spectrum,
                look=look,
                space_group=crystals["symbol_after"].get(structure, ""),
                level_of_theory=params.level_of_theory,
            )
        figures.save(structure, figure)
    figures.finish()
