"""Time, memory and size of all fits."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.fits import TrainingRecord, fits_table

    paths = zip(snakemake.params.fits, snakemake.input, strict=True)
    records = {fit: TrainingRecord.load(path) for fit, path in paths}
    table = fits_table(records, snakemake.params.fits)
    table.to_csv(snakemake.output[0], index=False)
