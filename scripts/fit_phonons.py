"""Phonons of all crystals by a fit, in the relaxed or in the reference cell."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.phonons.of_fit import Crystal, PhononsOfFit
    from phonsmith.phonons.settings import Phonons
    from phonsmith.structures.settings import Relaxation
    from phonsmith.supercells.settings import Displaced

    inputs, params = snakemake.input, snakemake.params
    PhononsOfFit(
        potential=Path(inputs.potential),
        model=Path(inputs.model),
        cell=snakemake.wildcards.cell,
        displaced=Displaced.model_validate(params.displaced),
        relaxation=Relaxation.model_validate(params.relaxation),
        phonons=Phonons.model_validate(params.phonons),
        index=Path(snakemake.output[0]),
    ).run(
        [
            Crystal(
                structure,
                Path(reference),
                fixed_volume=structure in params.fixed_volume,
                again=params.again.get(structure, 0),
            )
            for structure, reference in zip(params.structures, inputs.reference, strict=True)
        ],
        threads=snakemake.threads,
    )
