"""Settings of the thermal conductivity."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.quantities import MESH_OR_LENGTH, CellLength, Cutoff, Kelvin, Megabytes
from phonsmith.files.settings import Model, Name, Once

Mesh = Annotated[tuple[PositiveInt, PositiveInt, PositiveInt] | PositiveFloat, MESH_OR_LENGTH]
"""Numbers of q points along the reciprocal vectors, or a length in Å that sets the density."""

MeshOf = Literal["primitive", "unit", "unit_folded"]
"""Cell whose Brillouin zone a mesh divides, see :mod:`phonsmith.conductivity.mesh`."""


class ThirdOrder(Model):
    """Third-order force constants: cells labelled for them."""

    way: Literal["displacements", "fit"] = Field(
        "displacements",
        description="`displacements`: cells with one or two displaced atoms, as many as symmetry "
        "requires. `fit`: few cells with all atoms displaced, and a fit by symfc.",
    )
    distance_angstrom: PositiveFloat = Field(
        0.03, le=0.5, description="Length of every displacement, for both values of `way`."
    )
    pair_cutoff_angstrom: Cutoff | None = Field(
        None,
        description="Force constants of more distant atoms are set to zero, and no cells are made "
        "for them.",
    )
    random_cells: PositiveInt | None = Field(
        None,
        description="Cells for `way: fit`; default: the number that gives four equations per "
        "unknown of second and third order.",
    )
    min_length_angstrom: CellLength = Field(
        10.0, description="Shortest distance between periodic images of the supercell."
    )
    min_atoms: PositiveInt = Field(8, description="Smallest number of atoms.")
    max_atoms: PositiveInt = Field(200, description="Largest number of atoms.")


class PublishedConductivity(Model):
    """Published value, printed and drawn for comparison."""

    label: str = Field(min_length=1, description="Label in legends.")
    source: str = Field(min_length=1, description="Publication that reports the value.")
    structure: Name = Field(description="Id of the crystal.")
    temperature_kelvin: Kelvin = Field(description="Temperature.")
    kappa_w_per_m_k: PositiveFloat = Field(description="Thermal conductivity in W/mK.")
    direction: tuple[int, int, int] | None = Field(
        None, description="Direction [uvw]; default: mean over the three axes."
    )


class Conductivity(Model):
    """Lattice thermal conductivity by phono3py."""

    structures: Annotated[list[Name] | Literal["all"], Once] = Field(
        "all", description="Crystals, by id; `all`: the crystals whose phonons are compared."
    )
    third_order: ThirdOrder = ThirdOrder()
    temperatures_kelvin: list[Kelvin] = Field(
        [300.0, 600.0, 900.0], min_length=1, description="Temperatures."
    )
    mesh: Mesh = Field(
        (11, 11, 11),
        description="q points along the reciprocal vectors, or a length l in Å: l times the length "
        "of each reciprocal vector (without 2π) of the reference crystal, for all methods.",
    )
    lbte_mesh: Mesh | None = Field(
        None,
        description="Mesh for the direct solution, whose memory grows with the square of the "
        "number of irreducible q points; default: `mesh`.",
    )
    convergence: list[Mesh] = Field(
        default_factory=list,
        description="Further meshes for the convergence table; relaxation-time approximation.",
    )
    mesh_of: MeshOf = Field(
        "primitive",
        description="Cell whose Brillouin zone the mesh divides. `primitive`: the primitive cell. "
        "`unit`: the unit cell in the crystal file; its q points are sampled in the zone of the "
        "primitive cell, so that equal numbers give a finer mesh. `unit_folded`: the unit cell "
        "replaces the primitive cell, as in George 2020; folded bands lose part of the heat.",
    )
    solvers: list[Literal["rta", "lbte"]] = Field(
        ["rta"],
        min_length=1,
        description="Relaxation-time approximation (`rta`) and direct solution of the linearised "
        "Boltzmann equation (`lbte`).",
    )
    isotopes: list[bool] = Field(
        [False], min_length=1, description="Without and with scattering by natural isotopes."
    )
    non_analytical: list[bool] = Field(
        [True],
        min_length=1,
        description="With and without the non-analytical correction, where Born charges are known.",
    )
    boundary_micrometre: Annotated[float, Field(ge=1e-5)] | None = Field(
        None, description="Mean free path of boundary scattering; null: no boundary scattering."
    )
    transport: Literal["boltzmann", "wigner", "green-kubo"] = Field(
        "boltzmann",
        description="`wigner` (Simoncelli, Marzari, Mauri 2019) and `green-kubo` (Fiorentino, "
        "Baroni 2023) add heat transport by tunnelling between bands.",
    )
    directions: list[tuple[int, int, int]] = Field(
        default_factory=list,
        description="Directions [uvw] of the cell in the crystal file for which the conductivity "
        "is reported in addition.",
    )
    cumulative_kelvin: Kelvin | None = Field(
        None,
        description="Temperature of the cumulative conductivity and of the mode-by-mode "
        "comparison; default: the first of `temperatures_kelvin`.",
    )
    all_generations: bool = Field(
        False,
        description="With a loop: compute it with the fits of every generation, not only of the "
        "accepted one. Crystals in the goal's properties are always computed in every generation.",
    )
    published: list[PublishedConductivity] = Field(
        default_factory=list, description="Published values, printed and drawn for comparison."
    )
    jackknife_groups: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="Number of groups of random third-order cells (`way: fit`, recorded random "
        "cells, fits of kind `force-constants`) for the uncertainty of κ in "
        "`tables/conductivity.csv`, e.g. 5. κ is computed once more without each group, with the "
        "first entries of `solvers`, `isotopes` and `non_analytical`. Default: no uncertainty.",
    )
    memory_mb: Megabytes = Field(
        4000,
        description="Memory of a job in MB. For each temperature, the direct solution needs two "
        "square matrices of dimension 3 × irreducible q points × bands; a demand known to be too "
        "large is refused before cells are labelled.",
    )
    runtime_minutes: PositiveInt = Field(240, description="Time limit of a cluster job.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key in ("solvers", "isotopes", "non_analytical", "temperatures_kelvin"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} contains an entry twice")
        if self.transport != "boltzmann" and "rta" not in self.solvers:
            raise ValueError(
                f"transport: {self.transport} is computed in the relaxation-time approximation "
                "only; add rta to solvers"
            )
        if (0, 0, 0) in self.directions:
            raise ValueError("directions: [0, 0, 0] is not a direction")
        if self.third_order.random_cells is not None and self.third_order.way != "fit":
            raise ValueError("third_order.random_cells: used only with `third_order.way: fit`")
        wanted = self.cumulative_kelvin
        if wanted is not None and wanted not in self.temperatures_kelvin:
            raise ValueError(f"cumulative_kelvin: {wanted:g} is not in temperatures_kelvin")
        return self
