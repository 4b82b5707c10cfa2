"""Band structures of all structures, one fit against the reference."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    import pandas as pd

    from phonsmith.benchmarks.comparison import Benchmark
    from phonsmith.figures.bands import bands_of_benchmark
    from phonsmith.figures.style import looks, save_figure
    from phonsmith.phonons.spectra import Spectrum

    inputs, params = snakemake.input, snakemake.params
    look = looks(params.labels)[snakemake.wildcards.fit]
    crystals = pd.read_csv(inputs.structures, dtype=str, index_col="structure").fillna("")
    folder = Path(snakemake.output[0])
    folder.mkdir(parents=True, exist_ok=True)
    for reference, spectrum, path in zip(
        inputs.reference, inputs.spectra, inputs.benchmarks, strict=True
    ):
        benchmark = Benchmark.load(path)
        if Spectrum.load_if_any(reference) is None:
            continue
        figure = bands_of_benchmark(
            benchmark,
            params.cell,
            reference=reference,
            fit=spectrum,
            look=look,
            space_group=crystals["symbol_after"].get(benchmark.structure, ""),
            level_of_theory=params.level_of_theory,
        )
        for one in params.formats:
            save_figure(figure, folder / f"{benchmark.structure}.{one}", params.dpi)
