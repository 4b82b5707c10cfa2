"""How far the teacher's runs came, their snapshots and their cost."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.distillation.tables import runs_table

    runs_table(snakemake.input, snakemake.params.uses).to_csv(snakemake.output[0], index=False)
