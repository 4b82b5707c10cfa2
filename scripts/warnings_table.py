"""The warnings of all stages in one table."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.campaign.model import Campaign
    from phonsmith.figures.cautions import cautions
    from phonsmith.figures.results_read import Tables
    from phonsmith.files.cautions import of_failures, of_records, write_cautions
    from phonsmith.generations.verdict import GenerationVerdict

    inputs = snakemake.input
    tables = Tables.read(
        rmse=inputs.rmse or None,
        structures=inputs.structures,
        phonons=inputs.phonons,
        labels=inputs.labels,
        fits=inputs.fits or None,
        errors=inputs.errors or None,
        generations=inputs.generations or None,
    )
    verdict = GenerationVerdict.load(inputs.verdict) if inputs.verdict else None
    paths = iter(inputs.records)
    records = {
        stage: [(subject, next(paths)) for subject in subjects]
        for stage, subjects in snakemake.params.subjects.items()
    }
    campaign = Campaign.model_validate(snakemake.params.campaign)
    write_cautions(
        snakemake.output[0],
        [
            *cautions(campaign, tables, verdict),
            *of_failures(zip(campaign.datasets.databases, inputs.databases, strict=True)),
            *of_records(records),
        ],
    )
