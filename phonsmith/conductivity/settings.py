"""Settings of the thermal conductivity."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.settings import Model, Name

Mesh = tuple[PositiveInt, PositiveInt, PositiveInt] | PositiveFloat
"""Numbers of q points along the reciprocal vectors, or a length in Å that stands for a density."""

MeshOf = Literal["primitive", "unit", "unit_folded"]
"""Cell whose Brillouin zone a mesh divides, see :mod:`phonsmith.conductivity.mesh`."""


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
