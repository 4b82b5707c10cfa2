"""Errors of fits against the number of distilled cells that they learn from."""

from collections.abc import Mapping, Sequence

import pandas as pd
from ase import Atoms

from phonsmith.benchmarks.tables import errors_on_test_sets
from phonsmith.files.extxyz import of_kinds
from phonsmith.fits.settings import TrainedFit
from phonsmith.fits.training import learnable

MAE = ("energy_mae_ev_per_atom", "force_mae_ev_per_angstrom")


def distilled_sizes(fits: Mapping[str, TrainedFit], train: Sequence[Atoms]) -> pd.DataFrame:
    """Count the distilled cells and atoms that fits learn from.

    Returns
    -------
    A row for each fit: ``fit``, ``distilled_cells``, ``distilled_atoms``.
    """
    rows = []
    for name, fit in fits.items():
        cells = of_kinds(learnable(train, fit, has_energies=True), ["distilled"])
        rows.append((name, len(cells), sum(map(len, cells))))
    return pd.DataFrame(rows, columns=["fit", "distilled_cells", "distilled_atoms"])


def error_against_size(
    errors: pd.DataFrame, sizes: pd.DataFrame, series: Mapping[str, str]
) -> pd.DataFrame:
    """Average errors on the test sets over the fits with equal settings and sizes.

    Parameters
    ----------
    errors
        Errors of the fits on labels, see :func:`phonsmith.fits.errors.errors_of`.
    sizes
        Table of :func:`distilled_sizes`.
    series
        Series of each fit: fits of a series differ in size and seed alone.

    Returns
    -------
    A row for each series, group of test cells (``data``) and number of ``distilled_cells``:
    ``distilled_atoms`` (mean over the fits), ``fits`` (their number), and for the MAE of energies
    and force components mean and standard deviation (n - 1; missing with one fit) over the fits:
    ``energy_mae_ev_per_atom``, ``energy_mae_ev_per_atom_std``, …
    """
    table = errors_on_test_sets(errors).merge(sizes, on="fit")
    table = table.assign(series=table["fit"].map(series))
    columns = [name for name in MAE if name in table]
    keys = ["series", "data", "distilled_cells"]
    groups = table.groupby(keys, sort=False)
    found = groups.agg(
        distilled_atoms=("distilled_atoms", "mean"),
        fits=("fit", "count"),
        **{
            key: value
            for name in columns
            for key, value in ((name, (name, "mean")), (f"{name}_std", (name, "std")))
        },
    )
    return found.reset_index().sort_values(keys, ignore_index=True)
