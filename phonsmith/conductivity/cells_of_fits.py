"""Displaced cells with forces of fits that are no potentials."""

from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.phonons.files import load_displacements
from phonsmith.phonons.recorded import THIRD_ORDER, WhyNone
from phonsmith.potentials.calculators import has_calculator

if TYPE_CHECKING:
    from phonopy import Phonopy


def third_order_of_fit(
    potential: Path, model: Path, structure: str
) -> tuple["Phonopy | None", str]:
    """Find the displaced cells with forces that a fit of force constants has of a crystal.

    Parameters
    ----------
    potential
        ``potential.json`` of the fit.
    model
        Folder of the model.
    structure
        Id of the structure.

    Returns
    -------
    Phonons with displacements and forces, or None for a potential; and why there are none.
    """
    if has_calculator(potential):
        return None, ""
    path = model / THIRD_ORDER / f"{structure}.yaml"
    if path.exists():
        return load_displacements(path), ""
    none = "the fit has no forces of this crystal"
    return None, WhyNone.load(model).of(THIRD_ORDER, structure) or none
