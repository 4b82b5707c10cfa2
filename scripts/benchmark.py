"""One fit against the reference, for all structures."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from dataclasses import replace

    from phonsmith.benchmarks.comparison import Benchmark, Benchmarks, benchmark_cell
    from phonsmith.benchmarks.mechanics import MechanicsResult
    from phonsmith.benchmarks.mechanics_of_fit import load_mechanics
    from phonsmith.benchmarks.settings import Benchmarks as Settings
    from phonsmith.phonons.paths import spectrum_file
    from phonsmith.phonons.spectra import Spectrum
    from phonsmith.structures.verdicts import Verdict, left_out

    inputs, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    tolerance = Settings.model_validate(params.benchmarks).imaginary_tolerance_thz
    verdicts = [Verdict.load_each(path) for path in inputs.phonons]
    mechanics = load_mechanics(inputs.mechanics[0]) if inputs.mechanics else {}
    mechanics_reference = dict(zip(mechanics, inputs.mechanics_reference, strict=True))

    def benchmark(structure, reference, why):
        def cell_of(cell, index, found):
            verdict = replace(found[structure], reason=why) if why else found[structure]
            spectrum = spectrum_file(index, structure)
            return benchmark_cell(cell, reference, spectrum, verdict, tolerance)

        result = Benchmark(
            campaign=wildcards.campaign,
            structure=structure,
            fit=wildcards.fit,
            fit_kind=params.fit_kind,
            generation=int(wildcards.generation),
            in_sample=structure in params.in_sample,
            imaginary_tolerance_thz=tolerance,
            cells=tuple(map(cell_of, params.cells, inputs.phonons, verdicts)),
        )
        if structure not in mechanics:
            return result
        of_reference = MechanicsResult.load(mechanics_reference[structure])
        return result.with_mechanics(of_reference, mechanics[structure])

    crystals = zip(params.structures, inputs.reference, inputs.accepted, strict=True)
    Benchmarks(
        benchmarks=[
            benchmark(structure, Spectrum.load_if_any(reference), left_out(accepted))
            for structure, reference, accepted in crystals
        ]
    ).save(snakemake.output[0])
