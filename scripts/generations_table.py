"""The verdicts of all generations, and what each has added to the data."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.extxyz import read_frames
    from phonsmith.generations.verdict import (
        GenerationVerdict,
        data_per_generation,
        generations_table,
        properties_table,
    )

    verdicts = [GenerationVerdict.load(path) for path in snakemake.input.verdicts]
    generations_table(verdicts).to_csv(snakemake.output.generations, index=False)
    properties_table(verdicts).to_csv(snakemake.output.properties, index=False)
    train, test = (read_frames(snakemake.input[key][0]) for key in ("train", "test"))
    data_per_generation(train, test).to_csv(snakemake.output.data, index=False)
