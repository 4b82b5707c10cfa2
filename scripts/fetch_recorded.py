"""The files of recorded data, from mirror, cache or web: paths and checksums of those read."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files import write_json
    from phonsmith.labels.recorded import fetch_database, fetch_fit, fetch_recorded
    from phonsmith.recipes import RecordedFit
    from phonsmith.recorded_volumes import fetch_volumes
    from phonsmith.references import RecordedReference
    from phonsmith.settings import Database, Structure
    from phonsmith.sources import sha256_of

    params, places = snakemake.params, (snakemake.config["mirrors"], snakemake.params.sources)
    if fit := params.get("fit"):
        paths = fetch_fit(RecordedFit.model_validate(fit), *places)
    elif database := params.get("database"):
        paths = fetch_database(Database.model_validate(database), *places)
    else:
        structure = Structure.model_validate(params.structure)
        reference = RecordedReference.model_validate(params.reference).of(params.structure)
        if params.get("volumes"):
            paths = fetch_volumes(reference, structure, *places)
        else:
            paths = fetch_recorded(reference, structure.recorded, *places)
    write_json(snakemake.output[0], {str(path): sha256_of(path) for path in paths})
