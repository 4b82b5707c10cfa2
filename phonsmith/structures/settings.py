"""Settings of the crystals of a campaign and of their relaxation."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.settings import File, Model, Name, RelativePath, RelativePaths

Mass = Annotated[float, Field(ge=0.1, lt=500)]
"""u; muonium has 0.11."""


def _are_masses(given: Any) -> Any:
    values = list(given.values()) if isinstance(given, dict) else given
    numbers = isinstance(values, list | tuple) and all(type(one) in (int, float) for one in values)
    if not (numbers and values and all(0.1 <= one < 500 for one in values)):
        raise ValueError(
            "give masses in u of at least 0.1 and below 500, as {H: 2.014} or as a list"
        )
    return given


Masses = Annotated[dict[str, Mass] | list[Mass], BeforeValidator(_are_masses)]


class OptimadeEntry(Model):
    """Entry of an OPTIMADE database."""

    provider: Name | None = Field(
        None,
        description="Name of the database in pymatgen, e.g. `oqmd`, `alexandria.pbe`.",
    )
    base_url: str | None = Field(
        None,
        pattern=r"^https?://[^@/?#\s]+(/[^?#\s]*)?$",
        description="Address of any OPTIMADE database, with or without the version (`/v1`) at the "
        "end; replaces `provider`.",
    )
    id: str = Field(min_length=1, max_length=200, description="Id of the entry.")

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.provider is None) == (self.base_url is None):
            raise ValueError("give either `provider` or `base_url`")
        return self


class Scaled(Model):
    """A crystal of the campaign at another volume."""

    of: Name = Field(description="Id of the crystal, which is relaxed first.")
    linear: float = Field(
        gt=0.7,
        lt=1.4,
        description="Scale factor of its lattice vectors; the volume scales with the cube.",
    )


RecordedFormat = Literal[
    "phonopy",
    "phono3py",
    "force_sets",
    "force_constants",
    "extxyz",
    "vasprun",
    "outcar",
    "espresso",
]
"""Formats of recorded data."""

SupercellMatrix = (
    tuple[PositiveInt, PositiveInt, PositiveInt]
    | tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
)
"""phonopy's DIM: three multiples or a matrix."""

LEAST_VOLUMES = 5
"""Minimum for an equation of state and phonopy's fourth-degree polynomials."""


class RecordedVolume(Model):
    """Energy and phonons of a recorded crystal at one volume."""

    recorded: RelativePaths = Field(
        description="Forces or force constants at this volume, as a path in the source; the format "
        "is the format of the crystal's `recorded`.",
    )
    file: File | None = Field(
        None,
        description="Crystal file at this volume, required if the crystal itself has a `file`.",
    )
    energy_ev: float | None = Field(
        None,
        description="Energy of the unit cell without vibrations in eV, unless given in "
        "`recorded_energies`.",
    )
    volume_angstrom3: PositiveFloat | None = Field(
        None,
        description="With `energy_ev`: volume of that cell in Å³. An energy of another cell "
        "(primitive, conventional, supercell) or volume is refused.",
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.energy_ev is None) != (self.volume_angstrom3 is None):
            raise ValueError("give both energy_ev and volume_angstrom3, of the same cell")
        return self


