"""Whether recorded crystals are of one level of theory, and what readers have to know of that."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.files.cautions import Cautions
    from phonsmith.labels.recorded.levels_of_crystals import RecordedFacts, compare_crystals

    params = snakemake.params
    levels = [RecordedFacts.load(path) for path in snakemake.input]
    found = compare_crystals(
        dict(zip(params.structures, levels, strict=True)),
        params.learnt,
        allow_mixed=params.allow_mixed,
    )
    Cautions(cautions=found).save(snakemake.output[0])
