"""Stop where the campaign wants to stop at a crystal as it was relaxed, whatever exists already."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.errors import PhonsmithError
    from phonsmith.files import write_json

    if refused := snakemake.params.refused:
        raise PhonsmithError("\n".join(refused))
    write_json(snakemake.output[0], {"refused": refused})
