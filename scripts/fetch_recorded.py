"""The files of recorded data, from mirror, cache or web: paths and checksums of those read."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.datasets.settings import Database
    from phonsmith.files.reading_writing import write_json
    from phonsmith.files.sources import Places, sha256_of
    from phonsmith.fits.recorded.settings import RecordedFit
    from phonsmith.fits.recorded.taking import fetch_fit
    from phonsmith.labels.recorded.databases import fetch_database
    from phonsmith.labels.recorded.reading import fetch_recorded
    from phonsmith.labels.recorded.settings import RecordedReference
    from phonsmith.structures.settings import Structure
    from phonsmith.thermodynamics.recorded_volumes import fetch_volumes

    params = snakemake.params
    places = Places(snakemake.config["mirrors"], params.sources)
    if fit := params.get("fit"):
        paths = fetch_fit(RecordedFit.model_validate(fit), places)
    elif database := params.get("database"):
        paths = fetch_database(Database.model_validate(database), places)
    else:
        structure = Structure.model_validate(params.structure)
        reference = RecordedReference.model_validate(params.reference).of(params.structure)
        if params.get("volumes"):
            paths = fetch_volumes(reference, structure, places)
        else:
            paths = fetch_recorded(reference, structure.recorded, places)
    write_json(snakemake.output[0], {str(path): sha256_of(path) for path in paths})
