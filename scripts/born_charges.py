"""Born charges and dielectric tensor of one crystal by the reference method."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames
    from phonsmith.files.reading_writing import replacing
    from phonsmith.labels.factory import reference_method
    from phonsmith.labels.protocol import Allocation
    from phonsmith.structures.verdicts import left_out

    params, structure = snakemake.params, snakemake.wildcards.structure
    allocation = Allocation(snakemake.threads, params.work, snakemake.resources.attempt)
    method = reference_method(params.reference, structure=structure, allocation=allocation)
    (crystal,) = read_frames(snakemake.input[0])
    text = "" if left_out(snakemake.input.accepted) else method.born(crystal)
    with replacing(snakemake.output[0]) as temporary:
        temporary.write_text(text, encoding="utf-8")
