"""The labels of one structure from its batches."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.extxyz import read_frames, write_frames
    from phonsmith.files import read_json, write_json
    from phonsmith.labels import gather
    from phonsmith.settings import Labels

    labels, failures = gather(
        [frame for path in snakemake.input.labels for frame in read_frames(path)],
        [failure for path in snakemake.input.failures for failure in read_json(path)],
        Labels.model_validate(snakemake.params.labels),
    )
    write_frames(snakemake.output.labels, labels)
    write_json(snakemake.output.failures, failures)
