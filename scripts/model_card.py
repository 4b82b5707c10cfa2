"""The card of a trained potential."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.campaign.model import Campaign
    from phonsmith.figures.model_card import FitResults, model_card
    from phonsmith.figures.results_read import Tables
    from phonsmith.files.reading_writing import replacing

    inputs, wildcards = snakemake.input, snakemake.wildcards
    names = ("rmse", "structures", "labels", "fits", "errors", "phonons", "warnings")
    card = model_card(
        wildcards.campaign,
        Campaign.model_validate(snakemake.params.campaign),
        FitResults(
            wildcards.fit,
            int(wildcards.generation),
            *(Path(inputs[name]) for name in ("potential", "model", "record", "train")),
        ),
        Tables.read(**{name: inputs[name] for name in names}),
        accepted=snakemake.params.accepted,
    )
    with replacing(snakemake.output[0]) as temporary:
        temporary.write_text(card, encoding="utf-8")
