"""Time of a step of molecular dynamics with all potentials."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.benchmarks.speed import speeds
    from phonsmith.files.extxyz import read_frames
    from phonsmith.labels.factory import potential_method
    from phonsmith.potentials.calculators import load_potential

    inputs, params = snakemake.input, snakemake.params
    pairs = zip(params.fits, inputs.potentials, strict=True)
    potentials = {"reference": potential_method(params.reference, None).source}
    potentials |= {fit: load_potential(path).source for fit, path in pairs}
    cells = [frame for path in inputs.cells for frame in read_frames(path)]
    speeds(potentials, cells[:: max(1, len(cells) // 3)]).to_csv(snakemake.output[0], index=False)
