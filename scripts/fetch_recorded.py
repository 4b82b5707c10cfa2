"""The files of recorded data, from mirror, cache or web: names and checksums of those read."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.datasets.settings import Database
    from phonsmith.files.reading_writing import write_json
    from phonsmith.files.sources import sha256_of
    from phonsmith.fits.recorded.settings import RecordedFit
    from phonsmith.fits.recorded.taking import fetch_fit
    from phonsmith.labels.recorded.databases import fetch_database
    from phonsmith.labels.recorded.reading import fetch_recorded
    from phonsmith.labels.recorded.settings import RecordedReference

    params, mirrors = snakemake.params, snakemake.config["mirrors"]
    if snakemake.wildcards.get("fit"):
        paths = fetch_fit(RecordedFit.model_validate(params.fit), mirrors, params.sources)
    elif snakemake.wildcards.get("database"):
        database = Database.model_validate(params.database)
        paths = fetch_database(database, mirrors, params.sources)
    else:
        reference = RecordedReference.model_validate(params.reference).of(params.structure)
        paths = fetch_recorded(reference, params.structure["recorded"], mirrors, params.sources)
    if snakemake.wildcards.get("fit"):
        write_json(snakemake.output[0], [str(path) for path in paths])
    else:
        write_json(snakemake.output[0], {path.name: sha256_of(path) for path in paths})
