"""Reference methods: one typed model for each, with units in the names."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from phonsmith.settings import Model, PotentialSource, Source


class ReferenceBase(Model):
    """What all reference methods share."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {"isolated_atoms": True}
    """Keys that no label depends on, as pydantic's ``exclude``."""

    def physics(self) -> dict[str, Any]:
        """The settings that labels depend on, as plain JSON."""
        return self.model_dump(mode="json", exclude=self.NOT_PHYSICS)


class CalculatorReference(ReferenceBase):
    """Labels from any ASE calculator."""

    method: Literal["calculator"] = Field(description="Which reference method this is.")
    potential: PotentialSource = Field(description="The calculator.")
    isolated_atoms: bool = Field(
        True,
        description="Compute isolated atoms for the energy zero of the fits; false (for a "
        "potential without meaningful isolated atoms) uses a least-squares fit of the labels.",
    )

    @property
    def level_of_theory(self) -> str:
        """What the labels are, as tables and figures name it."""
        return self.potential.calculator


class RecordedReference(ReferenceBase):
    """Labels that exist already: an earlier calculation or a published data set."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {"source": {"url": True}}

    method: Literal["recorded"] = Field(description="Which reference method this is.")
    level_of_theory: str = Field(
        min_length=1, description="Code and functional, e.g. `CASTEP PW91`: printed everywhere."
    )
    source: Source
    format: Literal["phonopy", "phono3py", "extxyz", "vasprun", "outcar"] = Field(
        "phonopy",
        description="What the files are: phonopy YAML with forces, phono3py_disp.yaml with "
        "FORCES_FC3, extxyz, or folders of vasprun.xml or OUTCAR files.",
    )


# --- density-functional theory ----------------------------------------------------------------


class DftReference(ReferenceBase):
    """What all codes of density-functional theory share."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = dict.fromkeys(
        ("isolated_atoms", "born_charges", "cores", "memory_mb", "time_limit_minutes", "command"),
        True,
    )

    functional: Literal["PBEsol", "PBE", "LDA"] = Field(
        "PBEsol", description="Exchange and correlation."
    )
    kspacing_per_angstrom: PositiveFloat = Field(
        0.2,
        description="Largest distance of neighbouring k-points in 1/Å, with the factor 2π (VASP's "
        "KSPACING): along reciprocal vector b there are max(1, ceil(|b| / spacing)) of them, with "
        "|b| = 2π/a in a cubic cell. The meshes contain Γ.",
    )
    isolated_atoms: bool = Field(
        True,
        description="Compute isolated atoms, spin-polarised, for the energy zero of the fits; "
        "false uses a least-squares fit of the labels.",
    )
    born_charges: bool = Field(
        False,
        description="Compute Born charges and the dielectric tensor of every crystal without a "
        "`born` file, for the non-analytical correction. Insulators only.",
    )
    cores: PositiveInt = Field(
        1,
        description="Cores (MPI ranks) of one run. One core a run is fastest for small cells, "
        "with as many runs side by side as memory allows (labels.side_by_side).",
    )
    memory_mb: PositiveInt = Field(
        2000, description="Memory of one run in MB; more is asked for where it was not enough."
    )
    time_limit_minutes: PositiveFloat = Field(
        240.0, description="A run that takes longer is ended and counts as out of time."
    )


class EspressoReference(DftReference):
    """Labels from Quantum ESPRESSO's pw.x."""

    method: Literal["espresso"] = Field(description="Which reference method this is.")

    @property
    def level_of_theory(self) -> str:
        """What the labels are, as tables and figures name it."""
        return f"Quantum ESPRESSO {self.functional}"


class VaspReference(DftReference):
    """Labels from VASP, run under custodian."""

    method: Literal["vasp"] = Field(description="Which reference method this is.")

    @property
    def level_of_theory(self) -> str:
        """What the labels are, as tables and figures name it."""
        return f"VASP {self.functional}"


Reference = Annotated[
    CalculatorReference | RecordedReference | EspressoReference | VaspReference,
    Field(discriminator="method"),
]
