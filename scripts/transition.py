"""One transition by one method, driven by temperature or by pressure."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from pydantic import TypeAdapter

    from phonsmith.phonons.spectra import Spectrum
    from phonsmith.thermodynamics import results as thermodynamics
    from phonsmith.transitions.results import Enthalpies
    from phonsmith.transitions.settings import Transition
    from phonsmith.transitions.transition import pressure_transition, temperature_transition

    inputs, params, name = snakemake.input, snakemake.params, snakemake.wildcards.transition
    settings = TypeAdapter(Transition).validate_python(params.transition)
    thermal = [thermodynamics.Result.load(path) for path in inputs.thermodynamics]
    if settings.driven_by == "temperature":
        result = temperature_transition(
            name, settings, thermal, refuse_imaginary=params.refuse_imaginary
        )
    else:
        enthalpies = [Enthalpies.load(path) for path in inputs.enthalpies]
        spectra = {Path(path).stem: Spectrum.load_if_any(path) for path in params.spectra}
        result = pressure_transition(
            name,
            settings,
            enthalpies,
            thermal,
            minimum_frequencies_thz={
                structure: one.minimum_thz for structure, one in spectra.items() if one
            },
            tolerance_thz=params.tolerance_thz,
        )
    result.save(snakemake.output[0])
    for one in result.comparisons:
        print(f"{one.first}, {one.second}, {one.approximation}: {one.reason or one.answer}")
    for structure, reason in result.left_out.items():
        print(f"{structure}: {reason}")
