"""Types of physical quantities: numbers within limits that every sound value meets.

A value beyond them is of another unit (cm⁻¹ for THz, nm for Å, a fraction for a percentage).
:func:`phonsmith.files.problems.problems_of` adds the conversion to the message, by the unit in the
key.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

Terahertz = Annotated[float, Field(gt=0, le=3)]
"""Largest error of frequencies: 4 is meant in cm⁻¹ or meV, of which 33 or 4.1 are 1 THz."""

Kelvin = Annotated[float, Field(ge=0.1, le=100_000)]
"""Of phonons: kT in eV is below 0.1 for common temperatures."""

DynamicsKelvin = Annotated[float, Field(ge=1, le=100_000)]
"""Temperature of classical molecular dynamics: kT in eV is below 1."""

Gigapascal = Annotated[float, Field(ge=-1000, le=10_000)]

PositiveGigapascal = Annotated[float, Field(gt=0, le=10_000)]

NonNegativeGigapascal = Annotated[float, Field(ge=0, le=10_000)]

Timestep = Annotated[float, Field(ge=0.01, le=20)]
"""fs."""

RelaxationTime = Annotated[float, Field(ge=1, le=1e6)]
"""Time constant of a thermostat or barostat in fs."""

KelvinPerSecond = Annotated[float, Field(ge=1e8, le=1e18)]
"""Of simulations: at 1e8 K/s, a step of 1 fs changes the temperature by 1e-7 K."""

Tolerance = Annotated[float, Field(ge=0.05, le=50)]
"""Largest error or change in percent."""

AngstromBetweenAtoms = Annotated[float, Field(ge=0.3, le=10)]

Cutoff = Annotated[float, Field(ge=1.5, le=20)]
"""Cutoff radius of a potential in Å."""

CellLength = Annotated[float, Field(ge=2)]
"""Distance between periodic images in Å."""

BoxEdge = Annotated[float, Field(ge=4, le=100)]
"""Edge of the box of an isolated atom in Å."""

VolumePerAtom = Annotated[float, Field(ge=1, le=5000)]
"""Å³."""

ForceError = Annotated[float, Field(gt=0, le=2)]
"""Expected or allowed error of force components in eV/Å."""

EnergyError = Annotated[float, Field(gt=0, le=2)]
"""Expected error of energies or virials in eV per atom."""


Megabytes = Annotated[int, Field(ge=200, le=100_000_000)]
"""Memory of a job: Python with its libraries needs more than 200 MB."""


def _no_count(least: int, example: str) -> BeforeValidator:
    """Refuse a small whole number for a length in Å: a grid of so many points is meant."""

    def check(given: Any) -> Any:
        if isinstance(given, str):
            raise ValueError(f"is a text; give numbers of points as {example}, or a length in Å")
        if type(given) is int and 0 < given < least:
            raise ValueError(
                f"a single number is a length in Å; give the numbers of points as {example}, or "
                f"the length with a decimal point, {given}.0"
            )
        return given

    return BeforeValidator(check)


MESH_OR_LENGTH = _no_count(40, "[11, 11, 11]")
GRID_OR_LENGTH = _no_count(10, "[4, 4, 4]")
