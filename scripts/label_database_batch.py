"""Relabel one batch of the cells of an existing data set with the reference method."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.datasets.settings import Database
    from phonsmith.labels.batches import batch_of, label_batch, write_batch
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.recorded.databases import cells_of_database
    from phonsmith.labels.settings import Labels
    from phonsmith.labels.store import LabelStore
    from phonsmith.plan.job_resources import most_minutes

    database = Database.model_validate(snakemake.params.database)
    settings = Labels.model_validate(snakemake.params.labels)
    mirrors, cache = snakemake.config["mirrors"], snakemake.params.sources
    # from the data set itself: the file of the cells has fewer digits
    cells = cells_of_database(snakemake.wildcards.database, database, mirrors, cache)
    batch = batch_of(cells, snakemake.wildcards.batch, settings)
    params, attempt = snakemake.params, snakemake.resources.attempt
    limit = most_minutes(batch, params.reference, None, attempt, params.runtime)
    labels, failures = label_batch(
        batch,
        reference_method(
            snakemake.params.reference,
            allocation=Allocation(
                snakemake.threads, Path(snakemake.params.work), attempt, run_minutes=limit
            ),
        ),
        settings,
        LabelStore(snakemake.params.store, snakemake.wildcards.campaign),
        threads=snakemake.threads,
        attempt=attempt,
    )
    write_batch(labels, failures, snakemake.output.labels, snakemake.output.failures)
