"""Thermal conductivity of one crystal by one method on one mesh."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.conductivity.jackknife import with_jackknife
    from phonsmith.conductivity.kappa import for_convergence, thermal_conductivity, without_result
    from phonsmith.conductivity.mesh import with_mesh_numbers
    from phonsmith.conductivity.settings import Conductivity
    from phonsmith.conductivity.third_order import load_third_order
    from phonsmith.files.reading_writing import read_json
    from phonsmith.phonons.files import load_phonons

    inputs, params, names = snakemake.input, snakemake.params, snakemake.wildcards
    settings = Conductivity.model_validate(params.conductivity)
    if params.converging is not None:
        settings = for_convergence(settings, params.converging)
    reason, modes = read_json(inputs.record)["reason"], None
    if reason:
        result = without_result(names.structure, names.method, settings, reason)
    else:
        settings = with_mesh_numbers(settings, load_phonons(inputs.template))
        third = load_third_order(inputs.yaml, inputs.fc3, inputs.fc2)
        result, modes = thermal_conductivity(
            third,
            settings,
            names.structure,
            names.method,
            imaginary_tolerance_thz=params.imaginary_tolerance,
        )
        if params.converging is None:
            result = with_jackknife(
                result,
                third,
                settings,
                pair_cutoff_angstrom=params.pair_cutoff,
                imaginary_tolerance_thz=params.imaginary_tolerance,
            )
    result.save(snakemake.output.result)
    if modes is None:
        Path(snakemake.output.modes).touch()  # the result contains the reason
    else:
        modes.save(snakemake.output.modes)
