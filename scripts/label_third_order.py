"""Forces on one batch of third-order cells, by the reference method or by a fit."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import math

    from phonsmith.files.extxyz import read_frames
    from phonsmith.labels.batches import batch_of, label_batch, write_batch
    from phonsmith.labels.factory import reference_or_fit
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.settings import Labels
    from phonsmith.labels.store import LabelStore
    from phonsmith.plan.job_resources import most_minutes

    params, wildcards = snakemake.params, snakemake.wildcards
    settings, attempt = Labels.model_validate(params.labels), snakemake.resources.attempt
    structure, potential = wildcards.structure, snakemake.input.get("potential")
    batch = batch_of(read_frames(snakemake.input[0]), wildcards.batch, settings)
    if not batch:  # a fit that has its own cells with forces need not be a potential
        labels, failures = [], []
    else:
        limit = math.inf
        if not potential:
            limit = most_minutes(batch, params.reference, structure, attempt, params.runtime)
        allocation = Allocation(snakemake.threads, params.work, attempt, run_minutes=limit)
        method = reference_or_fit(
            params.reference, potential, structure=structure, allocation=allocation
        )
        store = LabelStore(params.store, wildcards.campaign)
        labels, failures = label_batch(batch, method, settings, store, allocation)
    write_batch(labels, failures, *snakemake.output)
