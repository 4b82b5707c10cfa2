"""Energy against volume, or volume and thermal expansion against temperature."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.figures.style import save_figure
    from phonsmith.figures.thermodynamics import draw_equations_of_state, draw_thermal_expansion
    from phonsmith.thermodynamics import Result

    draw = {
        "equations_of_state": draw_equations_of_state,
        "thermal_expansion": draw_thermal_expansion,
    }[snakemake.wildcards.figure]
    results = [Result.load(path) for path in snakemake.input]
    figure = draw(results, snakemake.params.labels)
    save_figure(figure, snakemake.output[0], snakemake.params.dpi)
