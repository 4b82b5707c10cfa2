"""The plan of one campaign."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.campaign.model import Campaign
    from phonsmith.files.reading_writing import replacing
    from phonsmith.files.sources import Places
    from phonsmith.labels.store import LabelStore
    from phonsmith.plan.cells import present_crystals
    from phonsmith.plan.gathering import Gathering, third_order_cells
    from phonsmith.plan.inputs import Site
    from phonsmith.plan.planner import make_plan
    from phonsmith.plan.text import to_markdown

    given, params = snakemake.input, snakemake.params
    campaign = Campaign.model_validate(params.campaign)
    found = Gathering(campaign, LabelStore(params.store), Path(params.work), set(params.done))
    counted = third_order_cells(given.third_order, given.counts) if given.get("counts") else {}
    plan = make_plan(
        snakemake.wildcards.campaign,
        campaign,
        present_crystals(campaign.structures, given.crystals, params.relaxed),
        found.planned_cells(zip(params.generations, given.cells, given.verdicts, strict=True)),
        databases=found.databases(Places(snakemake.config["mirrors"], params.sources)),
        third_order=counted,
        done=params.done,
        site=Site(**params.site),
    )
    with replacing(snakemake.output.markdown) as path:
        path.write_text(to_markdown(plan), encoding="utf-8")
    with replacing(snakemake.output.csv) as path:
        plan.table().to_csv(path, index=False)
    with replacing(snakemake.output.jobs) as path:
        plan.jobs_table().to_csv(path, index=False)
