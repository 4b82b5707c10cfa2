"""Settings of the runs that a teacher generates and labels data with."""

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from phonsmith.files.quantities import (
    AngstromBetweenAtoms,
    DynamicsKelvin,
    ForceError,
    Gigapascal,
    KelvinPerSecond,
    PositiveGigapascal,
    RelaxationTime,
    Timestep,
    VolumePerAtom,
)
from phonsmith.files.settings import Model, Name
from phonsmith.potentials.settings import PotentialSource

FORMULA = r"^([A-Z][a-z]?\d*)+$"
"""Formula of a random cell."""
MOST_RUNS = 1000
"""Largest number of runs of a protocol."""


class Start(Model):
    """First cell of a run: a supercell of a crystal, or hard spheres at random places."""

    structure: Name | None = Field(
        None, description="Crystal of the campaign, relaxed with the reference method."
    )
    composition: str | None = Field(
        None,
        pattern=FORMULA,
        description="Formula of random cells, such as `Si` or `Ga2O3`; replaces `structure`.",
    )
    atoms: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        64,
        description="Number of atoms. Of a crystal the nearest supercell without fewer atoms, as "
        "cubic as possible; of a composition the nearest multiple of the formula.",
    )
    vacancies: NonNegativeInt = Field(
        0, description="Atoms removed at random from the supercell of a crystal."
    )
    volume_per_atom_angstrom3: VolumePerAtom | None = Field(
        None,
        description="Volume of a random cell, a cube, per atom; default: 20 (the density of "
        "silicon).",
    )
    min_distance_angstrom: AngstromBetweenAtoms | None = Field(
        None, description="Diameter of the hard spheres of a random cell; default: 2."
    )

    @property
    def count(self) -> int:
        """Number of atoms of a run, or nearly so: supercells and formulas have whole numbers."""
        return self.atoms - self.vacancies

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.structure is None) == (self.composition is None):
            raise ValueError("give either `structure` or `composition`")
        if self.structure is None and self.vacancies:
            raise ValueError("`vacancies` needs `structure`; lower `atoms` instead")
        random = {"volume_per_atom_angstrom3", "min_distance_angstrom"}
        named = sorted(key for key in random if getattr(self, key) is not None)
        if self.structure is not None and named:
            raise ValueError(f"`{named[0]}` is for random cells; remove it, or give `composition`")
        if self.structure is not None and self.vacancies >= self.atoms:
            raise ValueError("`vacancies` must be below `atoms`")
        return self


CRYSTAL, LIQUID, AMORPHOUS = "crystal", "liquid", "amorphous"
"""Names of the parts of constant temperature of a melt and quench."""


class Part(NamedTuple):
    """Part of a run: linear changes of temperature (K) and pressure (GPa) over some time (ps).

    Without pressures, the cell remains fixed. Snapshots are taken of ``sampled`` parts. ``name``
    describes the part in tables; empty without need.
    """

    ps: float
    kelvin: tuple[float, float]
    gpa: tuple[float, float] | None
    sampled: bool = True
    name: str = ""


class ProtocolBase(Model, ABC):
    """What all ways to generate cells have; each has its own field ``kind``."""

    if TYPE_CHECKING:
        kind: str

    @property
    @abstractmethod
    def typical_cell(self) -> Start:
        """The first cell of a run, or one of average size."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps of a run; expected ones where the number depends on the potential."""

    @property
    @abstractmethod
    def cells(self) -> int:
        """Labelled cells of a run that ends as planned."""


