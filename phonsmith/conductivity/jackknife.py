"""Uncertainty of conductivities due to the number and choice of random third-order cells.

Delete-a-group jackknife: the cells are divided into G groups of about equal size, and third-order
force constants are fitted G times, each time without one group. The variance of a conductivity κ is
(G - 1)/G Σ (κ_g - mean κ_g)², its bias (G - 1) (mean κ_g - κ) (B. Efron, C. Stein, Ann. Statist. 9,
586 (1981)). The bias counts, since too few cells give too small conductivities. Second-order force
constants stay those of the harmonic phonons. Groups share the normal equations of the fit, so that
the fits cost little; each conductivity costs as much as that of all cells.
"""

import math
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from phonsmith.conductivity.kappa import KappaResult, Series, mean_kappa, thermal_conductivity
from phonsmith.conductivity.settings import Conductivity
from phonsmith.phonons.symfc_fits import SymfcFit, groups_of

if TYPE_CHECKING:
    from phono3py import Phono3py

NOT_RANDOM = "a jackknife needs random third-order cells (`way: fit`)"
"""Why a conductivity from displaced cells has no uncertainty: symmetry determines the cells."""


def with_jackknife(
    result: KappaResult,
    third: "Phono3py",
    settings: Conductivity,
    *,
    pair_cutoff_angstrom: float | None,
    imaginary_tolerance_thz: float,
) -> KappaResult:
    """Add the conductivities without each group of cells to the first kind of calculation.

    Parameters
    ----------
    result
        Conductivity of all cells.
    third
        phono3py with displacements, forces and force constants; its third-order force constants
        are changed.
    settings
        Settings of the conductivity with the number of groups; None leaves the result as it is.
    pair_cutoff_angstrom
        Cutoff of third-order force constants.
    imaginary_tolerance_thz
        As for :func:`phonsmith.conductivity.kappa.thermal_conductivity`.

    Returns
    -------
    The result with conductivities without each group, or with the reason why there are none.
    """
    groups = settings.jackknife_groups
    if groups is None or result.reason:
        return result
    dataset = third.dataset
    if dataset is None or "displacements" not in dataset:
        return result.model_copy(update={"without_uncertainty": NOT_RANDOM})
    moves, forces = np.asarray(dataset["displacements"]), np.asarray(dataset["forces"])
    if len(moves) < groups:
        words = f"{len(moves)} cells cannot be divided into {groups} groups"
        return result.model_copy(update={"without_uncertainty": words})
    problem = SymfcFit(third, (2, 3), pair_cutoff_angstrom)
    chosen = groups_of(len(moves), groups)
    parts = [problem.equations(moves[list(one)], forces[list(one)]) for one in chosen]
    total = reduce(add, parts)
    remaining = [total - part for part in parts]
    if any(one.undetermined for one in remaining):
        words = (
            f"without one of {groups} groups, {len(moves)} cells do not determine the force "
            "constants; add cells"
        )
        return result.model_copy(update={"without_uncertainty": words})
    alone = settings.model_copy(
        update={
            key: getattr(settings, key)[:1] for key in ("solvers", "isotopes", "non_analytical")
        }
    )
    found = []
    for equations in remaining:
        third.fc3 = problem.solve(equations)[3]
        without, _ = thermal_conductivity(
            third,
            alone,
            result.structure,
            result.method,
            imaginary_tolerance_thz=imaginary_tolerance_thz,
        )
        found.append(without.series[0].kappa)
    first = result.series[0].model_copy(update={"without_groups": found})
    return result.model_copy(update={"series": [first, *result.series[1:]]})


def uncertainty_of_mean(series: Series, at: int) -> float | None:
    """Return the uncertainty of the mean conductivity in W/mK; None where it was not computed.

    Parameters
    ----------
    series
        Conductivities with those without each group.
    at
        Number of the temperature.
    """
    if series.without_groups is None:
        return None
    without = [mean_kappa(kappa[at]) for kappa in series.without_groups]
    return uncertainty(without, mean_kappa(series.kappa[at]))


def uncertainty(without_groups: Sequence[float], of_all: float) -> float:
    """Return the root of the estimated mean squared error of a value: variance and squared bias.

    Parameters
    ----------
    without_groups
        Values without each group.
    of_all
        Value of all cells.

    Examples
    --------
    >>> f"{uncertainty([1.0, 2.0, 3.0], 2.0):.3f}"
    '1.155'
    """
    values = np.asarray(without_groups, dtype=float)
    count = len(values)
    variance = (count - 1) / count * float(((values - values.mean()) ** 2).sum())
    bias = (count - 1) * float(values.mean() - of_all)
    return math.sqrt(variance + bias**2)
