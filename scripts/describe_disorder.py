"""Analysis of all snapshots of one potential."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.disorder.settings import Disorder
    from phonsmith.disorder.tables import described
    from phonsmith.files.cautions import Cautions

    output = snakemake.output
    found = described(
        snakemake.wildcards.method.partition("/")[0],
        snakemake.input.runs,
        snakemake.input.crystals,
        Disorder.model_validate(snakemake.params.disorder),
        snakemake.threads,
    )
    found.snapshots.to_csv(output.snapshots, index=False)
    found.curves.to_csv(output.curves, index=False)
    Cautions(cautions=tuple(found.cautions)).save(output.cautions)
