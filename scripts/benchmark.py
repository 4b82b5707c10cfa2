"""One structure of one fit against the reference."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from dataclasses import replace

    from phonsmith.benchmarks.comparison import Benchmark, benchmark_cell
    from phonsmith.benchmarks.settings import Benchmarks
    from phonsmith.phonons.spectra import Spectrum
    from phonsmith.structures.verdicts import Verdict, left_out

    inputs, wildcards = snakemake.input, snakemake.wildcards
    tolerance = Benchmarks.model_validate(snakemake.params.benchmarks).imaginary_tolerance_thz
    reference = Spectrum.load_if_any(inputs.reference)
    why = left_out(inputs.accepted)

    def verdict_of(path):
        verdict = Verdict.load(path)
        return replace(verdict, reason=why) if why else verdict

    cells = zip(snakemake.params.cells, inputs.spectra, inputs.verdicts, strict=True)
    benchmark = Benchmark(
        campaign=wildcards.campaign,
        structure=wildcards.structure,
        fit=wildcards.fit,
        fit_kind=snakemake.params.fit_kind,
        generation=int(wildcards.generation),
        in_sample=snakemake.params.in_sample,
        imaginary_tolerance_thz=tolerance,
        cells=tuple(
            benchmark_cell(cell, reference, npz, verdict_of(verdict), tolerance)
            for cell, npz, verdict in cells
        ),
    )
    if inputs.get("mechanics_fit"):
        benchmark = benchmark.with_mechanics(inputs.mechanics_reference, inputs.mechanics_fit)
    benchmark.save(snakemake.output[0])
