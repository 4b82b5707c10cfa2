"""What a potential must not be used for, as its data, its reference and its errors tell."""

from collections.abc import Iterator, Sequence

import pandas as pd

from phonsmith.campaign.model import Campaign
from phonsmith.figures.answer import judge
from phonsmith.figures.results_read import Tables, few, listed, with_minus
from phonsmith.fits.covered import Covered, Range
from phonsmith.fits.settings import TrainedFit
from phonsmith.labels.reference import MagneticReference
from phonsmith.labels.registry import potential_of

NEAR_SITES = frozenset({"displaced", "rattled", "constraint"})
"""Kinds of cells whose atoms are near the sites of a crystal."""


def limits_of_use(
    campaign: Campaign,
    fit: str,
    tables: Tables,
    cells: Sequence[Covered],
    elements: Sequence[str],
    *,
    has_energies: bool,
) -> list[str]:
    """List what a potential must not be used for, one sentence each.

    Parameters
    ----------
    campaign
        The campaign.
    fit
        Id of the trained fit.
    tables
        Tables of the results.
    cells
        What the training cells cover; all of them last.
    elements
        Elements of the training cells.
    has_energies
        Whether the labels have energies.
    """
    return [
        f"Elements other than {listed(elements)}: the training cells contain no others.",
        *_outside(cells[-1]),
        *_states(cells),
        *_crystals(campaign, tables.rmse, fit),
        *_quantities(cells[-1], has_energies),
        *_electrons(campaign, tables.phonons, elements),
        *_recipe(campaign, fit),
    ]


def _outside(everything: Covered) -> Iterator[str]:
    """Volumes and pressures beyond the data."""
    volume = range_in_words(everything.volume_angstrom3, 2)
    pressures = everything.pressure_gpa
    if pressures is None:
        yield f"Volumes outside {volume} Å³ per atom, and the pressures that compress to them."
    else:
        yield (
            f"Volumes outside {volume} Å³ per atom and pressures outside "
            f"{range_in_words(pressures, 1)} GPa, the ranges of the training cells; those "
            "of each crystal are in the table above."
        )


def _states(cells: Sequence[Covered]) -> Iterator[str]:
    """States of matter that the kinds of training cells lack."""
    kinds = {one.kind for one in cells[:-1]}
    if kinds <= NEAR_SITES:
        yield (
            "Liquids, amorphous phases, diffusion, defects, surfaces and molecules: in all "
            "training cells, the atoms are near the sites of a perfect crystal."
        )
        return
    if kelvin := cells[-1].kelvin:
        yield (
            f"Temperatures above {kelvin[1]:.0f} K: the thermostat of the molecular dynamics in "
            "the training data was not hotter."
        )
    yield (
        "Defects, surfaces, molecules, and phases that are not among the training cells listed "
        "above."
    )


def _crystals(campaign: Campaign, rmse: pd.DataFrame, fit: str) -> Iterator[str]:
    """Crystals whose phonons are bad or unknown."""
    if not campaign.benchmarked:
        yield "Phonons, before you have compared them with the reference: this campaign did not."
        return
    bad = judge(campaign, rmse, fit).bad
    if bad:
        yield f"Phonons of {few(bad)}: they miss the goal (see “Errors”)."
    yield (
        "Other crystals, before you have compared their phonons with the reference: errors are "
        f"known only for {few(campaign.benchmarked)}."
    )


def _quantities(everything: Covered, has_energies: bool) -> Iterator[str]:
    """Quantities that the labels lack."""
    if not has_energies:
        yield (
            "Energies of any kind (energy differences, equations of state, phase transitions): the "
            "labels contain forces only, and the energy has an unknown constant for each crystal."
        )
    if everything.pressure_gpa is None:
        yield (
            "Pressures, elastic constants and relaxed volumes without a test: the labels contain "
            "no stresses."
        )


def _electrons(
    campaign: Campaign, phonons: pd.DataFrame | None, elements: Sequence[str]
) -> Iterator[str]:
    """What follows from the level of theory, and from a potential without electrons."""
    if potential_of(campaign.reference):
        yield (
            f"Statements on real materials: the labels are those of {campaign.level_of_theory}, an "
            "interatomic potential whose errors this one has learnt."
        )
    else:
        yield (
            f"Anything for which {campaign.level_of_theory} fails: a potential is at best as good "
            "as its labels."
        )
    spins = isinstance(campaign.reference, MagneticReference) and campaign.reference.magnetic
    yield (
        "Magnetic orders other than in the labels, charged cells, and excited electrons: the "
        f"potential depends only on positions and elements{', not on spins' if spins else ''}."
    )
    if phonons is not None and phonons["nac"].astype(bool).any():
        yield (
            "LO–TO splitting by the potential alone: its range is finite. The phonons of this "
            "campaign add it by the Born charges of the reference."
        )
    elif len(elements) > 1:
        yield (
            "LO–TO splitting: the range of the potential is finite, and this campaign has no Born "
            "charges."
        )


def _recipe(campaign: Campaign, fit: str) -> Iterator[str]:
    settings = campaign.fits[fit]
    if isinstance(settings, TrainedFit) and settings.resampled:
        yield (
            "Any application: it was trained on a bootstrap sample (`resampled`), for error bars. "
            "Use a fit to all cells."
        )


def range_in_words(values: Range, digits: int) -> str:
    """Return a range for tables.

    >>> range_in_words((-0.52, 1.0), 1)
    '−0.5 to 1.0'
    >>> range_in_words((-0.01, 0.04), 1)
    '0.0'
    >>> range_in_words((64, 64), 0)
    '64'
    """
    lowest, highest = (with_minus(f"{round(value, digits) + 0.0:.{digits}f}") for value in values)
    return lowest if lowest == highest else f"{lowest} to {highest}"
