"""Forces on one batch of third-order cells, by the reference method or by a fit."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.files.extxyz import read_frames
    from phonsmith.labels.batches import batch_of, label_batch, write_batch
    from phonsmith.labels.factory import fitted_method, reference_method
    from phonsmith.labels.protocol import Allocation
    from phonsmith.labels.settings import Labels
    from phonsmith.labels.store import LabelStore
    from phonsmith.plan.job_resources import most_minutes
    from phonsmith.potentials.calculators import load_potential

    settings = Labels.model_validate(snakemake.params.labels)
    cells, attempt = read_frames(snakemake.input[0]), snakemake.resources.attempt
    batch = batch_of(cells, snakemake.wildcards.batch, settings)
    potential = snakemake.input.get("potential")
    if potential:
        method = fitted_method(load_potential(potential))
    else:
        params, structure = snakemake.params, snakemake.wildcards.structure
        limit = most_minutes(batch, params.reference, structure, attempt, params.runtime)
        method = reference_method(
            snakemake.params.reference,
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
    write_batch(labels, failures, snakemake.output.labels, snakemake.output.failures)
