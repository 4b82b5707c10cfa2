"""Thermodynamics of all methods and crystals as tidy tables."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.thermodynamics.results import Result
    from phonsmith.thermodynamics.tables import (
        states_table,
        thermodynamics_overview,
        thermodynamics_table,
    )

    results = [Result.load(path) for path in snakemake.input]
    campaign = snakemake.wildcards.campaign
    table = thermodynamics_table(campaign, results)
    table.to_csv(snakemake.output.thermodynamics, index=False)
    overview = thermodynamics_overview(results, snakemake.params.temperature)
    overview.to_csv(snakemake.output.overview, index=False)
    states_table(campaign, results).to_csv(snakemake.output.states, index=False)
