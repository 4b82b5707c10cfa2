"""An existing data set: its own labels, or the new ones of its batches."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.datasets.settings import Database
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.reading_writing import read_json, write_json
    from phonsmith.files.sources import Places
    from phonsmith.labels.protocol import Failure
    from phonsmith.labels.quarantine import require_labels
    from phonsmith.labels.recorded.databases import load_database

    name = snakemake.wildcards.database
    database = Database.model_validate(snakemake.params.database)
    places = Places(snakemake.config["mirrors"], snakemake.params.sources)
    parts = load_database(name, database, places)
    relabelled = sorted(
        (frame for path in snakemake.input.labels for frame in read_frames(path)),
        key=lambda frame: frame.info["index"],
    )
    lost = [failure for path in snakemake.input.failures for failure in read_json(path)]
    failures = []
    for part, read in parts.items():
        labels = read.frames
        refused = [Failure(name, "recorded", 0, -1, f"refused: {line}") for line in read.refused]
        failed = [failure.as_dict() for failure in refused]
        if database.relabel:
            mine = {frame.info["index"] for frame in read.frames}
            labels = [frame for frame in relabelled if frame.info["index"] in mine]
            without = [failure for failure in lost if failure["index"] in mine]
            require_labels(len(labels), without, snakemake.params.fraction, f"database {name}")
            failed += without
        failures += [{"part": part, **failure} for failure in failed]
        write_frames(snakemake.output[part], labels)
    write_json(snakemake.output.failures, failures)