class DynamicsBase(ProtocolBase, ABC):
    """What all protocols of molecular dynamics have."""

    start: Start
    snapshots: PositiveInt = Field(
        25, description="Snapshots of a run, at equal time intervals of the sampled part."
    )
    timestep_fs: Timestep = Field(1.0, description="Time step.")
    thermostat_fs: RelaxationTime = Field(
        100.0, description="Time constant of the (Langevin) thermostat."
    )
    barostat_fs: RelaxationTime = Field(1000.0, description="Time constant of the barostat.")
    shape: Literal["isotropic", "free"] = Field(
        "isotropic",
        description="Whether the barostat changes only the volume, or also the shape of the cell. "
        "Liquids have no resistance against changes of shape: keep `isotropic` for them.",
    )
    max_force_ev_per_angstrom: PositiveFloat = Field(
        100.0, description="A run ends as failed if the force on an atom exceeds this."
    )
    max_temperature_factor: Annotated[float, Field(gt=1)] = Field(
        5.0,
        description="A run ends as failed if its temperature exceeds this multiple of the "
        "thermostat's. Random cells release heat at the start.",
    )
    max_volume_factor: Annotated[float, Field(gt=1)] = Field(
        3.0,
        description="A run ends as failed if its volume exceeds this multiple of the first one: "
        "with a poor potential, liquids evaporate.",
    )
    min_distance_angstrom: AngstromBetweenAtoms = Field(
        1.0, description="A run ends as failed if two atoms come closer than this."
    )

    @abstractmethod
    def program(self) -> list[Part]:
        """Return the parts of a run, in their order."""

    @property
    def relaxes(self) -> bool:
        """Whether the last cell of a run is relaxed."""
        return False

    @property
    def typical_cell(self) -> Start:
        """The first cell of a run."""
        return self.start

    @property
    def steps(self) -> int:
        """Steps of a run."""
        return sum(self.steps_of(part) for part in self.program())

    def steps_of(self, part: Part) -> int:
        """Return the steps of a part."""
        return round(part.ps * 1000 / self.timestep_fs)

    def part_at(self, time_ps: float) -> Part:
        """Return the part of a run that a time belongs to; the end of a part belongs to it."""
        step, end = round(time_ps * 1000 / self.timestep_fs), 0
        parts = self.program()
        for part in parts:
            end += self.steps_of(part)
            if step <= end and self.steps_of(part):
                return part
        return parts[-1]

    @property
    def cells(self) -> int:
        """Number of cells of a complete run: snapshots, and the relaxed cell."""
        return self.snapshots + self.relaxes

    @model_validator(mode="after")
    def _snapshots_fit(self) -> Self:
        sampled = sum(self.steps_of(part) for part in self.program() if part.sampled)
        if sampled < self.snapshots:
            raise ValueError(
                f"{self.snapshots} snapshots of {sampled} steps; lower `snapshots` or make the "
                "sampled part longer"
            )
        return self


class Thermal(DynamicsBase):
    """Molecular dynamics at constant temperature, in a fixed cell or at constant pressure."""

    kind: Literal["thermal"] = Field(description="Kind of protocol.")
    temperature_kelvin: DynamicsKelvin = Field(300.0, description="Temperature.")
    pressure_gpa: Gigapascal | None = Field(
        None, description="Pressure; without it, the cell remains fixed."
    )
    equilibration_ps: NonNegativeFloat = Field(1.0, description="Time before the snapshots.")
    sampled_ps: PositiveFloat = Field(5.0, description="Time of the snapshots.")

    def program(self) -> list[Part]:
        """Return equilibration and sampled part."""
        kelvin = (self.temperature_kelvin, self.temperature_kelvin)
        gpa = None if self.pressure_gpa is None else (self.pressure_gpa, self.pressure_gpa)
        return [
            Part(self.equilibration_ps, kelvin, gpa, sampled=False),
            Part(self.sampled_ps, kelvin, gpa),
        ]


class Compression(DynamicsBase):
    """Molecular dynamics at constant temperature with a linear ramp of the pressure.

    The default is that of J. D. Morrow and V. L. Deringer, J. Chem. Phys. 157, 104105 (2022).
    """

    kind: Literal["compression"] = Field(description="Kind of protocol.")
    temperature_kelvin: DynamicsKelvin = Field(500.0, description="Temperature.")
    equilibration_ps: NonNegativeFloat = Field(
        50.0, description="Time at the first pressure, before the snapshots."
    )
    pressure_gpa: tuple[Gigapascal, Gigapascal] = Field(
        (0.0, 20.0), description="First and last pressure."
    )
    ramp_ps: PositiveFloat = Field(200.0, description="Time of the ramp.")

    def program(self) -> list[Part]:
        """Return equilibration and ramp."""
        kelvin = (self.temperature_kelvin, self.temperature_kelvin)
        first = (self.pressure_gpa[0], self.pressure_gpa[0])
        return [
            Part(self.equilibration_ps, kelvin, first, sampled=False),
            Part(self.ramp_ps, kelvin, self.pressure_gpa),
        ]


