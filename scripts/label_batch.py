"""One batch of supercells, labelled by the reference method or from the recorded data set."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]) as tell:
    from pathlib import Path

    from phonsmith.files.extxyz import read_frames, write_frames
    from phonsmith.labels.batches import batch_of, label_batch, write_batch
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.settings import Labels
    from phonsmith.labels.store import LabelStore
    from phonsmith.plan.job_resources import most_minutes

    structure = snakemake.params.structure
    settings = Labels.model_validate(snakemake.params.labels)
    cells, attempt = read_frames(snakemake.input[0]), snakemake.resources.attempt
    alone = snakemake.wildcards.get("index")
    if alone is None:
        batch = batch_of(cells, snakemake.wildcards.batch, settings)
    else:
        batch = [cell for cell in cells if cell.info["index"] == int(alone)]
    params, structure_id = snakemake.params, snakemake.wildcards.structure
    limit = most_minutes(batch, params.reference, structure_id, attempt, params.runtime)
    method = reference_method(
        snakemake.params.reference,
        recorded=structure["recorded"],
        mirrors=snakemake.config["mirrors"],
        cache=snakemake.params.sources,
        crystal=structure["file"],
        recorded_as=structure,
        structure=snakemake.wildcards.structure,
        allocation=Allocation(
            snakemake.threads, Path(snakemake.params.work), attempt, run_minutes=limit
        ),
    )
    labels, failures = label_batch(
        batch,
        method,
        settings,
        LabelStore(snakemake.params.store, snakemake.wildcards.campaign),
        threads=snakemake.threads,
        attempt=attempt,
    )
    if alone is None:
        write_batch(labels, failures, snakemake.output.labels, snakemake.output.failures)
    else:
        write_frames(snakemake.output.labels, labels)
        cell = f"cell {alone} of {snakemake.wildcards.structure}"
        if failures:
            tell(f"{cell} fails again: {failures[0].reason}")
        elif labels:
            tell(f"{cell} is labelled; the next run uses it")
        else:
            tell(f"{snakemake.wildcards.structure} has no cell {alone}")
