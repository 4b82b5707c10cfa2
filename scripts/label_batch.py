"""One batch of supercells, labelled by the reference method or from the recorded data set."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    from phonsmith.extxyz import read_frames, write_frames
    from phonsmith.files import write_json
    from phonsmith.labels import (
        Allocation,
        LabelStore,
        ask_for_more,
        label_cells,
        reference_method,
    )
    from phonsmith.settings import Labels

    structure = snakemake.params.structure
    settings = Labels.model_validate(snakemake.params.labels)
    method = reference_method(
        snakemake.params.reference,
        recorded=structure["recorded"],
        mirrors=snakemake.config["mirrors"],
        cache=snakemake.params.sources,
        crystal=structure["file"],
        structure=snakemake.wildcards.structure,
        allocation=Allocation(
            snakemake.threads, Path(snakemake.params.work), snakemake.resources.attempt
        ),
    )
    cells = read_frames(snakemake.input[0])
    batch = cells[int(snakemake.wildcards.batch) :: settings.batches_per_structure]
    labels, failures = label_cells(
        batch, method, settings, LabelStore(snakemake.params.store), snakemake.threads
    )
    ask_for_more(failures, snakemake.resources.attempt)
    write_frames(snakemake.output.labels, labels)
    write_json(snakemake.output.failures, [failure.as_dict() for failure in failures])