class MeltQuench(DynamicsBase):
    """Heat, melt, cool at a set rate, and relax the last cell.

    Snapshots are taken of the whole run. The default is that of the test of transferability of
    George et al., J. Chem. Phys. 153, 044104 (2020).
    """

    kind: Literal["melt-quench"] = Field(description="Kind of protocol.")
    first_kelvin: DynamicsKelvin = Field(300.0, description="Temperature at the start.")
    melt_kelvin: DynamicsKelvin = Field(1800.0, description="Temperature of the melt.")
    last_kelvin: DynamicsKelvin = Field(300.0, description="Temperature at the end.")
    equilibration_ps: NonNegativeFloat = Field(10.0, description="Time at the first temperature.")
    heating_rate_kelvin_per_s: KelvinPerSecond = Field(1e13, description="Rate of heating.")
    melt_ps: NonNegativeFloat = Field(50.0, description="Time at the temperature of the melt.")
    quench_rate_kelvin_per_s: KelvinPerSecond = Field(1e13, description="Rate of cooling.")
    cold_ps: NonNegativeFloat = Field(10.0, description="Time at the last temperature.")
    pressure_gpa: Gigapascal | None = Field(
        0.0, description="Pressure; null: the cell remains fixed."
    )
    relax: bool = Field(True, description="Relax the last cell, at the pressure.")

    @property
    def relaxes(self) -> bool:
        """Whether the last cell of a run is relaxed."""
        return self.relax

    @model_validator(mode="after")
    def _melts(self) -> Self:
        if self.melt_kelvin < max(self.first_kelvin, self.last_kelvin):
            raise ValueError(
                f"melt_kelvin: {self.melt_kelvin:g} K is below first_kelvin or last_kelvin; raise "
                "it, so that the crystal melts"
            )
        return self

    def program(self) -> list[Part]:
        """Return equilibration, heating, melt, quench and the time after it."""
        gpa = None if self.pressure_gpa is None else (self.pressure_gpa, self.pressure_gpa)
        first, melt, last = self.first_kelvin, self.melt_kelvin, self.last_kelvin
        # 1 K/ps are 1e12 K/s
        heating = abs(melt - first) / self.heating_rate_kelvin_per_s * 1e12
        cooling = abs(melt - last) / self.quench_rate_kelvin_per_s * 1e12
        return [
            Part(self.equilibration_ps, (first, first), gpa, name=CRYSTAL),
            Part(heating, (first, melt), gpa, name="heating"),
            Part(self.melt_ps, (melt, melt), gpa, name=LIQUID),
            Part(cooling, (melt, last), gpa, name="quench"),
            Part(self.cold_ps, (last, last), gpa, name=AMORPHOUS),
        ]


Dynamics = Annotated[Thermal | Compression | MeltQuench, Field(discriminator="kind")]
"""Protocols of molecular dynamics."""

POINT_GROUP_ORDERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 48)
"""Numbers of symmetry operations, without translations, that crystals can have."""
SEARCH_STEPS = 150
"""Expected steps of a relaxation from a random crystal."""


