"""Equation of state and elastic constants of one structure by a fit."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.calculators import load_potential, require_energies
    from phonsmith.extxyz import read_frames
    from phonsmith.mechanics import MechanicsResult, mechanics_of_fit
    from phonsmith.settings import Relaxation
    from phonsmith.verdicts import left_out

    potential = load_potential(snakemake.input.potential)
    require_energies(potential, "the equation of state")
    (crystal,) = read_frames(snakemake.input.crystal)
    relaxation = Relaxation.model_validate(snakemake.params.relaxation)
    if why := left_out(snakemake.input.accepted):
        result = MechanicsResult(mechanics=None, reason=why)
    else:
        result = mechanics_of_fit(crystal, potential.source, relaxation)
    result.tried(relaxation.max_steps, snakemake.params.again).save(snakemake.output[0])
