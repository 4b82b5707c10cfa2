"""Settings of labels from VASP."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from phonsmith.files.elements import Element
from phonsmith.files.quantities import BoxEdge
from phonsmith.files.settings import Name
from phonsmith.labels.reference import (
    MAGNETISM,
    Command,
    DftReference,
    IncarValue,
    MagneticReference,
)


class VaspReference(MagneticReference):
    """Labels from VASP, run by custodian."""

    MOMENTS_KEY: ClassVar[str] = "magmom"

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {
        **DftReference.NOT_PHYSICS,
        "isolated_atom_edges_angstrom": True,
        "command_gamma": True,
    }

    method: Literal["vasp"] = Field(description="Reference method.")
    potcars: dict[Element, str] = Field(
        min_length=1,
        description="POTCAR of each element, e.g. `{Sn: Sn_d}`, in the folder set by pymatgen's "
        "PMG_VASP_PSP_DIR.",
    )
    potcar_family: str | None = Field(
        None,
        pattern=r"^(PBE|LDA)(_5[24](_W_HASH)?|_64)?$",
        description="Release of the POTCARs, by pymatgen's name; default: PBE_54, or LDA_54 with "
        "the functional LDA.",
    )
    encut_ev: PositiveFloat = Field(
        700.0, description="Plane-wave cutoff in eV (ENCUT), used for all cells."
    )
    ediff_ev: Annotated[float, Field(gt=0, le=1e-5)] = Field(
        1e-7,
        description="SCF convergence: change of the energy of the cell in eV (EDIFF).",
    )
    ismear: Literal[-1, 0, 1, 2] = Field(
        0,
        description="Smearing (ISMEAR): 0 Gaussian, -1 Fermi-Dirac, 1 and 2 Methfessel-Paxton "
        "(metals only).",
    )
    sigma_ev: Annotated[float, Field(gt=0, le=5)] = Field(
        0.05, description="Smearing width in eV (SIGMA)."
    )
    magnetism: bool = Field(False, description=MAGNETISM)
    magmom: dict[Element, Annotated[float, Field(ge=-20, le=20)]] = Field(
        default_factory=dict,
        description="With magnetism: starting magnetic moment per atom in Bohr magnetons (MAGMOM), "
        "by element; omitted elements start without moment.",
    )
    volume: Literal["relaxed", "fixed"] = Field(
        "relaxed",
        description="`relaxed`: relaxation changes the volume (ISIF 3). `fixed`: relaxation "
        "changes only the cell shape (ISIF 4), for crystals at chosen volumes.",
    )
    command: Command | None = Field(
        None,
        description="Command of VASP; `{cores}` is replaced by the number of cores. Default: "
        "`vasp_std` on one core, `mpirun -np {cores} vasp_std` on more.",
    )
    command_gamma: Command | None = Field(
        None,
        description="Command for cells with the Γ point only, e.g. `mpirun -np {cores} vasp_gam`: "
        "identical results in half the time. Default: `command`.",
    )
    isolated_atom_edges_angstrom: tuple[BoxEdge, BoxEdge, BoxEdge] = Field(
        (14.0, 15.0, 16.0),
        description="Box edges of an isolated atom; unequal edges let partly filled shells find "
        "their ground state.",
    )
    incar: dict[str, IncarValue] = Field(
        default_factory=dict,
        description="Further INCAR keys for all runs, e.g. `{IVDW: 12, NCORE: 4}`. Parallelisation "
        "keys (NCORE, NPAR, KPAR, ...) do not make labels stale.",
    )
    incar_by_structure: dict[Name, dict[str, IncarValue]] = Field(
        default_factory=dict,
        description="INCAR keys for the cells of individual structures; they override `incar`. "
        "ISMEAR, SIGMA and KSPACING are allowed here.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.potcar_family and (self.potcar_family[:3] == "LDA") != (self.functional == "LDA"):
            raise ValueError(
                f"potcar_family {self.potcar_family} is not made for {self.functional}; PBE and "
                "PBEsol require POTCARs of PBE, LDA requires POTCARs of LDA"
            )
        if self.cores > 1:
            for key in ("command", "command_gamma"):
                command = getattr(self, key)
                if command is not None and "{cores}" not in command:
                    raise ValueError(f"{key} must contain `{{cores}}`, the number of cores")
        _check_incar(self.incar, "incar", _REFUSED_TAGS)
        for name, tags in self.incar_by_structure.items():
            refused = {k: v for k, v in _REFUSED_TAGS.items() if k not in _TAGS_OF_STRUCTURES}
            _check_incar(tags, f"incar_by_structure.{name}", refused)
        return self

    def relaxes_volume(self) -> bool:
        """Return whether relaxations may change the volume."""
        return self.volume == "relaxed"

    @property
    def level_of_theory(self) -> str:
        """Level of theory in tables and figures."""
        return f"VASP {self.functional}{'+U' if self.hubbard else ''}"

    @property
    def family(self) -> str:
        """Release of the POTCARs."""
        return self.potcar_family or ("LDA_54" if self.functional == "LDA" else "PBE_54")

    def physics(self) -> dict[str, Any]:
        """Return the settings that labels depend on, as plain JSON."""
        settings = super().physics()
        settings["incar"] = without_shares(settings["incar"])
        by_structure = settings["incar_by_structure"]
        settings["incar_by_structure"] = {
            name: without_shares(tags) for name, tags in by_structure.items()
        }
        return settings

    def physics_of(self, structure: str | None) -> dict[str, Any]:
        """Return the settings that labels of a crystal, or of isolated atoms (None), depend on."""
        settings = self.physics()
        by_structure = settings["incar_by_structure"]
        return {**settings, "incar_by_structure": by_structure.get(structure, {})}


def without_shares(tags: dict[str, Any]) -> dict[str, Any]:
    """Return INCAR keys without the parallelisation keys."""
    return {key: value for key, value in tags.items() if key.upper() not in _SHARES}


_SHARES = frozenset(("NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALAPACK", "NCSHMEM"))

_TAGS_OF_STRUCTURES = frozenset(("ISMEAR", "SIGMA", "KSPACING"))

_SET_BY_PHONSMITH = (
    *("SYSTEM", "NSW", "IBRION", "ISIF", "ISTART", "ICHARG", "LWAVE", "LCHARG", "NWRITE"),
    *("LEPSILON", "LCALCEPS", "KGAMMA"),
)

_REFUSED_TAGS = {
    **dict.fromkeys(_SET_BY_PHONSMITH, "set by phonsmith"),
    **dict.fromkeys(("GGA", "METAGGA", "LHFCALC", "LIBXC1", "LIBXC2"), "use functional"),
    **dict.fromkeys(("ISPIN", "MAGMOM", "NUPDOWN"), "use magnetism and magmom"),
    **dict.fromkeys(("LNONCOLLINEAR", "LSORBIT"), "phonsmith labels collinear states"),
    "ENCUT": "use encut_ev",
    "EDIFF": "use ediff_ev",
    "EDIFFG": "use relaxation.fmax_ev_per_angstrom",
    "ISMEAR": "use ismear, or incar_by_structure",
    "SIGMA": "use sigma_ev, or incar_by_structure",
    "KSPACING": "use kspacing_per_angstrom, or incar_by_structure",
    "NELECT": "phonsmith labels neutral cells",
    **dict.fromkeys(("IMAGES", "SPRING", "LCLIMB"), "labels are single cells, no paths"),
    "PSTRESS": "its pV would be in energies and stresses; pressures are the campaign's",
    "VCA": "labels are of whole atoms",
    **dict.fromkeys(("EFIELD", "EFIELD_PEAD"), "labels are of crystals without a field"),
    **dict.fromkeys(("I_CONSTRAINED_M", "M_CONSTR", "LAMBDA"), "its penalty would be in energies"),
    "SCALEE": "it scales energies and forces",
    **dict.fromkeys(("FERWE", "FERDO"), "labels are of ground states"),
    "ICORELEVEL": "labels are of ground states",
    **dict.fromkeys(("LCHIMAG", "LRPA", "LOPTICS"), "labels need no response to fields"),
    **dict.fromkeys(("MDALGO", "TEBEG", "TEEND", "POTIM"), "labels are of cells at rest"),
    **dict.fromkeys(("LDAU", "LDAUL", "LDAUU", "LDAUJ", "LDAUTYPE"), "use hubbard"),
}
"""INCAR keys that a campaign cannot set by ``incar``, and why."""

_ALLOWED_VALUES: dict[str, tuple[str, ...]] = {
    "ALGO": ("Normal", "VeryFast", "Fast", "All", "Conjugate", "Damped"),
    "IALGO": ("38", "48", "53", "54", "58", "68"),
    "ISMEAR": ("-5", "-4", "-1", "0", "1", "2"),
}
"""Solvers and occupations that give a self-consistent ground state."""


def _is_allowed(value: Any, allowed: tuple[str, ...]) -> bool:
    """Whether VASP accepts the value; for ALGO, the first letter suffices ("N" is Normal)."""
    word = str(value).strip().lower()
    names = [name.lower() for name in allowed]
    return word in names or (word.isalpha() and word in [name[0] for name in names])


def _check_incar(tags: dict[str, Any], where: str, refused: dict[str, str]) -> None:
    names = [tag.strip().upper() for tag in tags]
    for tag, name in zip(tags, names, strict=True):
        if names.count(name) > 1:
            raise ValueError(f"{where}: {name} is given twice")
        reason = refused.get(name) or (name.startswith("ML_") and "labels are DFT")
        if reason:
            raise ValueError(f"{where}.{tag}: not allowed; {reason}")
        if (allowed := _ALLOWED_VALUES.get(name)) and not _is_allowed(tags[tag], allowed):
            raise ValueError(
                f"{where}.{tag}: {tags[tag]} gives no self-consistent ground state with forces; "
                f"allowed: {', '.join(allowed)}"
            )
