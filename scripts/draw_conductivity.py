"""κ against temperature and cumulative κ of one crystal."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.conductivity.kappa import KappaResult, Modes
    from phonsmith.conductivity.settings import Conductivity
    from phonsmith.figures.conductivity import draw_conductivity, draw_cumulative
    from phonsmith.figures.style import method_looks, save_formats

    params, output = snakemake.params, snakemake.output
    structure = snakemake.wildcards.structure
    settings = Conductivity.model_validate(params.conductivity)
    table = pd.read_csv(snakemake.input.table, dtype={"structure": str, "method": str})
    methods = [KappaResult.load(path).method for path in snakemake.input.results]
    looks = method_looks(methods, params.labels, params.level_of_theory)
    modes = dict(zip(methods, map(Modes.load, snakemake.input.modes), strict=True))
    figure = draw_conductivity(table[table["structure"] == structure], looks, settings, structure)
    save_formats(figure, output.temperature, params.formats, params.dpi)
    wanted = settings.cumulative_kelvin or settings.temperatures_kelvin[0]
    figure = draw_cumulative(modes, looks, wanted, structure)
    save_formats(figure, output.cumulative, params.formats, params.dpi)
