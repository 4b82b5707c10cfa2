"""Labels and failures by structure and generation."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.datasets import labels_table
    from phonsmith.extxyz import read_frames
    from phonsmith.files import read_json

    frames = [frame for path in snakemake.input.labels for frame in read_frames(path)]
    failures = [failure for path in snakemake.input.failures for failure in read_json(path)]
    labels_table(frames, failures).to_csv(snakemake.output[0], index=False)
