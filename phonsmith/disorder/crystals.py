"""Reference crystals under pressure, with which disordered structures are compared."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from ase import Atoms
from pydantic import Field

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.json_records import Record, StoredRecord
from phonsmith.structures.relaxation import Load, compare, relax
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import at_volume


class ReferenceCrystal(Record):
    """A crystal relaxed at a pressure.

    ``cell`` holds the lattice vectors (Å), ``positions`` those of the atoms (Å), ``numbers`` atomic
    numbers; ``energy_ev_per_atom`` excludes the work of the pressure. A crystal that turned into
    another one has a ``reason`` instead of energy and atoms.
    """

    name: str
    pressure_gpa: float
    energy_ev_per_atom: float | None = None
    numbers: list[int] = Field(default_factory=list)
    cell: list[tuple[float, float, float]] = Field(default_factory=list)
    positions: list[tuple[float, float, float]] = Field(default_factory=list)
    reason: str = ""

    @classmethod
    def of(
        cls, name: str, atoms: Atoms, pressure_gpa: float = 0.0, energy_ev: float | None = None
    ) -> Self:
        """Make a reference of a crystal.

        Parameters
        ----------
        name
            Name in tables and figures.
        atoms
            The crystal.
        pressure_gpa
            Pressure at which it was relaxed.
        energy_ev
            Energy of its cell.
        """
        return cls(
            name=name,
            pressure_gpa=pressure_gpa,
            energy_ev_per_atom=None if energy_ev is None else energy_ev / len(atoms),
            numbers=atoms.numbers.tolist(),
            cell=atoms.cell.array.tolist(),
            positions=atoms.positions.tolist(),
        )

    @property
    def atoms(self) -> Atoms:
        """The crystal."""
        return Atoms(self.numbers, positions=self.positions, cell=self.cell, pbc=True)

    @property
    def volume_angstrom3_per_atom(self) -> float:
        """Volume per atom."""
        return float(abs(np.linalg.det(np.array(self.cell))) / len(self.numbers))


class ReferenceCrystals(StoredRecord):
    """Reference crystals in a file."""

    IN_WORDS: ClassVar[str] = "reference crystals"

    crystals: list[ReferenceCrystal]


def under_pressure(
    name: str,
    crystal: Atoms,
    calculator: Any,
    pressures_gpa: Sequence[float],
    relaxation: Relaxation,
) -> list[ReferenceCrystal]:
    """Relax a crystal at several pressures, each relaxation starting from the previous crystal.

    A crystal that turns into another one, by StructureMatcher at equal volume or by its space
    group, is marked with the reason; the next pressure starts from the last crystal that did not.

    Parameters
    ----------
    name
        Name of the crystal.
    crystal
        Crystal before relaxation.
    calculator
        ASE calculator with stress.
    pressures_gpa
        Pressures in ascending order.
    relaxation
        Tolerances and largest number of steps.

    Returns
    -------
    A reference for each pressure.

    Raises
    ------
    PhonsmithError
        Pressures are not in ascending order, or the calculator has no energy or stress.
    """
    if list(pressures_gpa) != sorted(set(pressures_gpa)):
        raise PhonsmithError(
            f"{name}: pressures {list(pressures_gpa)} GPa; give them in ascending order, each once"
        )
    start, found = crystal, []
    for pressure in pressures_gpa:
        try:
            result = relax(start, calculator, relaxation, Load(pressure_gpa=pressure))
        except UnusablePotential as error:
            found.append(ReferenceCrystal(name=name, pressure_gpa=pressure, reason=str(error)))
            continue
        # type and shape count; the volume is the pressure's
        verdict = compare(at_volume(crystal, result.atoms.get_volume()), result, relaxation)
        if verdict.reason:
            found.append(ReferenceCrystal(name=name, pressure_gpa=pressure, reason=verdict.reason))
            continue
        start = result.atoms
        found.append(ReferenceCrystal.of(name, start, pressure, result.energy_ev))
    return found
