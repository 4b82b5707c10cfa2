"""Thermal conductivity of one crystal by one method on one mesh."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.applications import Conductivity
    from phonsmith.conductivity import for_convergence, thermal_conductivity, without_result
    from phonsmith.conductivity_mesh import with_mesh_numbers
    from phonsmith.files import read_json
    from phonsmith.phonons import load_phonons
    from phonsmith.third_order import load_third_order

    inputs, params, names = snakemake.input, snakemake.params, snakemake.wildcards
    settings = Conductivity.model_validate(params.conductivity)
    if params.converging is not None:
        settings = for_convergence(settings, params.converging)
    reason, modes = read_json(inputs.record)["reason"], None
    if reason:
        result = without_result(names.structure, names.method, settings, reason)
    else:
        result, modes = thermal_conductivity(
            load_third_order(inputs.yaml, inputs.fc3, inputs.fc2),
            with_mesh_numbers(settings, load_phonons(inputs.template)),
            names.structure,
            names.method,
            imaginary_tolerance_thz=params.imaginary_tolerance,
        )
    result.save(snakemake.output.result)
    if modes is None:
        Path(snakemake.output.modes).touch()  # the result says why
    else:
        modes.save(snakemake.output.modes)
