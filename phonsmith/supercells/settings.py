"""Settings of supercells: displaced and rattled cells, and the choice of further ones."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from phonsmith.files.settings import Model, Name


class Displaced(Model):
    """Cells with one displaced atom, as phonopy makes them from symmetry."""

    distance_angstrom: PositiveFloat = Field(0.01, description="Length of the displacement.")
    plus_minus: Literal["auto", "always", "never"] = Field(
        "auto", description="Displace along both signs where symmetry does not relate them."
    )


class Rattled(Model):
    """Cells with all atoms moved and the lattice strained."""

    count: NonNegativeInt = Field(10, description="Cells per structure.")
    method: Literal["gaussian", "monte-carlo"] = Field(
        "gaussian",
        description="Independent Gaussian moves, or a Monte Carlo rattle that refuses moves "
        "bringing atoms closer than the minimum distance.",
    )
    std_angstrom: PositiveFloat = Field(0.03, description="Standard deviation of each component.")
    min_distance_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.75,
        description="No two atoms come closer than this fraction of the shortest distance in the "
        "unrattled strained cell.",
    )
    volume_factors: list[PositiveFloat] = Field(
        [1.0, 0.95, 1.05, 0.90, 1.10],
        min_length=1,
        description="Volume of the cell relative to the relaxed one (volume, not length); cell i "
        "takes factor i modulo their number. A fit is reliable between the smallest and the "
        "largest: thermal expansion and pressure need more than a few percent.",
    )
    max_angle_strain_degree: NonNegativeFloat = Field(
        1.0,
        lt=20,
        description="Each angle of the cell changes by a uniform random number up to this.",
    )


def _is_supercell(given: Any) -> Any:
    rows = given
    if _are_three_integers(given):
        rows = [[given[0], 0, 0], [0, given[1], 0], [0, 0, given[2]]]
        if min(given) < 1:
            raise ValueError("multiples of the lattice vectors have to be above 0")
    three = isinstance(rows, list | tuple) and len(rows) == 3
    if not (three and all(map(_are_three_integers, rows))):
        raise ValueError("give three integers or three rows of three, such as [2, 2, 3]")
    (a, b, c), (d, e, f), (g, h, i) = rows
    volume = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if not 0 < volume <= 10_000:
        raise ValueError(
            f"a supercell of {volume} cells; the determinant has to lie between 1 and 10000 "
            "(exchange two rows where it is negative)"
        )
    return given


def _are_three_integers(given: Any) -> bool:
    return (
        isinstance(given, list | tuple)
        and len(given) == 3
        and all(type(one) is int for one in given)
    )


_Row = tuple[int, int, int]

Multiples = Annotated[_Row | tuple[_Row, _Row, _Row], BeforeValidator(_is_supercell)]


class Supercells(Model):
    """Which supercells are labelled, and how large they are."""

    kinds: list[Literal["displaced", "rattled"]] = Field(
        ["displaced", "rattled"],
        min_length=1,
        description="Kinds of cells the fits may learn from. Displaced cells are labelled in any "
        "case, for the reference phonons; left out here, they measure errors.",
    )
    min_length_angstrom: PositiveFloat = Field(
        12.0, description="Shortest distance between periodic images."
    )
    min_atoms: PositiveInt = Field(50, description="Smallest number of atoms.")
    max_atoms: PositiveInt = Field(300, description="Largest number of atoms.")
    multiples: dict[Name, Multiples] = Field(
        default_factory=dict,
        description="Supercells of single crystals, by id, whatever the limits of size; the others "
        "are chosen within these. Multiples of the lattice vectors ([2, 2, 3]), or a matrix whose "
        "rows are the vectors of the supercell in units of the lattice vectors "
        "([[-2, 2, 2], [2, -2, 2], [2, 2, -2]]; phonopy's DIM has them in columns).",
    )
    displaced: Displaced = Displaced()
    rattled: Rattled = Rattled()

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.min_atoms > self.max_atoms:
            raise ValueError("min_atoms is larger than max_atoms")
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError("kinds has an entry twice")
        return self


class Dynamics(Model):
    """Short molecular dynamics with the current fit, at constant volume; limits end bad runs."""

    runs: PositiveInt = Field(
        2,
        description="Runs per structure and generation, each from a rattled cell of its own; run i "
        "takes volume factor i modulo their number.",
    )
    temperature_kelvin: PositiveFloat = Field(300.0, description="Temperature of the thermostat.")
    timestep_fs: PositiveFloat = Field(1.0, description="Time step.")
    relaxation_time_fs: PositiveFloat = Field(
        100.0, description="Time constant of the (Langevin) thermostat."
    )
    equilibration_steps: NonNegativeInt = Field(200, description="Steps before the snapshots.")
    snapshots: PositiveInt = Field(10, description="Snapshots of each run.")
    steps_between_snapshots: PositiveInt = Field(50, description="Steps to the next snapshot.")
    max_temperature_factor: Annotated[float, Field(gt=1)] = Field(
        3.0, description="A run ends where it gets hotter than this times its temperature."
    )
    max_force_ev_per_angstrom: PositiveFloat = Field(
        20.0, description="A run ends where the force on an atom is larger."
    )
    min_distance_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.65,
        description="A run ends where two atoms come closer than this fraction of the shortest "
        "distance in its first cell.",
    )
    max_displacement_fraction: PositiveFloat = Field(
        0.5,
        description="A run ends where an atom has gone further than this fraction of the shortest "
        "distance in its first cell: it has left its site.",
    )


class SoapDescriptor(Model):
    """SOAP vectors that tell atomic environments apart."""

    cutoff_angstrom: PositiveFloat = Field(5.0, description="Cutoff radius.")
    atom_sigma_angstrom: PositiveFloat = Field(0.5, description="Width of the atomic densities.")
    n_max: PositiveInt = Field(8, description="Radial functions.")
    l_max: NonNegativeInt = Field(6, description="Largest angular momentum.")


class Selection(Model):
    """How the cells that a later generation labels are chosen from candidates without labels."""

    method: Literal["random", "farthest", "committee"] = Field(
        "random",
        description="`random`; `farthest`: cells whose atomic environments are farthest from the "
        "labelled ones; `committee`: cells on whose forces several fits disagree (a recipe with "
        "`repeats` that are `resampled`), far from each other.",
    )
    pool_size: PositiveInt = Field(
        60,
        description="Rattled candidates per structure and generation, at all volumes of "
        "supercells.rattled.volume_factors and of all amplitudes.",
    )
    amplitude_factors: list[PositiveFloat] = Field(
        [0.5, 1.0, 2.0],
        min_length=1,
        description="Amplitudes of the rattled candidates, as multiples of "
        "supercells.rattled.std_angstrom. New cells are spread over volumes and amplitudes as "
        "evenly as their number allows; the method chooses among candidates of one volume and "
        "amplitude.",
    )
    descriptor: Literal["soap", "mace"] = Field(
        "soap", description="What tells environments apart: SOAP, or the features of a MACE fit."
    )
    soap: SoapDescriptor = SoapDescriptor()
    dynamics: Dynamics | None = Field(
        None, description="Also take snapshots of molecular dynamics as candidates."
    )