class Structure(Model):
    """A crystal of a campaign."""

    file: File | None = Field(
        None,
        description="Crystal file (POSCAR, CIF or extxyz), relative to the project. Recorded cells "
        "of the formats `extxyz`, `vasprun`, `outcar` and `espresso` need it too, at the volume "
        "and in the orientation of these cells.",
    )
    materials_project: str | None = Field(
        None,
        pattern=r"^(mp|mvc)-[0-9a-z]+$",
        description="Id of the crystal in the Materials Project, e.g. `mp-149`; replaces `file`. "
        "It is downloaded once, with the key in MP_API_KEY, to `config/structures/fetched/`.",
    )
    optimade: OptimadeEntry | None = Field(
        None,
        description="Entry of an OPTIMADE database; replaces `file`. It is downloaded once to "
        "`config/structures/fetched/`.",
    )
    scaled: Scaled | None = Field(
        None,
        description="Another crystal of the campaign at another volume; replaces `file`. Positions "
        "and cell shape are relaxed at fixed volume, by the reference method and by every fit.",
    )
    recorded: RelativePaths | None = Field(
        None,
        description="Data of this crystal for the reference method `recorded`: a phonopy YAML, or "
        "the phono3py_disp.yaml next to its FORCES_FC3, which both contain the crystal; a file or "
        "folder, or a list of them, with labelled cells of the crystal (extxyz, vasprun.xml or "
        "OUTCAR); or FORCE_SETS, FORCE_CONSTANTS or force_constants.hdf5.",
    )
    recorded_format: RecordedFormat | None = Field(
        None, description="Format of `recorded` if it differs from `reference.format`."
    )
    recorded_supercell: SupercellMatrix | None = Field(
        None,
        description="Supercell of FORCE_SETS or force constants (phonopy's DIM): three multiples "
        "of the lattice vectors in `file`, or phonopy's 3×3 integer matrix as three rows. Not "
        "needed if SPOSCAR or disp.yaml is in the same folder.",
    )
    recorded_volumes: list[RecordedVolume] = Field(
        default_factory=list,
        description="Energies and phonons at several volumes, including the volume of `recorded`, "
        "for `thermodynamics` of the recorded reference (see docs/data.md).",
    )
    recorded_energies: RelativePath | None = Field(
        None,
        description="File in the source with the energies of `recorded_volumes`: per line a volume "
        "(Å³) and an energy without vibrations (eV) of the unit cell, as in phonopy's e-v.dat.",
    )
    role: Literal["train", "benchmark", "test"] = Field(
        "train",
        description="`train`: fits learn from the crystal, and its phonons are compared. "
        "`benchmark`: its phonons are compared, but no fit learns from it (out of sample). "
        "`test`: its labelled cells are used only for errors of energies, forces and stresses.",
    )
    masses: Masses | None = Field(
        None,
        description="Atomic masses in u if they differ from the natural elements: by element ({H: "
        "2.014}), or one per atom in the order of the crystal file. They affect phonons and all "
        "results derived from phonons; labels and fits do not depend on them. A crystal file may "
        "contain deuterium (D) directly.",
    )
    magnetic_moments_bohr: Literal["file"] | Annotated[list[float], Field(min_length=1)] | None = (
        Field(
            None,
            exclude_if=lambda moments: moments is None,  # results of campaigns without stay fresh
            description="Starting magnetic moments in Bohr magnetons, one per atom in the order of "
            "the crystal file, e.g. [2, -2, 0, 0] for an antiferromagnetic cell of NiO; or "
            "`file`, to read them from an extxyz file (columns `initial_magmoms` or `magmoms`). "
            "They override the moments by element of the reference method, which needs "
            "`magnetism: true`. Symmetry, primitive cell and displaced cells are derived from the "
            "magnetic crystal.",
        )
    )
    born: File | None = Field(
        None,
        description="phonopy BORN file for the non-analytical correction, used for the reference "
        "and for every fit.",
    )

    @model_validator(mode="after")
    def _some_origin(self) -> Self:
        keys = ("materials_project", "optimade", "scaled")
        elsewhere = [key for key in keys if getattr(self, key)]
        others = [key for key in ("file", "recorded") if getattr(self, key)]
        if not elsewhere and not others:
            raise ValueError("give `file`, `materials_project`, `optimade`, `scaled` or `recorded`")
        if len(elsewhere) + bool(others) > 1:
            raise ValueError(
                f"{' and '.join(elsewhere + others)} exclude each other; give one origin"
            )
        return self

    @model_validator(mode="after")
    def _energies_of_volumes(self) -> Self:
        stated = [one.energy_ev is not None for one in self.recorded_volumes]
        if self.recorded_energies and (any(stated) or not stated):
            raise ValueError("recorded_energies: requires recorded_volumes without energy_ev")
        if stated and not self.recorded_energies and not all(stated):
            raise ValueError(
                f"recorded_volumes.{stated.index(False)}: give energy_ev here, or all energies in "
                "a file `recorded_energies`"
            )
        if 0 < len(stated) < LEAST_VOLUMES:
            raise ValueError(
                f"recorded_volumes: {len(stated)} volumes; at least {LEAST_VOLUMES} are required"
            )
        return self


RELAXATION_EFFORT = {"reference", "on_change", "max_steps"}
"""Keys that affect neither relaxed crystals nor other results of converged relaxations."""


class Relaxation(Model):
    """Relaxation of cell and positions, without imposed symmetry."""

    reference: bool = Field(
        True,
        description="Relax the crystals with the reference method first; false uses them "
        "unrelaxed. Recorded crystals are never relaxed.",
    )
    fmax_ev_per_angstrom: Annotated[float, Field(gt=0, le=0.5)] = Field(
        1e-4,
        description="Convergence criterion: largest remaining force (and stress times volume, as "
        "in ASE's cell filter). Default with `vasp` and `espresso`: 1e-3, to which their default "
        "settings converge.",
    )
    max_steps: PositiveInt = Field(
        500, description="Maximum number of steps; a relaxation that needs more fails."
    )
    symprec_angstrom: Annotated[float, Field(ge=1e-8, le=1)] = Field(
        1e-2, description="Tolerance for the space group before and after relaxation."
    )
    ltol: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="StructureMatcher: fractional length tolerance."
    )
    stol: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="StructureMatcher: site tolerance."
    )
    angle_tol_degree: Annotated[float, Field(gt=0, le=45)] = Field(
        3.0, description="StructureMatcher: angle tolerance."
    )
    on_change: Literal["stop", "report", "leave_out"] = Field(
        "report",
        description="Action if the reference method relaxes a crystal to another crystal or "
        "changes its space group. `report` continues with the relaxed crystal. `leave_out` omits "
        "the supercells of a crystal that turns into another one (by StructureMatcher) or does "
        "not converge, and continues with the other crystals; a changed space group alone is only "
        "reported.",
    )
