"""The RMSE of all fits as tables, for programs and for people."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.benchmarks.comparison import load_benchmarks
    from phonsmith.benchmarks.tables import rmse_table, special_point_table, to_markdown

    benchmarks = load_benchmarks(snakemake.input)
    table = rmse_table(benchmarks)
    table.to_csv(snakemake.output.csv, index=False)
    special_point_table(benchmarks).to_csv(snakemake.output.modes, index=False)
    Path(snakemake.output.markdown).write_text(to_markdown(table), encoding="utf-8")
