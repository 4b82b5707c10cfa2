"""All phase transitions by all methods as tidy tables."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.reading_writing import replacing
    from phonsmith.transitions.results import Result
    from phonsmith.transitions.settings import PublishedTransition
    from phonsmith.transitions.tables import overview, transitions_table

    params = snakemake.params
    results = [Result.load(path) for path in snakemake.input]
    table = transitions_table(snakemake.wildcards.campaign, results, params.groups)
    published = {
        name: [PublishedTransition.model_validate(one) for one in values]
        for name, values in params.published.items()
    }
    labels = {"reference": params.level_of_theory, **params.labels}
    shown = overview(table, published, labels)
    for path, content in (
        (snakemake.output.transitions, table),
        (snakemake.output.overview, shown),
    ):
        with replacing(path) as temporary:
            content.to_csv(temporary, index=False)
