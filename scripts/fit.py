"""One potential: trained, kept where it learnt from the same cells, or taken as it is."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.datasets.sets import Baseline
    from phonsmith.files.extxyz import read_frames
    from phonsmith.files.reading_writing import read_json, write_json
    from phonsmith.fits.kept import Files, replacing_folder, train_or_keep
    from phonsmith.fits.training import existing_potential, recipe
    from phonsmith.labels.recorded.fits import write_fit
    from phonsmith.potentials.calculators import save_potential

    name, params, output = snakemake.wildcards.fit, snakemake.params, snakemake.output
    files = Files(Path(output.model), Path(output.potential), Path(output.record))
    fit = recipe(params.fit)
    if fit.kind == "recorded":
        with replacing_folder(files.model) as folder:
            write_fit(fit, read_json(snakemake.input.recorded), folder)
        write_json(output.record, None)
        write_json(output.potential, {"recorded": fit.level_of_theory})
    elif fit.kind == "existing":
        potential = existing_potential(name, fit)
        with replacing_folder(files.model):
            pass  # its model is elsewhere
        write_json(output.record, None)
        save_potential(output.potential, potential)
    else:
        found = snakemake.input.get("foundation")
        train_or_keep(
            name,
            fit,
            read_frames(snakemake.input.train),
            Baseline.load(snakemake.input.baseline),
            files,
            work=Path(params.work),
            threads=snakemake.threads,
            level_of_theory=params.level_of_theory,
            foundation_sha256=read_json(found)["sha256"] if found else None,
        )
