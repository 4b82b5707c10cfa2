"""Labels and failures by structure and generation."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.datasets.sets import labels_table
    from phonsmith.files.extxyz import read_frames
    from phonsmith.files.reading_writing import read_json

    inputs = snakemake.input
    labels = [*inputs.labels, *inputs.driven_labels]
    lost = [*inputs.failures, *inputs.driven_failures]
    frames = [frame for path in labels for frame in read_frames(path)]
    failures = [failure for path in lost for failure in read_json(path)]
    labels_table(frames, failures).to_csv(snakemake.output[0], index=False)
