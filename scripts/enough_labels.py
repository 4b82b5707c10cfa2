"""Check that enough cells of a generation are labelled to continue."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import count_frames
    from phonsmith.files.reading_writing import read_json, write_json
    from phonsmith.labels.quarantine import require_labels

    labelled = sum(count_frames(path) for path in snakemake.input.labels)
    failures = [failure for path in snakemake.input.failures for failure in read_json(path)]
    name, generation = snakemake.wildcards.campaign, snakemake.wildcards.generation
    require_labels(
        labelled, failures, snakemake.params.fraction, f"{name}, generation {generation}"
    )
    write_json(snakemake.output[0], {"labelled": labelled, "failed": len(failures)})
