"""Equation of state and elastic constants of one structure by the reference method."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.benchmarks.mechanics import MechanicsResult, mechanics
    from phonsmith.files.extxyz import read_frames
    from phonsmith.labels.calculator.settings import CalculatorReference
    from phonsmith.structures.verdicts import left_out

    reference = CalculatorReference.model_validate(snakemake.params.reference)
    (crystal,) = read_frames(snakemake.input[0])
    if why := left_out(snakemake.input.accepted):
        result = MechanicsResult(mechanics=None, reason=why)
    else:
        result = MechanicsResult(mechanics=mechanics(crystal, reference.potential))
    result.save(snakemake.output[0])
