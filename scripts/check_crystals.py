"""Stop at a relaxed crystal that the campaign refuses, whatever results exist already."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.errors import PhonsmithError
    from phonsmith.files.reading_writing import write_json

    if refused := snakemake.params.refused:
        raise PhonsmithError("\n".join(refused))
    write_json(snakemake.output[0], {"refused": refused})
