"""Train a potential, keep it if its training cells are unchanged, or use an existing one."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.datasets.sets import Baseline
    from phonsmith.files.cache import Cache
    from phonsmith.files.extxyz import read_frames
    from phonsmith.files.reading_writing import expanded, read_json
    from phonsmith.fits.files import FitFiles
    from phonsmith.fits.kept import train_or_keep
    from phonsmith.fits.registry import kind_of
    from phonsmith.fits.settings import TrainedFit
    from phonsmith.fits.training import recipe

    name, params, inputs = snakemake.wildcards.fit, snakemake.params, snakemake.input
    output = snakemake.output
    files = FitFiles(Path(output.model), Path(output.potential), Path(output.record))
    fit = recipe(params.fit)
    if isinstance(fit, TrainedFit):
        found = inputs.get("foundation")
        train_or_keep(
            name,
            fit,
            read_frames(inputs.train),
            Baseline.load(inputs.baseline),
            files,
            work=Path(params.work),
            threads=snakemake.threads,
            level_of_theory=params.level_of_theory,
            cache=Cache(expanded(params.cache[0]), params.cache[1]),
            foundation_sha256=read_json(found)["sha256"] if found else None,
            crystals={Path(path).stem: Path(path) for path in inputs.get("crystals", [])},
        )
    else:
        recorded = inputs.get("recorded")
        kind_of(fit).adopt(name, fit, files, read_json(recorded) if recorded else [])
