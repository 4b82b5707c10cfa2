"""Random structure searches of the teacher: a row for each crystal."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.distillation.tables import searches_table

    table = searches_table(snakemake.input, snakemake.params.uses)
    table.to_csv(snakemake.output[0], index=False)
