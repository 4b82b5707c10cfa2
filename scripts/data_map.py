"""Map of the data that fits learn from and are tested on."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.disorder.data_map import data_map, sets_of
    from phonsmith.disorder.settings import SimilaritySoap
    from phonsmith.files.extxyz import read_frames

    inputs, params = snakemake.input, snakemake.params
    table = data_map(
        sets_of(read_frames(inputs.train), read_frames(inputs.test)),
        SimilaritySoap.model_validate(params.similarity),
        params.seed,
    )
    table.to_csv(snakemake.output[0], index=False)
