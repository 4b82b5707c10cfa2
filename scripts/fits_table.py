"""Time, memory and size of all fits."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.training import fits_table

    paths = zip(snakemake.params.fits, snakemake.input, strict=True)
    records = {fit: TrainingRecord.load_if_trained(path) for fit, path in paths}
    table = fits_table(records, snakemake.params.fits)
    table.to_csv(snakemake.output[0], index=False)
