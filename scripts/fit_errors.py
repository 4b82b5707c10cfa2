"""Errors of a fit on training and test set; of an existing potential on the test set alone.

The zero of energy of an existing potential is another one: its energies are shifted.
"""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.files.extxyz import read_frames
    from phonsmith.fits.errors import (
        SHIFT_COLUMN,
        errors_of,
        predict,
        predict_shifted,
        save_predictions,
        shift_in_words,
    )
    from phonsmith.potentials.calculators import load_potential

    inputs, threads = snakemake.input, snakemake.threads
    source = load_potential(inputs.potential).source
    train = [frame for path in inputs.train for frame in read_frames(path)]
    test = [frame for path in inputs.test for frame in read_frames(path)]
    if not train:
        predictions, shift = predict_shifted(source, test, "test", threads)
        errors = errors_of(predictions)
        errors[SHIFT_COLUMN] = ""
        errors.loc[errors["quantity"] == "energy", SHIFT_COLUMN] = shift_in_words(shift)
    else:
        parts = {"train": train, "test": test}
        tables = [predict(source, frames, part, threads) for part, frames in parts.items()]
        predictions = pd.concat(tables, ignore_index=True)
        errors = errors_of(predictions)
    save_predictions(snakemake.output.predictions, predictions)
    errors.to_csv(snakemake.output.errors, index=False)
