"""Settings of the applications: what is computed with the reference method and accepted fits.

Light models, like those in :mod:`phonsmith.settings`.
"""

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from phonsmith.settings import Model, Name

# --- thermodynamics ---------------------------------------------------------------------------


class Thermodynamics(Model):
    """Energies of volumes, harmonic and quasi-harmonic free energies, by reference and fits."""

    structures: list[Name] | Literal["all"] = Field(
        "all", description="Crystals, by id; `all` are those whose phonons are compared."
    )
    max_temperature_kelvin: PositiveFloat = Field(1000.0, description="Highest temperature.")
    temperature_step_kelvin: PositiveFloat = Field(10.0, description="From one to the next.")
    pressures_gpa: list[float] = Field([0.0], min_length=1, description="Pressures.")
    quasi_harmonic: bool = Field(
        True,
        description="Phonons at every volume, and the Gibbs energy; false: phonons at the minimum "
        "of the energy alone.",
    )
    equation_of_state: Literal["birch-murnaghan", "vinet"] = Field(
        "vinet", description="Form that the free energies are fitted to at each temperature."
    )
    volumes: Annotated[int, Field(ge=5)] = Field(9, description="Volumes to begin with.")
    first_volumes_percent: tuple[float, float] = Field(
        (-4.0, 6.0),
        description="First and last of them, relative to the volume at rest. More are added in "
        "the same steps where the volume at equilibrium is not bracketed.",
    )
    largest_volume_change_percent: Annotated[float, Field(gt=0, lt=50)] = Field(
        20.0, description="No volume is further from that at rest."
    )
    imaginary: Literal["exclude", "report", "stop"] = Field(
        "exclude",
        description="Volumes with imaginary modes (beyond benchmarks.imaginary_tolerance_thz): "
        "left out, used without these modes, or no result for the crystal. The share is reported.",
    )
    mesh_length_angstrom: PositiveFloat = Field(
        60.0, description="Density of the mesh of q points, as phonopy's mesh length."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        low, high = self.first_volumes_percent
        largest = self.largest_volume_change_percent
        if not -largest <= low < 0 < high <= largest:
            raise ValueError(
                "first_volumes_percent: give one below and one above zero, within "
                f"largest_volume_change_percent ({largest:g})"
            )
        if self.temperature_step_kelvin * 4 > self.max_temperature_kelvin:
            raise ValueError("temperature_step_kelvin: at least five temperatures are needed")
        if len(set(self.pressures_gpa)) != len(self.pressures_gpa):
            raise ValueError("pressures_gpa has an entry twice")
        return self

    @property
    def relaxations(self) -> int:
        """Relaxations of a crystal, as long as no volumes are added: at rest before and after."""
        return self.volumes + 2

    @property
    def vibrations(self) -> int:
        """How often its displaced cells are computed: at rest, and at the volumes."""
        return 1 + (self.volumes if self.quasi_harmonic else 0)


# --- phase transitions ------------------------------------------------------------------------


class PublishedTransition(Model):
    """A published transition to print and draw beside."""

    label: str = Field(min_length=1, description="What it is, for legends.")
    source: str = Field(min_length=1, description="Where it stands.")
    structures: tuple[Name, Name] = Field(description="From and to which crystal.")
    value: PositiveFloat = Field(description="Temperature in K, or pressure in GPa.")
    up_to: PositiveFloat | None = Field(None, description="Upper end, where a range is given.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.up_to is not None and self.up_to <= self.value:
            raise ValueError("up_to has to be larger than value")
        return self


class TransitionBase(Model):
    """What all transitions share."""

    structures: list[Name] = Field(
        min_length=2,
        description="Crystals of one composition, by id. The first is the one that the others are "
        "compared with in figures; the transition of the loop's goal is that of the first two.",
    )
    all_generations: bool = Field(
        True,
        description="With a loop: for the fits of every generation, not of the accepted one alone.",
    )
    published: list[PublishedTransition] = Field(
        default_factory=list, description="Published transitions to print and draw beside."
    )

    @model_validator(mode="after")
    def _crystals(self) -> Self:
        if len(set(self.structures)) != len(self.structures):
            raise ValueError("structures has an entry twice")
        for one in self.published:
            for name in one.structures:
                if name not in self.structures:
                    raise ValueError(f"published: '{name}' is none of the structures")
        return self


class TemperatureTransition(TransitionBase):
    """Which crystal has the lowest free energy at a temperature; needs `thermodynamics`."""

    driven_by: Literal["temperature"] = Field(description="What drives the transition.")
    pressure_gpa: float = Field(
        0.0,
        description="Pressure of the quasi-harmonic Gibbs energies, one of "
        "thermodynamics.pressures_gpa. At zero, harmonic free energies are compared as well.",
    )


class Pressing(Model):
    """At which pressures and volumes a crystal is relaxed."""

    pressures_gpa: Annotated[list[NonNegativeFloat], Field(min_length=3)] = Field(
        description="Pressures at which the crystals are relaxed, in ascending order."
    )
    volumes: Annotated[int, Field(ge=6)] = Field(
        9,
        description="Relaxations at fixed volumes for the equation of state, from which the "
        "enthalpy follows once more.",
    )
    tolerance_mev_per_atom: PositiveFloat = Field(
        5.0,
        description="Largest difference of both enthalpies at a pressure; more is reported.",
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for low, high in itertools.pairwise(self.pressures_gpa):
            if high <= low:
                raise ValueError("pressures_gpa: give them in ascending order, each once")
        return self

    @property
    def relaxations(self) -> int:
        """Relaxations of a crystal."""
        return len(self.pressures_gpa) + self.volumes


class PressureTransition(TransitionBase, Pressing):
    """Which crystal has the lowest enthalpy at a pressure."""

    driven_by: Literal["pressure"] = Field(description="What drives the transition.")
    temperatures_kelvin: list[PositiveFloat] = Field(
        default_factory=list,
        description="Temperatures at which Gibbs energies at thermodynamics.pressures_gpa are "
        "compared as well (quasi-harmonic).",
    )


Transition = Annotated[TemperatureTransition | PressureTransition, Field(discriminator="driven_by")]


# --- thermal conductivity ---------------------------------------------------------------------

Mesh = tuple[PositiveInt, PositiveInt, PositiveInt] | PositiveFloat
"""Numbers of q points along the reciprocal vectors, or a length in Å that stands for a density."""
MeshOf = Literal["primitive", "unit", "unit_folded"]
"""Cell whose Brillouin zone a mesh divides, see :mod:`phonsmith.conductivity_mesh`."""


class ThirdOrder(Model):
    """Third-order force constants: which cells are labelled for them."""

    way: Literal["displacements", "fit"] = Field(
        "displacements",
        description="`displacements`: cells with one or two displaced atoms, as many as symmetry "
        "asks for. `fit`: few cells with all atoms displaced, and a fit by symfc.",
    )
    distance_angstrom: PositiveFloat = Field(
        0.03, description="Length of every displacement, in both ways."
    )
    pair_cutoff_angstrom: PositiveFloat | None = Field(
        None,
        description="Force constants of atoms further apart are taken as zero, and no cell is made "
        "for them.",
    )
    random_cells: PositiveInt | None = Field(
        None,
        description="Cells of the way `fit`; by default as many as give four equations for each "
        "unknown of second and third order.",
    )
    min_length_angstrom: PositiveFloat = Field(
        10.0, description="Shortest distance between periodic images of the supercell."
    )
    min_atoms: PositiveInt = Field(8, description="Smallest number of atoms.")
    max_atoms: PositiveInt = Field(200, description="Largest number of atoms.")


class PublishedConductivity(Model):
    """A published value to print and draw beside."""

    label: str = Field(min_length=1, description="What it is, for legends.")
    source: str = Field(min_length=1, description="Where it stands.")
    structure: Name = Field(description="Id of the crystal.")
    temperature_kelvin: PositiveFloat = Field(description="Temperature.")
    kappa_w_per_m_k: PositiveFloat = Field(description="Thermal conductivity in W/mK.")
    direction: tuple[int, int, int] | None = Field(
        None, description="Direction [uvw]; by default the mean of the three axes."
    )


class Conductivity(Model):
    """Lattice thermal conductivity by phono3py."""

    structures: list[Name] | Literal["all"] = Field(
        "all", description="Crystals, by id; `all` are those whose phonons are compared."
    )
    third_order: ThirdOrder = ThirdOrder()
    temperatures_kelvin: list[PositiveFloat] = Field(
        [300.0, 600.0, 900.0], min_length=1, description="Temperatures."
    )
    mesh: Mesh = Field(
        (11, 11, 11),
        description="q points along the reciprocal vectors, or a length l in Å: l times the length "
        "of each reciprocal vector (without 2π) of the reference's crystal, for all methods.",
    )
    lbte_mesh: Mesh | None = Field(
        None,
        description="Another mesh for the direct solution, whose memory grows with the square of "
        "the irreducible q points; by default `mesh`.",
    )
    convergence: list[Mesh] = Field(
        default_factory=list,
        description="Further meshes for the table of convergence; relaxation-time approximation.",
    )
    mesh_of: MeshOf = Field(
        "primitive",
        description="Cell whose Brillouin zone the mesh divides. `primitive`: the primitive cell. "
        "`unit`: the unit cell in the crystal file, whose q points are then sampled in the zone of "
        "the primitive cell; the same numbers are a finer mesh. `unit_folded`: the unit cell takes "
        "the place of the primitive cell, as in George 2020; folded bands lose part of the heat.",
    )
    solvers: list[Literal["rta", "lbte"]] = Field(
        ["rta"],
        min_length=1,
        description="Relaxation-time approximation, and direct solution of the linearised "
        "Boltzmann equation.",
    )
    isotopes: list[bool] = Field(
        [False], min_length=1, description="Without and with scattering by natural isotopes."
    )
    non_analytical: list[bool] = Field(
        [True],
        min_length=1,
        description="With and without the non-analytical correction, where Born charges are known.",
    )
    boundary_micrometre: PositiveFloat | None = Field(
        None, description="Mean free path of scattering by boundaries; null: none."
    )
    transport: Literal["boltzmann", "wigner", "green-kubo"] = Field(
        "boltzmann",
        description="`wigner` (Simoncelli, Marzari, Mauri 2019) and `green-kubo` (Fiorentino, "
        "Baroni 2023) add heat that tunnels between bands.",
    )
    directions: list[tuple[int, int, int]] = Field(
        default_factory=list,
        description="Directions [uvw] of the cell in the crystal file, along which the "
        "conductivity is given as well.",
    )
    cumulative_kelvin: PositiveFloat | None = Field(
        None,
        description="Temperature of the cumulative conductivity and of the comparison mode by "
        "mode; by default the first of `temperatures_kelvin`.",
    )
    all_generations: bool = Field(
        False,
        description="With a loop: for the fits of every generation, not of the accepted one alone; "
        "the crystals of the goal's properties always are.",
    )
    published: list[PublishedConductivity] = Field(
        default_factory=list, description="Published values to print and draw beside."
    )
    memory_mb: PositiveInt = Field(
        4000,
        description="Memory of a job in MB. The direct solution needs two matrices of 3 times "
        "irreducible q points times bands for each temperature; what is known to be too much is "
        "refused before cells are labelled.",
    )
    runtime_minutes: PositiveInt = Field(240, description="Time limit of a job on a cluster.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key in ("solvers", "isotopes", "non_analytical", "temperatures_kelvin"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} has an entry twice")
        if self.transport != "boltzmann" and "rta" not in self.solvers:
            raise ValueError(
                f"transport: {self.transport} tells what single modes carry in relaxation-time "
                "approximation only; add rta to solvers"
            )
        if (0, 0, 0) in self.directions:
            raise ValueError("directions: [0, 0, 0] is no direction")
        wanted = self.cumulative_kelvin
        if wanted is not None and wanted not in self.temperatures_kelvin:
            raise ValueError(f"cumulative_kelvin: {wanted:g} is none of temperatures_kelvin")
        return self
