"""An existing data set: its own labels, or labelled anew by the reference method."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.extxyz import write_frames
    from phonsmith.files import write_json
    from phonsmith.labels import (
        Allocation,
        Failure,
        LabelStore,
        ask_for_more,
        label_cells,
        reference_method,
        require_labels,
        unlabelled,
    )
    from phonsmith.labels.recorded import load_database
    from phonsmith.settings import Database, Labels

    name = snakemake.wildcards.database
    database = Database.model_validate(snakemake.params.database)
    parts = load_database(name, database, snakemake.config["mirrors"], snakemake.params.sources)
    allocation = Allocation(
        snakemake.threads, Path(snakemake.params.work), snakemake.resources.attempt
    )
    failures = []
    for part, read in parts.items():
        labels = read.frames
        failed = [Failure(name, "recorded", 0, -1, f"refused: {line}") for line in read.refused]
        if database.relabel:
            labels, lost = label_cells(
                unlabelled(one for one in labels if one.info["kind"] != "isolated_atom"),
                reference_method(snakemake.params.reference, allocation=allocation),
                Labels.model_validate(snakemake.params.labels),
                LabelStore(snakemake.params.store, snakemake.wildcards.campaign),
                snakemake.threads,
            )
            ask_for_more(lost, allocation.attempt)
            records = [failure.as_dict() for failure in lost]
            require_labels(len(labels), records, snakemake.params.fraction, f"database {name}")
            failed += lost
        failures += [{"part": part, **failure.as_dict()} for failure in failed]
        write_frames(snakemake.output[part], labels)
    write_json(snakemake.output.failures, failures)
