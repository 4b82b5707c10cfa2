"""The cells of an existing data set that gets new labels."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.datasets.settings import Database
    from phonsmith.files.extxyz import write_frames
    from phonsmith.files.sources import Places
    from phonsmith.labels.recorded.databases import cells_of_database

    database = Database.model_validate(snakemake.params.database)
    places = Places(snakemake.config["mirrors"], snakemake.params.sources)
    cells = cells_of_database(snakemake.wildcards.database, database, places)
    write_frames(snakemake.output[0], cells)
