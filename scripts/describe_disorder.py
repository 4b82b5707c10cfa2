"""Analysis of all snapshots of one potential."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.disorder.settings import Disorder
    from phonsmith.disorder.tables import described

    snapshots, lines = described(
        snakemake.wildcards.method.partition("/")[0],
        snakemake.input.runs,
        snakemake.input.crystals,
        Disorder.model_validate(snakemake.params.disorder),
    )
    snapshots.to_csv(snakemake.output.snapshots, index=False)
    lines.to_csv(snakemake.output.curves, index=False)
