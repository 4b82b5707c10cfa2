"""Settings that reference methods share."""

import re
import shlex
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.settings import Model

IncarValue = bool | int | float | str | list[int | float | str]
"""A value of an INCAR key, as YAML has it."""


def _words(command: str) -> str:
    try:
        shlex.split(command)
    except ValueError as error:
        raise ValueError(f"no command: {error}") from None
    return command


Command = Annotated[str, AfterValidator(_words)]
"""A command line as a shell would take it apart; no shell runs it."""


class ReferenceBase(Model):
    """What all reference methods share. Each has a field ``method`` and a level of theory."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {"isolated_atoms": True}
    """Keys that no label depends on, as pydantic's ``exclude``."""

    if TYPE_CHECKING:
        method: str

    def physics(self) -> dict[str, Any]:
        """Return the settings that labels depend on, as plain JSON."""
        return self.model_dump(mode="json", exclude=self.NOT_PHYSICS)

    def relaxes_volume(self) -> bool:
        """Return whether relaxations may change the volume."""
        return True

    def longest_run_minutes(self) -> float:
        """Return the time limit of one run; 0 without one."""
        return 0.0

    def physics_of(self, structure: str | None) -> dict[str, Any]:
        """Those that labels of one crystal depend on, or of none (isolated atoms)."""
        return self.physics()


class HubbardU(Model):
    """A Hubbard correction of one orbital of an element (Dudarev: U stands for U - J)."""

    orbital: Literal["s", "p", "d", "f"] = Field(description="Which valence orbital.")
    u_ev: PositiveFloat = Field(description="U in eV.")


class DftReference(ReferenceBase):
    """What all codes of density-functional theory share."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = dict.fromkeys(
        ("isolated_atoms", "born_charges", "cores", "memory_mb", "time_limit_minutes", "command"),
        True,
    )

    if TYPE_CHECKING:
        isolated_atom_edges_angstrom: tuple[float, float, float] = (0.0, 0.0, 0.0)

    functional: Literal["PBEsol", "PBE", "LDA"] = Field(
        "PBEsol", description="Exchange and correlation."
    )
    version: str | None = Field(
        None,
        pattern=r"^\d[\w.]*$",
        description="Version of the code, e.g. `6.4.2`: a run of another version is refused, and "
        "another version here makes new labels. pw.x tells its version before it runs; VASP does "
        "not, so that without this key labels of an earlier VASP come back from the label store.",
    )
    kspacing_per_angstrom: PositiveFloat = Field(
        0.2,
        description="Largest distance of neighbouring k-points in 1/Å, with the factor 2π (VASP's "
        "KSPACING): along reciprocal vector b there are max(1, ceil(|b| / spacing)) of them, with "
        "|b| = 2π/a in a cubic cell. The meshes contain Γ.",
    )
    hubbard: dict[str, HubbardU] = Field(
        default_factory=dict,
        description="DFT+U by element, e.g. `{Fe: {orbital: d, u_ev: 4}}`; the order of species in "
        "a cell does not matter.",
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
    memory_mb: PositiveInt | None = Field(
        None,
        description="Memory of one run in MB, more of it where it was not enough. By default from "
        "the cost model, as the plan has it, or 2000 where that cannot tell.",
    )
    time_limit_minutes: PositiveFloat = Field(
        240.0,
        description="A run that takes longer is ended and counts as out of time. On a cluster a "
        "job by the cost model ends it earlier, so as to outlive it.",
    )

    LATER: ClassVar[tuple[str, ...]] = ("version", "hubbard")
    """Keys that older fingerprints do not have: they are part of them only where they are used."""

    def physics(self) -> dict[str, Any]:
        """Return the settings that labels depend on, as plain JSON."""
        settings = super().physics()
        return {k: v for k, v in settings.items() if k not in self.LATER or v not in (None, {})}

    def longest_run_minutes(self) -> float:
        """Return the time limit of one run."""
        return self.time_limit_minutes

    def check_version(self, found: str, code: str) -> None:
        """Whether the code that ran is the one stated.

        Raises
        ------
        PhonsmithError
            It is not.
        """
        if self.version and not re.match(re.escape(self.version) + r"(?!\d)", found.strip()):
            raise PhonsmithError(
                f"reference.version is {self.version}, but {code} {found.strip()} ran; load the "
                "other one, or correct reference.version"
            )


MAGNETISM = (
    "Spin-polarised calculation (collinear). It starts from moments by element, or from those of "
    "the sites of a crystal (structures.….magnetic_moments_bohr)."
)


class MagneticReference(DftReference):
    """A code that starts from magnetic moments of sites or elements."""

    MOMENTS_KEY: ClassVar[str]
    """The key of the moments by element."""

    @property
    def magnetic(self) -> bool:
        """Whether calculations are spin-polarised."""
        return bool(getattr(self, "magnetism"))  # noqa: B009 - a field of each code, in its place

    @property
    def moments_by_element(self) -> dict[str, float]:
        """Where the electrons of elements start, in the units of :attr:`MOMENTS_KEY`."""
        found: dict[str, float] = getattr(self, self.MOMENTS_KEY)
        return found

    @model_validator(mode="after")
    def _moments_with_magnetism(self) -> Self:
        if any(self.moments_by_element.values()) and not self.magnetic:
            raise ValueError(f"{self.MOMENTS_KEY} needs magnetism: true")
        return self
