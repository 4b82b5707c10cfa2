"""One batch of the cells of an existing data set, labelled anew by the reference method."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.datasets.settings import Database
    from phonsmith.files.extxyz import write_frames
    from phonsmith.files.reading_writing import write_json
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.labelling import ask_for_more, label_cells
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
    batch = cells[int(snakemake.wildcards.batch) :: settings.batches_per_structure]
    params, attempt = snakemake.params, snakemake.resources.attempt
    limit = most_minutes(batch, params.reference, None, attempt, params.runtime)
    labels, failures = label_cells(
        batch,
        reference_method(
            snakemake.params.reference,
            allocation=Allocation(
                snakemake.threads, Path(snakemake.params.work), attempt, run_minutes=limit
            ),
        ),
        settings,
        LabelStore(snakemake.params.store, snakemake.wildcards.campaign),
        snakemake.threads,
    )
    ask_for_more(failures, attempt)
    write_frames(snakemake.output.labels, labels)
    write_json(snakemake.output.failures, [failure.as_dict() for failure in failures])
