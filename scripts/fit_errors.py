"""Errors of a fit on training and test set; of an existing potential on the test set alone.

The zero of energy of an existing potential is another one: its energies are shifted. Recorded
forces are compared where they are of the very cells of the reference. Force constants give the
forces of cells at the reference's volume.
"""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from pathlib import Path

    import pandas as pd

    from phonsmith.files.extxyz import read_frames
    from phonsmith.fits.errors import (
        errors_of,
        harmonic_predictions,
        predict,
        predict_shifted,
        recorded_predictions,
        save_predictions,
    )
    from phonsmith.phonons.files import load_phonons
    from phonsmith.potentials.calculators import has_calculator, load_potential

    inputs, threads = snakemake.input, snakemake.threads
    train = [frame for path in inputs.train for frame in read_frames(path)]
    test = [frame for path in inputs.test for frame in read_frames(path)]
    shift = None
    parts = {"train": train, "test": test}
    if not has_calculator(inputs.potential):
        phonons = {
            path.stem: load_phonons(path) for path in sorted(Path(inputs.model).glob("*.yaml"))
        }
        if train:
            tables = [harmonic_predictions(frames, phonons, part) for part, frames in parts.items()]
            predictions = pd.concat(tables, ignore_index=True)
        else:
            predictions = recorded_predictions(test, phonons, "test")
    elif not train:
        source = load_potential(inputs.potential).source
        predictions, shift = predict_shifted(source, test, "test", threads)
    else:
        source = load_potential(inputs.potential).source
        tables = [predict(source, frames, part, threads) for part, frames in parts.items()]
        predictions = pd.concat(tables, ignore_index=True)
    save_predictions(snakemake.output.predictions, predictions)
    errors_of(predictions, shift).to_csv(snakemake.output.errors, index=False)
