"""Errors of a fit on its training and test set."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.calculators import load_potential
    from phonsmith.extxyz import read_frames
    from phonsmith.fits.errors import errors_of, predict, save_predictions

    potential = load_potential(snakemake.input.potential)
    tables = [
        predict(potential.source, read_frames(snakemake.input[part]), part, snakemake.threads)
        for part in ("train", "test")
    ]
    predictions = pd.concat(tables, ignore_index=True)
    save_predictions(snakemake.output.predictions, predictions)
    errors_of(predictions).to_csv(snakemake.output.errors, index=False)
