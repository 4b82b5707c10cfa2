"""Settings of all reference methods."""

import re
import shlex
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from phonsmith.files.elements import Element
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.quantities import Megabytes
from phonsmith.files.settings import Model

IncarValue = bool | int | float | str | list[int | float | str]
"""Value of an INCAR key in YAML."""


def _words(command: str) -> str:
    try:
        shlex.split(command)
    except ValueError as error:
        raise ValueError(f"no command: {error}") from None
    return command


Command = Annotated[str, AfterValidator(_words)]
"""Command line, split as in a shell but run without a shell."""


class ReferenceBase(Model):
    """Base of all reference methods. Each has a field ``method`` and a level of theory."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {"isolated_atoms": True}
    """Keys without influence on labels, as pydantic's ``exclude``."""

    RELAXES_TO_EV_PER_ANGSTROM: ClassVar[float] = 1e-4
    """Convergence criterion of relaxations that the method reaches with its default settings."""

    if TYPE_CHECKING:
        method: str

        @property
        def level_of_theory(self) -> str:
            """Return the level of theory, as shown in tables and figures."""

    def physics(self) -> dict[str, Any]:
        """Return the settings that labels depend on, as plain JSON."""
        return self.model_dump(mode="json", exclude=self.NOT_PHYSICS)

    @property
    def has_stresses(self) -> bool:
        """Return whether labels have stresses."""
        return True

    @property
    def box_of_isolated_atoms(self) -> tuple[float, float, float] | None:
        """Return the edges (Å) of the box of isolated atoms; None if not a setting."""
        return None

    def relaxes_volume(self) -> bool:
        """Return whether relaxations may change the volume."""
        return True

    def longest_run_minutes(self) -> float:
        """Return the time limit of a run; 0 for no limit."""
        return 0.0

    def physics_of(self, structure: str | None) -> dict[str, Any]:
        """Return the settings that labels of a crystal, or of isolated atoms (None), depend on."""
        return self.physics()


class HubbardU(Model):
    """Hubbard correction of one orbital of an element (Dudarev: U denotes U - J)."""

    orbital: Literal["s", "p", "d", "f"] = Field(description="Valence orbital.")
    u_ev: Annotated[float, Field(gt=0, le=30)] = Field(description="U in eV.")


class DftReference(ReferenceBase):
    """Settings of all density-functional theory codes."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = dict.fromkeys(
        ("isolated_atoms", "born_charges", "cores", "memory_mb", "time_limit_minutes", "command"),
        True,
    )
    RELAXES_TO_EV_PER_ANGSTROM: ClassVar[float] = 1e-3

    if TYPE_CHECKING:
        isolated_atom_edges_angstrom: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def box_of_isolated_atoms(self) -> tuple[float, float, float] | None:
        """Edges (Å) of the box of isolated atoms."""
        return self.isolated_atom_edges_angstrom

    functional: Literal["PBEsol", "PBE", "LDA"] = Field(
        "PBEsol", description="Exchange-correlation functional."
    )
    version: str | None = Field(
        None,
        pattern=r"^\d[\w.]*$",
        description="Version of the code, e.g. `6.4.2`: runs of another version are refused, and "
        "changing this key makes new labels. pw.x reports its version before a run; VASP does "
        "not, and without this key the label store returns labels of an earlier VASP.",
    )
    kspacing_per_angstrom: float = Field(
        0.2,
        ge=0.04,
        le=5,
        description="Largest distance between neighbouring k-points in 1/Å, including the factor "
        "2π (VASP's KSPACING): max(1, ceil(|b| / spacing)) points along reciprocal vector b, with "
        "|b| = 2π/a in a cubic cell. The meshes contain Γ.",
    )
    hubbard: dict[Element, HubbardU] = Field(
        default_factory=dict,
        description="DFT+U by element, e.g. `{Fe: {orbital: d, u_ev: 4}}`; the order of species in "
        "a cell does not matter.",
    )
    isolated_atoms: bool = Field(
        True,
        description="Compute isolated atoms (spin-polarised) for the energy zero of the fits; "
        "false uses a least-squares fit of the labels.",
    )
    born_charges: bool = Field(
        False,
        description="Compute Born charges and dielectric tensors of all crystals without a `born` "
        "file, for the non-analytical correction. Insulators only.",
    )
    cores: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1,
        description="Cores (MPI ranks) per run. For small cells, one core per run is fastest, with "
        "as many concurrent runs as memory allows (labels.side_by_side).",
    )
    memory_mb: Megabytes | None = Field(
        None,
        description="Memory of a run in MB, increased after running out of memory. Default: the "
        "estimate of the cost model, as in the plan, or 2000 without an estimate.",
    )
    time_limit_minutes: Annotated[float, Field(gt=0, le=30_000)] = Field(
        240.0,
        description="Time limit of a run; a longer run is ended and reported as a timeout. On a "
        "cluster, a job with a limit from the cost model ends the run earlier, before its own "
        "time runs out.",
    )

    LATER: ClassVar[tuple[str, ...]] = ("version", "hubbard")
    """Keys absent from older fingerprints: they enter a fingerprint only if set."""

    def physics(self) -> dict[str, Any]:
        """Return the settings that labels depend on, as plain JSON."""
        settings = super().physics()
        return {k: v for k, v in settings.items() if k not in self.LATER or v not in (None, {})}

    def longest_run_minutes(self) -> float:
        """Return the time limit of one run."""
        return self.time_limit_minutes

    def check_version(self, found: str, code: str) -> None:
        """Check that the code that ran has the version in the settings.

        Raises
        ------
        PhonsmithError
            The versions differ.
        """
        if self.version and not re.match(re.escape(self.version) + r"(?!\d)", found.strip()):
            raise PhonsmithError(
                f"reference.version is {self.version}, but {code} {found.strip()} ran; load "
                f"version {self.version}, or correct reference.version"
            )


MAGNETISM = (
    "Spin-polarised calculation (collinear). It starts from moments by element, or from the site "
    "moments of a crystal (structures.….magnetic_moments_bohr)."
)


class MagneticReference(DftReference):
    """A code that starts from magnetic moments of sites or elements."""

    MOMENTS_KEY: ClassVar[str]
    """Key of the moments by element."""

    @property
    def magnetic(self) -> bool:
        """Return whether calculations are spin-polarised."""
        return bool(getattr(self, "magnetism"))  # noqa: B009 - a field of each code, in its place

    @property
    def moments_by_element(self) -> dict[str, float]:
        """Return the starting moments by element, in the units of :attr:`MOMENTS_KEY`."""
        found: dict[str, float] = getattr(self, self.MOMENTS_KEY)
        return found

    @model_validator(mode="after")
    def _moments_with_magnetism(self) -> Self:
        if any(self.moments_by_element.values()) and not self.magnetic:
            raise ValueError(f"{self.MOMENTS_KEY} requires magnetism: true")
        return self
