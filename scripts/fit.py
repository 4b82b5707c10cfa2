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

    name, params, output = snakemake.wildcards.fit, snakemake.params, snakemake.output
    folder = Path(output.model)
    folder.mkdir(parents=True, exist_ok=True)
    fit = recipe(params.fit)
    if fit.kind == "existing":
        potential = existing_potential(name, fit)
        write_json(output.record, None)
    else:
        record = train(
            fit,
            read_frames(snakemake.input.train),
            Baseline.load(snakemake.input.baseline),
            folder,
            Path(params.work),
            snakemake.threads,
            params.has_energies,
        )
        record.save(output.record)
        potential = Potential(
            source=PotentialSource(calculator=fit.kind, model=str(folder / record.model)),
            has_energies=params.has_energies,
            level_of_theory=params.level_of_theory,
            fit=name,
        )
    save_potential(output.potential, potential)
