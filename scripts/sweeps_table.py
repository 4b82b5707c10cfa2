"""RMSE of the swept fits beside the swept settings."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files import replacing
    from phonsmith.tables import read_rmse_table, sweeps_table

    table = sweeps_table(read_rmse_table(snakemake.input[0]), snakemake.params.sweeps)
    with replacing(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False)
