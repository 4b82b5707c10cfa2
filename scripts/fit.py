"""One potential: trained, or taken as it is."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.calculators import Potential, save_potential
    from phonsmith.datasets import Baseline
    from phonsmith.extxyz import read_frames
    from phonsmith.files import write_json
    from phonsmith.fits import existing_potential, recipe, train
    from phonsmith.settings import PotentialSource
    from phonsmith.sources import sha256_of

    name, params, output = snakemake.wildcards.fit, snakemake.params, snakemake.output
    folder = Path(output.model)
    folder.mkdir(parents=True, exist_ok=True)
    fit = recipe(params.fit)
    if fit.kind == "existing":
        potential = existing_potential(name, fit)
        write_json(output.record, None)
    else:
        baseline = Baseline.load(snakemake.input.baseline)
        frames = read_frames(snakemake.input.train)
        work = Path(params.work)
        record = train(fit, frames, baseline, folder, work, snakemake.threads)
        record.save(output.record)
        potential = Potential(
            source=PotentialSource(
                calculator=fit.kind,
                model=str(folder / record.model),
                sha256=sha256_of(folder / record.model),
            ),
            has_energies=baseline.has_energies,
            level_of_theory=params.level_of_theory,
            fit=name,
        )
    save_potential(output.potential, potential)
