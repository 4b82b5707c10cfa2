"""A batch of cells, or one of its cells alone, labelled by the reference method."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]) as tell:
    from phonsmith.files.extxyz import read_frames
    from phonsmith.files.sources import Places
    from phonsmith.labels.batches import batch_of, label_batch, outcome_of_cell, write_batch
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.settings import Labels
    from phonsmith.labels.store import LabelStore
    from phonsmith.plan.job_resources import most_minutes

    params, wildcards = snakemake.params, snakemake.wildcards
    # cells of molecular dynamics belong to no crystal
    structure, attempt = wildcards.get("structure"), snakemake.resources.attempt
    settings = Labels.model_validate(params.labels)
    cells, alone = read_frames(snakemake.input[0]), wildcards.get("index")
    if alone:
        batch = [cell for cell in cells if cell.info["index"] == int(alone)]
    else:
        batch = batch_of(cells, wildcards.batch, settings)
    limit = most_minutes(batch, params.reference, structure, attempt, params.runtime)
    allocation = Allocation(snakemake.threads, params.work, attempt, run_minutes=limit)
    method = reference_method(
        params.reference,
        recorded=params.structure["recorded"],
        places=Places(snakemake.config["mirrors"], params.sources),
        crystal=params.structure["file"],
        recorded_as=params.structure,
        structure=structure,
        allocation=allocation,
    )
    store = LabelStore(params.store, wildcards.campaign)
    found = label_batch(batch, method, settings, store, allocation)
    write_batch(*found, *snakemake.output)
    if alone:
        of = structure or wildcards.protocol
        tell(outcome_of_cell(f"cell {alone} of {of}", *found))
