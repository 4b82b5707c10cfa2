"""Equation of state and elastic constants of all crystals by a fit."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.benchmarks.mechanics_of_fit import Crystal, MechanicsOfFit
    from phonsmith.structures.settings import Relaxation

    inputs, params = snakemake.input, snakemake.params
    MechanicsOfFit(
        potential=Path(inputs.potential),
        model=Path(inputs.model),
        relaxation=Relaxation.model_validate(params.relaxation),
        index=Path(snakemake.output[0]),
    ).run(
        [
            Crystal(structure, Path(relaxed), Path(accepted), params.again.get(structure, 0))
            for structure, relaxed, accepted in zip(
                params.structures, inputs.crystals, inputs.accepted, strict=True
            )
        ],
        snakemake.threads,
    )
