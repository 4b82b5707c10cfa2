"""Free energies or enthalpies of the crystals of one transition, reference and fits."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.figures.style import method_looks, save_formats
    from phonsmith.figures.transitions import draw_transition
    from phonsmith.transitions.results import Result
    from phonsmith.transitions.settings import PublishedTransition

    params = snakemake.params
    results = {result.method: result for result in map(Result.load, snakemake.input)}
    looks = method_looks(list(results), params.labels, params.level_of_theory)
    published = [PublishedTransition.model_validate(one) for one in params.published]
    figure = draw_transition(results, looks, params.structures, published)
    save_formats(figure, snakemake.output[0], params.formats, params.dpi)
