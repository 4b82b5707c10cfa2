"""Reference crystals relaxed with one potential at each pressure."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.disorder.crystals import ReferenceCrystals, under_pressure
    from phonsmith.disorder.prototypes import prototype
    from phonsmith.labels.factory import potential_method
    from phonsmith.structures.settings import Relaxation

    params = snakemake.params
    method = potential_method(params.reference, snakemake.input.get("potential"))
    relaxation = Relaxation.model_validate(params.relaxation)
    crystals = [
        crystal
        for name in params.disorder["crystals"]
        for crystal in under_pressure(
            name,
            prototype(name, params.disorder["element"]),
            method.calculator,
            params.pressures,
            relaxation,
        )
    ]
    ReferenceCrystals(crystals=crystals).save(snakemake.output[0])
