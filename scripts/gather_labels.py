"""The labels of one structure or run from its batches, and those of failed cells tried again."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.files.reading_writing import read_json, write_json
    from phonsmith.labels.checks import gather
    from phonsmith.labels.quarantine import require_labels, taken_up
    from phonsmith.labels.settings import Labels

    labels, failures = gather(
        *taken_up(
            [frame for path in snakemake.input.labels for frame in read_frames(path)],
            [failure for path in snakemake.input.failures for failure in read_json(path)],
            [frame for path in snakemake.input.again for frame in read_frames(path)],
        ),
        Labels.model_validate(snakemake.params.labels),
    )
    if (fraction := snakemake.params.get("fraction")) is not None:
        require_labels(len(labels), failures, fraction, snakemake.params.what)
    again = [{**one, "again": snakemake.params.again.format(**one)} for one in failures]
    write_frames(snakemake.output.labels, labels)
    write_json(snakemake.output.failures, again)
