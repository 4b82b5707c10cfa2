"""The crystal of a CIF: every site mapped by the operations, and compared with its facts.

gemmi reads syntax, operations and names of space groups: it knows all 564 settings of the
International Tables with their origins and axes, where ASE and pymatgen take one setting of a name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.data import covalent_radii
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.cif.facts import Facts, check_volume
from phonsmith.structures.cif.groups import Group, groups_of
from phonsmith.structures.cif.tags import Tags, crystal_tags, number_of
from phonsmith.structures.elements import Element, element_of, known_element

MERGED_ANGSTROM = 0.1
"""Images of a site that are closer are one atom on a special position."""

_MOST_IMAGES = 200_000
_REACH = 0.9  # of the sum of covalent radii; bonds across symmetry elements are rarely shorter


@dataclass(frozen=True)
class Site:
    """One row of ``atom_site``: fractional position, and its multiplicity where given."""

    label: str
    element: Element
    position: NDArray[np.float64]
    multiplicity: int | None


def read_cif(text: str, where: str) -> Atoms:
    """Read the one crystal of a CIF, in the cell of the file; ``where`` (the file) opens messages.

    Atoms come in the order of the sites. Deuterium is hydrogen with its mass in ``masses``. Of
    several data blocks with one crystal in several settings the first counts.

    Raises
    ------
    PhonsmithError
        A site lacks a position, an element or its full occupancy; the symmetry is not given, in an
        unknown setting, or does not fit the cell; the atoms disagree with formula, density,
        multiplicities or volume; or data blocks hold different crystals.
    """
    blocks = crystal_tags(text, where)
    crystals = [_of_block(tags) for tags in blocks]
    if len(blocks) > 1:
        names = ", ".join(f"data_{tags.block}" for tags in blocks)
        if not all(_same_crystal(crystals[0], other) for other in crystals[1:]):
            raise PhonsmithError(
                f"{where}: {len(blocks)} data blocks contain different crystals ({names}); keep "
                "one block in the file"
            )
        print(f"{where}: {names} are the same crystal; the first block is read", flush=True)
    return crystals[0]


def _same_crystal(one: Atoms, other: Atoms) -> bool:
    """Whether two cells are of one crystal, in whatever setting."""
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.io.ase import AseAtomsAdaptor

    same = StructureMatcher(ltol=0.01, stol=0.02, angle_tol=0.5, scale=False)
    structures = [AseAtomsAdaptor.get_structure(atoms) for atoms in (one, other)]
    return bool(same.fit(*structures))


def _of_block(tags: Tags) -> Atoms:
    """The crystal of one data block."""
    facts = Facts.of(tags)
    cell = _cell(tags)
    sites = _sites(tags, {*facts.formula})
    means = groups_of(tags, cell)
    if len(sites) * max(len(group) for group in means.groups) > _MOST_IMAGES:
        tags.fail(
            f"{len(sites)} sites under {len(means.groups[0])} symmetry operations give too many "
            "atoms; give the primitive cell"
        )
    fine, why = [], ""
    for group in means.groups:
        atoms, reason = _expanded(sites, group, cell)
        reason = reason or facts.against(atoms)
        why = why or reason
        if not reason:
            fine.append((group, atoms))
    if not fine:
        tags.fail(f"{means.doubt}; {why}" if means.doubt else why)
    if means.doubt and not facts.counts:
        tags.fail(
            f"{means.doubt}, and without _chemical_formula_sum and _cell_formula_units_Z the "
            "number of atoms is ambiguous; add the operations as _symmetry_equiv_pos_as_xyz"
        )
    return _the_one(fine, tags)


def _the_one(fine: Sequence[tuple[Group, Atoms]], tags: Tags) -> Atoms:
    """Crystal on which all groups agree, or the only one without overlapping atoms."""
    if all(_same(atoms, fine[0][1]) for _, atoms in fine):
        return fine[0][1]
    roomy = [(group, atoms) for group, atoms in fine if not _crowded(atoms)]
    fewest = max((len(atoms) for _, atoms in roomy), default=0)
    crowded = [atoms for _, atoms in fine if _crowded(atoms)]
    if len(roomy) != 1 or any(len(atoms) <= fewest for atoms in crowded):
        _refuse_ambiguous(fine, tags)
    return roomy[0][1]


def _refuse_ambiguous(fine: Sequence[tuple[Group, Atoms]], tags: Tags) -> NoReturn:
    names = " or ".join(group.name for group, _ in fine[:3])
    tags.fail(
        f"its space group may be {names}{' and more' if len(fine) > 3 else ''}, which give "
        "different crystals; add the operations as _symmetry_equiv_pos_as_xyz, or the extension of "
        "the name (such as F d -3 m :2)"
    )


def _same(one: Atoms, other: Atoms) -> bool:
    """Whether two crystals in one cell have equal atoms in any order."""
    if sorted(one.numbers) != sorted(other.numbers):
        return False
    a, b = one.get_scaled_positions(), other.get_scaled_positions()
    for number, position in zip(one.numbers, a, strict=True):
        away = b[other.numbers == number] - position
        if np.abs(away - np.rint(away)).max(axis=1).min() > 1e-3:
            return False
    return True


def _crowded(atoms: Atoms) -> bool:
    """Whether two atoms are much closer than the sum of their covalent radii."""
    from ase.neighborlist import neighbor_list

    if atoms.get_volume() / len(atoms) < 0.5:
        return True
    radii = _REACH * covalent_radii[atoms.numbers]
    first, second, distance = neighbor_list("ijd", atoms, 2 * float(radii.max()))
    return bool((distance < radii[first] + radii[second]).any())


# --- cell and sites --------------------------------------------------------------------------


def _cell(tags: Tags) -> Cell:
    parameters = []
    for name in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"):
        value = tags.number(f"_cell_{name}")
        if value is None:
            tags.fail(f"_cell_{name} is missing; add it")
        limit = 180.0 if "angle" in name else 1e4
        if not 0 < value < limit:
            tags.fail(f"_cell_{name} {value:g} must lie between 0 and {limit:g}")
        parameters.append(value)
    cosines = np.cos(np.radians(parameters[3:]))
    if 1 - (cosines**2).sum() + 2 * cosines.prod() < 1e-6:
        tags.fail(
            f"angles {parameters[3]:g}, {parameters[4]:g}, {parameters[5]:g} do not form a cell; "
            "correct them"
        )
    cell = Cell.fromcellpar(parameters)
    check_volume(tags, cell)
    return cell


def _sites(tags: Tags, formula: set[str]) -> list[Site]:
    """All sites, each of one element and fully occupied."""
    labels = tags.column("_atom_site_label") or tags.column("_atom_site_type_symbol")
    if labels is None:
        tags.fail("sites have neither _atom_site_label nor _atom_site_type_symbol; add one")
    columns = [tags.column(f"_atom_site_fract_{axis}") or [] for axis in "xyz"]
    if any(len(column) != len(labels) for column in columns):
        tags.fail("sites lack a coordinate; give _atom_site_fract_x, _y and _z")
    _refuse_disorder(tags, labels)
    types = tags.column("_atom_site_type_symbol") or ["?"] * len(labels)
    multiplicities = tags.column(
        "_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity"
    ) or ["?"] * len(labels)
    sites = []
    for label, kind, multiplicity, *position in zip(
        labels, types, multiplicities, *columns, strict=True
    ):
        where = f"{tags.where}: atom site {label}"
        if position != [".", ".", "."]:  # the default of a coordinate is 0
            position = ["0" if one == "." else one for one in position]  # noqa: PLW2901
        numbers = [number_of(one) for one in position]
        found = [number for number in numbers if number is not None]
        if len(found) < 3:
            tags.fail(
                f"atom site {label} has no position ({' '.join(position)}); give a CIF in which "
                "all atoms are located"
            )
        if kind in ("?", "."):
            element = _of_label(label, formula, where)
        else:
            element = element_of(kind, where)
        whole = int(multiplicity) if multiplicity.isascii() and multiplicity.isdecimal() else None
        sites.append(Site(label, element, np.array(found), whole))
    return sites


def _of_label(label: str, formula: set[str], where: str) -> Element:
    """The element of a site that has a label alone: Si1, SI1, C12A.

    It is the first letter or the first two; where both are elements, the formula decides, else
    whether the second letter is a small one.
    """
    letters = re.match(r"[A-Za-z]*", label)
    text = letters[0] if letters else ""
    readings = [text[:2].capitalize(), text[:1].upper()] if len(text) > 1 else [text.upper()]
    known = [one for one in readings if known_element(one)]
    if formula:
        known = [one for one in known if one in formula]
    elif len(text) > 2 or (len(text) == 2 and text[1].islower()):
        known = known if len(text) == 2 and known[:1] == readings[:1] else []
    if len(known) > 1 and text[1].islower():
        known = known[:1]
    if len(known) == 1:
        return element_of(known[0], where)
    what = f"may be {' or '.join(known)}" if known else "is no element"
    raise PhonsmithError(
        f"{where}: the label {what}; give the element as _atom_site_type_symbol (for water: "
        "hydrogen and oxygen as separate sites)"
    )


def _refuse_disorder(tags: Tags, labels: Sequence[str]) -> None:
    for label, text in zip(labels, tags.column("_atom_site_occupancy") or [], strict=False):
        share = number_of(text)
        if share is None:
            tags.fail(
                f"atom site {label}: unknown occupancy '{text}'; write 1 for a fully occupied site"
            )
        if abs(share - 1) > 1e-3:
            tags.fail(f"has partially occupied sites ({label}: {share:g}); give an ordered crystal")
    for label, text in zip(labels, tags.column("_atom_site_calc_flag") or [], strict=False):
        if text.lower() in ("dum", "dummy"):
            tags.fail(f"atom site {label} is a dummy atom; remove its line")
    for label, text in zip(
        labels, tags.column("_atom_site_attached_hydrogens") or [], strict=False
    ):
        if number_of(text):
            tags.fail(
                f"atom site {label} has {text} hydrogens without positions; give a CIF in which "
                "all atoms are located"
            )
    groups = {one for one in tags.column("_atom_site_disorder_group") or [] if one not in "?.0"}
    if len(groups) > 1:
        tags.fail("has disordered groups (_atom_site_disorder_group); give an ordered crystal")


# --- expansion -------------------------------------------------------------------------------


def _expanded(sites: Sequence[Site], group: Group, cell: Cell) -> tuple[Atoms, str]:
    """All atoms of the cell, and why the sites are none of this group."""
    positions, members, reason = [], [], ""
    for site in sites:
        orbit, uneven = _orbit(site.position, group, cell)
        if uneven:
            reason = reason or (
                f"atom site {site.label} is close to, but not on, a special position of "
                f"{group.name}; give its coordinates with more digits"
            )
        elif site.multiplicity not in (None, len(orbit), len(group) // len(orbit)):
            # SHELXL-97 writes the order of the site's symmetry instead
            reason = reason or (
                f"atom site {site.label} has {len(orbit)} atoms in the cell by symmetry, but "
                f"multiplicity {site.multiplicity}; correct the operations or the setting"
            )
        positions.append(orbit)
        members += [site.element] * len(orbit)
    atoms = Atoms(
        [element.number for element in members],
        scaled_positions=np.concatenate(positions),
        cell=cell,
        pbc=True,
    )
    if any(element.mass for element in members):
        atoms.set_masses([element.mass for element in members])  # None: the element's own
    return atoms, reason


def _orbit(
    position: NDArray[np.float64], group: Group, cell: Cell
) -> tuple[NDArray[np.float64], bool]:
    """The different images of a position, and whether they are of different multiplicity.

    Images closer than ``MERGED_ANGSTROM`` are one, on their mean: coordinates that were rounded
    (0.333) lie on the symmetry element.
    """
    images = group.rotations @ position + group.translations
    images -= np.floor(images)
    orbit, sizes = [], []
    left = np.ones(len(images), dtype=bool)
    while left.any():
        first = images[int(np.flatnonzero(left)[0])]
        away = images - first
        away -= np.rint(away)
        near = left & (np.linalg.norm(away @ cell[:], axis=1) < MERGED_ANGSTROM)
        mean = away[near].mean(axis=0)
        point = first if np.abs(away[near]).max() < 1e-9 else first + mean
        orbit.append(np.where(point - np.floor(point) > 1 - 1e-9, 0.0, point - np.floor(point)))
        sizes.append(int(near.sum()))
        left &= ~near
    return np.array(orbit), len({*sizes}) > 1
