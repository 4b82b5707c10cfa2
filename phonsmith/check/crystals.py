"""Settings beside the crystals they apply to, as far as the files of these are here."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from phonsmith.campaign.model import Campaign
from phonsmith.files.problems import listed
from phonsmith.fits.settings import TrainedFit

if TYPE_CHECKING:
    from ase import Atoms

Crystals = Mapping[str, "Atoms"]

OWN_MASSES = (0.8, 1.25)
"""Masses of isotopes over those of the natural elements, except of hydrogen: lithium has 0.87."""


def contradictions(campaign: Campaign, crystals: Crystals) -> Iterator[str]:
    """Yield a line for each setting that these crystals exclude."""
    yield from _transitions(campaign, crystals)
    yield from _disorder(campaign, crystals)
    yield from _cutoffs(campaign, crystals)


def doubts(campaign: Campaign, crystals: Crystals) -> Iterator[str]:
    """Yield a line for each setting that is unusual beside these crystals, but possible."""
    from phonsmith.structures.bonds import doubts_about_bonds

    for name, crystal in crystals.items():
        if doubt := doubts_about_bonds(crystal):
            yield f"structures.{name}: {doubt}"
    yield from _masses(campaign)
    yield from _files_given_twice(campaign)
    if all(name in crystals or one.scaled for name, one in campaign.structures.items()):
        yield from _absent_elements(campaign, crystals)


def _of(campaign: Campaign, crystals: Crystals, name: str) -> "Atoms | None":
    """The crystal, or the one that it is scaled from."""
    one = campaign.structures.get(name)
    return crystals.get(one.scaled.of if one and one.scaled else name)


def _transitions(campaign: Campaign, crystals: Crystals) -> Iterator[str]:
    for key, transition in campaign.transitions.items():
        formulas = {
            name: str(crystal.symbols.formula.reduce()[0].format("hill"))
            for name in transition.structures
            if (crystal := _of(campaign, crystals, name)) is not None
        }
        if len(set(formulas.values())) > 1:
            found = listed([f"{name} ({formula})" for name, formula in formulas.items()])
            yield (
                f"transitions.{key}.structures: crystals of different composition, {found}; give "
                "crystals of one composition"
            )


def _disorder(campaign: Campaign, crystals: Crystals) -> Iterator[str]:
    if campaign.disorder is None:
        return
    for name, runs in campaign.disorder.runs.items():
        start = runs.protocol.start
        crystal = _of(campaign, crystals, start.structure) if start.structure else None
        elements = set(crystal.symbols) if crystal is not None else _elements_in(start.composition)
        if elements and campaign.disorder.element not in elements:
            yield (
                f"disorder.element: {campaign.disorder.element}, but the run {name} is of "
                f"{listed(sorted(elements))}; set the element of the runs"
            )


def _cutoffs(campaign: Campaign, crystals: Crystals) -> Iterator[str]:
    for key, fit in campaign.recipes.items():
        if not isinstance(fit, TrainedFit) or (reach := fit.reach_angstrom) is None:
            continue
        for name in campaign.learnt:
            crystal = _of(campaign, crystals, name)
            if crystal is None or not (bond := _shortest_distance(crystal)):
                continue
            if reach[1] < bond:
                yield (
                    f"fits.{key}: the cutoff radius of {reach[1]:g} Å is below the shortest "
                    f"distance of atoms in {name}, {bond:.2f} Å, so that no atom has a neighbour; "
                    "raise it"
                )
            if reach[0] >= bond:
                yield (
                    f"fits.{key}: the shortest distance that it describes, {reach[0]:g} Å, is not "
                    f"below that of atoms in {name}, {bond:.2f} Å; lower it"
                )


def _shortest_distance(crystal: "Atoms") -> float:
    """Shortest distance of atoms in Å; 0 where there is none within 6 Å."""
    from ase.neighborlist import neighbor_list

    return float(min(neighbor_list("d", crystal, 6.0), default=0.0))


def _masses(campaign: Campaign) -> Iterator[str]:
    from ase.data import atomic_masses, atomic_numbers

    for name, structure in campaign.structures.items():
        masses = structure.masses if isinstance(structure.masses, dict) else {}
        for element, mass in masses.items():
            natural = float(atomic_masses[atomic_numbers.get(element, 0)])
            if element != "H" and not OWN_MASSES[0] < mass / natural < OWN_MASSES[1]:
                yield (
                    f"structures.{name}.masses.{element}: {mass:g} u; the natural element has "
                    f"{natural:.1f} u"
                )


def _files_given_twice(campaign: Campaign) -> Iterator[str]:
    names: dict[str, str] = {}
    for name, structure in campaign.structures.items():
        if not structure.file or structure.recorded:
            continue
        alone = structure.model_dump_json(exclude={"role"})
        if alone in names:
            yield (
                f"structures.{name}: equal to structures.{names[alone]}, with the file "
                f"{structure.file}"
            )
        names.setdefault(alone, name)


def _elements_in(formula: str | None) -> set[str]:
    return set(re.findall(r"[A-Z][a-z]?", formula or ""))


def _absent_elements(campaign: Campaign, crystals: Crystals) -> Iterator[str]:
    """Settings of elements that no crystal contains; data sets may contain them."""
    elements = {symbol for crystal in crystals.values() for symbol in crystal.symbols}
    for where, runs in campaign.protocol_runs.items():
        formula = runs.protocol.typical_cell.composition
        if elements and (absent := sorted(_elements_in(formula) - elements)):
            yield f"{where}.protocol: {formula}, but no crystal contains {listed(absent)}"
        elements |= _elements_in(formula)
    for key in ("hubbard", "magmom", "starting_magnetization"):
        for element in getattr(campaign.reference, key, {}):
            if element not in elements and not campaign.datasets.databases:
                yield f"reference.{key}.{element}: no crystal contains {element}"
