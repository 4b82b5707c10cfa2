"""What the training cells of a fit cover: crystals, kinds of cells, volumes, pressures."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from ase import Atoms
from ase.units import GPa

from phonsmith.files.extxyz import FORCES, STRESS, without_isolated_atoms

Range = tuple[float, float]


@dataclass(frozen=True)
class Covered:
    """Training cells of one kind of a crystal, or of several.

    Attributes
    ----------
    structure
        Crystal, data set or runs that they come from.
    kind
        Kind of the cells.
    cells
        Number of cells.
    atoms
        Smallest and largest number of atoms of a cell.
    volume_angstrom3
        Smallest and largest volume per atom.
    pressure_gpa
        Smallest and largest pressure of the labels; None without stresses.
    kelvin
        Lowest and highest temperature of the thermostat, of molecular dynamics; else None.
    largest_force
        Largest force component of the labels, eV/Å.
    """

    structure: str
    kind: str
    cells: int
    atoms: Range
    volume_angstrom3: Range
    pressure_gpa: Range | None
    kelvin: Range | None
    largest_force: float

    @classmethod
    def of(cls, structure: str, kind: str, frames: Sequence[Atoms]) -> Self:
        """Measure labelled cells; ``frames`` has at least one."""
        volume = _range(atoms.get_volume() / len(atoms) for atoms in frames)
        atoms = _range(len(atoms) for atoms in frames)
        assert volume and atoms
        forces = [np.abs(atoms.arrays[FORCES]).max() for atoms in frames if FORCES in atoms.arrays]
        return cls(
            structure=structure,
            kind=kind,
            cells=len(frames),
            atoms=atoms,
            volume_angstrom3=volume,
            pressure_gpa=_range(
                -np.trace(np.reshape(atoms.info[STRESS], (3, 3))) / 3 / GPa
                for atoms in frames
                if STRESS in atoms.info
            ),
            kelvin=_range(
                float(atoms.info["thermostat_kelvin"])
                for atoms in frames
                if "thermostat_kelvin" in atoms.info
            ),
            largest_force=float(max(forces, default=0.0)),
        )


def covered(frames: Sequence[Atoms]) -> list[Covered]:
    """Measure the cells that a fit learns from, by crystal and kind, and all of them last.

    Parameters
    ----------
    frames
        Labelled cells; isolated atoms are omitted.
    """
    cells = without_isolated_atoms(frames)
    groups: dict[tuple[str, str], list[Atoms]] = defaultdict(list)
    for atoms in cells:
        key = (str(atoms.info.get("structure", "")), str(atoms.info.get("kind", "recorded")))
        groups[key].append(atoms)
    rows = [Covered.of(*key, group) for key, group in sorted(groups.items())]
    return [*rows, Covered.of("all", "all", cells)]


def _range(values: Iterable[float]) -> Range | None:
    found = [float(value) for value in values]
    return (min(found), max(found)) if found else None
