"""The plan of one campaign."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from collections import defaultdict
    from pathlib import Path

    from phonsmith.campaign.model import Campaign
    from phonsmith.files.extxyz import read_frames
    from phonsmith.files.reading_writing import read_json, replacing
    from phonsmith.files.sources import at_hand
    from phonsmith.labels.checks import unlabelled
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.recorded.databases import load_database
    from phonsmith.labels.store import LabelStore
    from phonsmith.plan.jobs import Site
    from phonsmith.plan.planner import Cells, ThirdOrderCells, finished_labels, made, make_plan
    from phonsmith.plan.text import to_markdown

    params = snakemake.params
    campaign = Campaign.model_validate(params.campaign)
    store, done = LabelStore(params.store), set(params.done)
    mirrors = snakemake.config["mirrors"]

    def method(structure):
        """The reference method, to look up what it has labelled."""
        return reference_method(
            campaign.reference,
            structure=structure,
            allocation=Allocation(work=Path(params.work)),
        )

    def labels_of(cells, structure):
        if campaign.recorded:
            return [None] * len(cells)
        known = campaign.reference.physics_of(structure)
        return finished_labels(cells, store, method(structure), known)

    crystals = {}
    for structure, path in zip(campaign.structures, snakemake.input.crystals, strict=True):
        (crystals[structure],) = read_frames(params.relaxed.get(structure, [path])[0])
    planned = {}
    for g, path, verdicts in zip(
        params.generations, snakemake.input.cells, snakemake.input.verdicts, strict=True
    ):
        frames = defaultdict(list)
        for cell in read_frames(path):
            frames[cell.info["structure"]].append(cell)
        for structure, verdict in read_json(verdicts).items():
            cells = frames[structure]
            labels = labels_of(cells, structure)
            planned[g, structure] = Cells(
                cells, labels, made("labels", g, structure) in done, **verdict
            )
    databases = {}
    for name, database in campaign.datasets.databases.items():
        databases[name] = None
        if at_hand(database.source, mirrors, params.sources):
            databases[name] = {}
            for part, read in load_database(name, database, mirrors, params.sources).items():
                cells = unlabelled(
                    frame for frame in read.frames if frame.info["kind"] != "isolated_atom"
                )
                labels = labels_of(cells, None) if database.relabel else [None] * len(cells)
                databases[name][part] = Cells(cells, labels, made("database", name) in done)
    third_order = {}
    if snakemake.input.get("counts"):
        cell_of = {
            cell.info["structure"]: cell for cell in read_frames(snakemake.input.third_order)
        }
        for structure, counted in read_json(snakemake.input.counts).items():
            third_order[structure] = ThirdOrderCells(cell_of.get(structure), **counted)
    plan = make_plan(
        snakemake.wildcards.campaign,
        campaign,
        crystals,
        planned,
        databases=databases,
        third_order=third_order,
        done=done,
        site=Site(**params.site),
    )
    with replacing(snakemake.output.markdown) as path:
        path.write_text(to_markdown(plan), encoding="utf-8")
    with replacing(snakemake.output.csv) as path:
        plan.table().to_csv(path, index=False)
