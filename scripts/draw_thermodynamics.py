"""Energy against volume, or volume and thermal expansion against temperature."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.figures.style import method_looks, save_formats
    from phonsmith.figures.thermodynamics import draw_equations_of_state, draw_thermal_expansion
    from phonsmith.thermodynamics.results import Result

    draw = {
        "equations_of_state": draw_equations_of_state,
        "thermal_expansion": draw_thermal_expansion,
    }[snakemake.wildcards.figure]
    params = snakemake.params
    results = [Result.load(path) for path in snakemake.input]
    looks = method_looks((one.method for one in results), params.labels, params.level_of_theory)
    save_formats(draw(results, looks), snakemake.output[0], params.formats, params.dpi)
