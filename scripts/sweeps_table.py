"""RMSE of the swept fits beside the swept settings."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.benchmarks.tables import read_rmse_table, sweeps_table
    from phonsmith.files.reading_writing import replacing

    table = sweeps_table(read_rmse_table(snakemake.input[0]), snakemake.params.sweeps)
    with replacing(snakemake.output[0]) as temporary:
        table.to_csv(temporary, index=False)
