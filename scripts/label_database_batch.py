"""Relabel one batch of the cells of an existing data set with the reference method."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.datasets.settings import Database
    from phonsmith.files.sources import Places
    from phonsmith.labels.batches import batch_of, label_batch, write_batch
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.recorded.databases import cells_of_database
    from phonsmith.labels.settings import Labels
    from phonsmith.labels.store import LabelStore
    from phonsmith.plan.job_resources import most_minutes

    params, wildcards = snakemake.params, snakemake.wildcards
    database = Database.model_validate(params.database)
    settings = Labels.model_validate(params.labels)
    attempt = snakemake.resources.attempt
    places = Places(snakemake.config["mirrors"], params.sources)
    # from the data set itself: the file of the cells has fewer digits
    cells = cells_of_database(wildcards.database, database, places)
    batch = batch_of(cells, wildcards.batch, settings)
    limit = most_minutes(batch, params.reference, None, attempt, params.runtime)
    allocation = Allocation(snakemake.threads, params.work, attempt, run_minutes=limit)
    method = reference_method(params.reference, allocation=allocation)
    store = LabelStore(params.store, wildcards.campaign)
    write_batch(*label_batch(batch, method, settings, store, allocation), *snakemake.output)
