"""Whether enough cells of a generation are labelled to go on."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.extxyz import count_frames
    from phonsmith.files import read_json, write_json
    from phonsmith.labels import require_labels

    labelled = sum(count_frames(path) for path in snakemake.input.labels)
    failures = [failure for path in snakemake.input.failures for failure in read_json(path)]
    name, generation = snakemake.wildcards.campaign, snakemake.wildcards.generation
    require_labels(
        labelled, failures, snakemake.params.fraction, f"{name}, generation {generation}"
    )
    write_json(snakemake.output[0], {"labelled": labelled, "failed": len(failures)})