class RandomSearch(ProtocolBase):
    """Ab initio random structure search: random crystals, relaxed at random pressures.

    The default is that of J. D. Morrow and V. L. Deringer, J. Chem. Phys. 157, 104105 (2022); the
    method is that of C. J. Pickard and R. J. Needs, J. Phys. Condens. Matter 23, 053201 (2011).
    """

    kind: Literal["random-search"] = Field(description="Kind of protocol.")
    composition: str = Field(pattern=FORMULA, description="Formula, such as `Si` or `Ga2O3`.")
    crystals: Annotated[int, Field(ge=1, le=100_000)] = Field(
        100, description="Random crystals of a run."
    )
    atoms: tuple[PositiveInt, PositiveInt] = Field(
        (1, 64), description="Least and largest number of atoms in the primitive cell."
    )
    symmetry_operations: tuple[PositiveInt, PositiveInt] = Field(
        (1, 4),
        description="Least and largest number of symmetry operations, without translations. "
        "Crystals of few atoms may have more by chance.",
    )
    volume_per_atom_angstrom3: VolumePerAtom = Field(
        20.0, description="Volume of the random crystals per atom."
    )
    min_distance_angstrom: AngstromBetweenAtoms = Field(
        2.0, description="Least distance between atoms of the random crystals."
    )
    pressure_width_gpa: PositiveGigapascal = Field(
        5.0, description="Mean of the exponential distribution of the pressures, not truncated."
    )
    max_pressure_gpa: PositiveGigapascal = Field(
        32.0, description="Pressure at which the distribution is truncated."
    )
    fmax_ev_per_angstrom: ForceError = Field(
        0.01,
        description="Convergence criterion of the relaxations: largest remaining force, and "
        "unbalanced stress times volume per atom.",
    )
    max_steps: PositiveInt = Field(500, description="Maximum number of steps of a relaxation.")
    path_steps: list[NonNegativeInt] = Field(
        [],
        description="Steps of the relaxations whose cells are labels as well, such as `[0, 10, "
        "30]`; 0 is the random crystal. The relaxed cell is always a label.",
    )

    @property
    def numbers_of_operations(self) -> list[int]:
        """Numbers of symmetry operations in the range that crystals can have."""
        low, high = self.symmetry_operations
        return [order for order in POINT_GROUP_ORDERS if low <= order <= high]

    @property
    def formula_units(self) -> list[int]:
        """Numbers of formula units in the primitive cell."""
        low, high = self.atoms
        size = sum(int(number or 1) for number in re.findall(r"[A-Z][a-z]?(\d*)", self.composition))
        return [units for units in range(1, high // size + 1) if units * size >= low]

    @property
    def typical_cell(self) -> Start:
        """A random cell with the average number of atoms."""
        return Start(
            composition=self.composition,
            atoms=round(sum(self.atoms) / 2),
            volume_per_atom_angstrom3=self.volume_per_atom_angstrom3,
            min_distance_angstrom=self.min_distance_angstrom,
        )

    @property
    def steps(self) -> int:
        """Expected steps of all relaxations."""
        return self.crystals * min(SEARCH_STEPS, self.max_steps)

    @property
    def cells(self) -> int:
        """Relaxed cells and cells along the relaxations."""
        return self.crystals * (1 + len(self.path_steps))

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.formula_units:
            raise ValueError(
                f"atoms: no multiple of {self.composition} has {self.atoms[0]} to {self.atoms[1]} "
                "atoms; give an ascending range with at least one"
            )
        if not self.numbers_of_operations:
            words = ", ".join(map(str, POINT_GROUP_ORDERS))
            raise ValueError(
                "symmetry_operations: give an ascending range with at least one possible number "
                f"({words})"
            )
        steps = self.path_steps
        if steps != sorted(set(steps)) or (steps and steps[-1] >= self.max_steps):
            raise ValueError("path_steps: give ascending numbers below max_steps")
        return self


Protocol = Annotated[Thermal | Compression | MeltQuench | RandomSearch, Field(discriminator="kind")]
"""All ways in which a teacher generates cells."""


class Runs(Model):
    """Independent runs."""

    runs: Annotated[int, Field(ge=1, le=MOST_RUNS)] = Field(
        1, description="Number of runs, each with its own seed."
    )
    runtime_minutes: PositiveInt = Field(
        1440,
        description="Time limit of the cluster job of a run. A run that is stopped resumes from "
        "its last checkpoint.",
    )


class Distilled(Runs):
    """Runs whose cells are labelled: of the reference method, or of a driver."""

    protocol: Protocol
    use: Literal["train", "test"] = Field(
        "train", description="Whether fits learn from the cells or are tested on them."
    )
    driver: PotentialSource | None = Field(
        None,
        description="Potential that makes the runs in place of the reference method, which then "
        "labels their snapshots in single runs: required with a DFT code. A fit of another "
        "campaign by the path of its model, or any calculator. Default: the reference method makes "
        "the runs, and its labels cost nothing.",
    )

    @property
    def searches(self) -> bool:
        """Whether the runs are random structure searches, not molecular dynamics."""
        return isinstance(self.protocol, RandomSearch)

    @model_validator(mode="after")
    def _driver_of_dynamics(self) -> Self:
        if self.driver is not None and self.searches:
            raise ValueError(
                "`driver` makes molecular dynamics; random structure searches are relaxed by the "
                "reference method: remove `driver`"
            )
        return self
