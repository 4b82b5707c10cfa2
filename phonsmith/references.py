"""Reference methods: one typed model for each, with units in the names."""

import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.errors import PhonsmithError
from phonsmith.settings import (
    AllowMixed,
    ExtxyzKeys,
    File,
    Model,
    Name,
    PotentialSource,
    RecordedFormat,
    Source,
    check_keys,
)
from phonsmith.stages import VERSIONS

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
    """What all reference methods share."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {"isolated_atoms": True}
    """Keys that no label depends on, as pydantic's ``exclude``."""

    def physics(self) -> dict[str, Any]:
        """The settings that labels depend on, as plain JSON."""
        return self.model_dump(mode="json", exclude=self.NOT_PHYSICS)

    def physics_of(self, structure: str | None) -> dict[str, Any]:
        """Those that labels of one crystal depend on, or of none (isolated atoms)."""
        return self.physics()


class CalculatorReference(ReferenceBase):
    """Labels from any ASE calculator."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {"isolated_atoms": True, "potential": True}

    method: Literal["calculator"] = Field(description="Which reference method this is.")
    potential: PotentialSource = Field(description="The calculator.")
    isolated_atoms: bool = Field(
        True,
        description="Compute isolated atoms for the energy zero of the fits; false (for a "
        "potential without meaningful isolated atoms) uses a least-squares fit of the labels.",
    )

    def physics(self) -> dict[str, Any]:
        """The settings that labels depend on, as plain JSON."""
        return {**super().physics(), "potential": self.potential.physics()}

    @property
    def level_of_theory(self) -> str:
        """What the labels are, as tables and figures name it."""
        return self.potential.calculator


HOLDS_CRYSTAL = frozenset(("phonopy", "phono3py"))
"""Formats whose files hold the crystal; for the others it is in a file of its own."""


class RecordedReference(ReferenceBase):
    """Labels that exist already: an earlier calculation or a published data set."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {
        "source": {"url": True},
        "allow_mixed_levels_of_theory": True,
    }

    method: Literal["recorded"] = Field(description="Which reference method this is.")
    level_of_theory: str = Field(
        min_length=1, description="Code and functional, e.g. `CASTEP PW91`: printed everywhere."
    )
    source: Source
    format: RecordedFormat = Field(
        "phonopy",
        description="What the files are: `phonopy` YAML with forces or beside FORCE_SETS, "
        "`phono3py` YAML with FORCES_FC3, `extxyz`, or folders of `vasprun` (vasprun.xml), "
        "`outcar` or `espresso` files (pw.x: data-file-schema.xml, with the text output beside "
        "it, or the text alone); `force_sets`, a FORCE_SETS file alone; `force_constants`, "
        "FORCE_CONSTANTS, force_constants.hdf5 or the vasprun.xml of a DFPT run (IBRION 7 or 8), "
        "which give phonons, but nothing to learn from. Structures may name another one in "
        "`recorded_format`.",
    )
    keys: ExtxyzKeys | None = Field(
        None, description="With `extxyz`: the keys that hold the labels, if not the usual ones."
    )
    allow_mixed_levels_of_theory: AllowMixed = False

    def physics(self) -> dict[str, Any]:
        """The settings that labels depend on, and the version of the readers, as plain JSON."""
        return {**super().physics(), "readers": VERSIONS["readers"]}

    def of(self, structure: Mapping[str, Any]) -> Self:
        """The reference with the format that a structure (settings as plain data) names."""
        named = structure.get("recorded_format")
        keys = self.keys if named in (None, "extxyz") else None
        return self.model_copy(update={"format": named or self.format, "keys": keys})

    @model_validator(mode="after")
    def _keys_of_extxyz(self) -> Self:
        check_keys(self.keys, self.format)
        return self


# --- density-functional theory ----------------------------------------------------------------


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
        """The settings that labels depend on, as plain JSON."""
        settings = super().physics()
        return {k: v for k, v in settings.items() if k not in self.LATER or v not in (None, {})}

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


class EspressoPseudopotentials(Model):
    """Which pseudopotential file belongs to which element."""

    folder: File = Field(min_length=1, description="Folder of the UPF files, as seen by the jobs.")
    files: dict[str, File] | None = Field(None, min_length=1, description="File of each element.")
    family: Literal["SSSP", "PseudoDojo"] | None = Field(
        None,
        description="Instead of `files`, where the folder holds a whole release of a family and "
        "nothing else: SSSP goes by the family's table SSSP*.json in the folder and compares "
        "MD5 sums; PseudoDojo takes the one UPF file whose name begins with the element.",
    )
    allow_other_functional: bool = Field(
        False,
        description="Use files made for another functional with the one of the reference (pw.x's "
        "input_dft), as people use SSSP with PBEsol; false refuses them.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.files is None) == (self.family is None):
            raise ValueError("give either `files` or `family`")
        return self


class EspressoReference(MagneticReference):
    """Labels from Quantum ESPRESSO's pw.x."""

    MOMENTS_KEY: ClassVar[str] = "starting_magnetization"

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {
        **DftReference.NOT_PHYSICS,
        "isolated_atom_edges_angstrom": True,
        "pools": True,
        "reuse_density": True,
        "pseudopotentials": {"folder": True},
    }

    method: Literal["espresso"] = Field(description="Which reference method this is.")
    pseudopotentials: EspressoPseudopotentials
    ecutwfc_ry: PositiveFloat = Field(description="Cutoff of the wavefunctions in Ry.")
    ecutrho_ry: PositiveFloat | None = Field(
        None,
        description="Cutoff of the density in Ry; by default 4 times that of the wavefunctions "
        "with norm-conserving pseudopotentials, 8 times with ultrasoft ones and PAW.",
    )
    shifted_mesh: bool = Field(
        False, description="Shift the mesh of k-points by half a step along all vectors."
    )
    occupations: Literal["smearing", "fixed"] = Field(
        "smearing",
        description="`smearing` is right for metals and, as narrow as it is by default, for "
        "insulators too. `fixed` is faster (fewer bands) and for sure insulators only.",
    )
    smearing: Literal["gaussian", "methfessel-paxton", "marzari-vanderbilt", "fermi-dirac"] = Field(
        "gaussian", description="Kind of smearing."
    )
    degauss_ry: PositiveFloat = Field(
        0.0037, description="Width of the smearing in Ry; 0.0037 is 0.05 eV, VASP's SIGMA here."
    )
    conv_thr_ry: Annotated[float, Field(gt=0, le=1e-7)] = Field(
        1e-11,
        description="The SCF has converged when the error of the cell's energy is estimated below "
        "this, in Ry. Phonons need it tight, since the error of forces goes with its root: about "
        "1e-5 eV/Å at 1e-11, 3e-4 at 1e-8 (eight silicon atoms).",
    )
    mixing_beta: Annotated[float, Field(gt=0, le=1)] = Field(
        0.7, description="Share of the new density in the next one; less for difficult cells."
    )
    electron_maxstep: PositiveInt = Field(100, description="SCF steps at most.")
    magnetism: bool = Field(False, description=MAGNETISM)
    starting_magnetization: dict[str, Annotated[float, Field(ge=-1, le=1)]] = Field(
        default_factory=dict,
        description="With magnetism, at the start, by element: spin polarisation of the valence "
        "electrons, -1 to 1; elements not named have none.",
    )
    pools: PositiveInt = Field(
        1, description="Groups of cores that share the k-points of one run (pw.x -nk)."
    )
    command: Command | None = Field(
        None,
        description="Command of pw.x, `{cores}` standing for their number; by default `pw.x` on "
        "one core and `mpirun -np {cores} pw.x` on more. ph.x is called in the same way.",
    )
    reuse_density: bool = Field(
        False,
        description="Start the SCF from the density of the last cell with the same atoms, instead "
        "of from overlapping free atoms.",
    )
    isolated_atom_edges_angstrom: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        (10.0, 10.5, 11.0),
        description="Edges of the box of an isolated atom; different ones, so that partly filled "
        "shells find their state.",
    )
    input_data: dict[Literal["control", "system", "electrons"], dict[str, Any]] = Field(
        default_factory=dict,
        description="Further keys of pw.x by namelist, e.g. `{system: {vdw_corr: dft-d3}}`.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ecutrho_ry is not None and self.ecutrho_ry < 4 * self.ecutwfc_ry:
            raise ValueError("ecutrho_ry has to be at least four times ecutwfc_ry")
        if self.magnetism and self.occupations == "fixed":
            raise ValueError("magnetism needs occupations: smearing")
        if self.magnetism and self.born_charges:
            raise ValueError("born_charges: ph.x needs fixed occupations, magnetism has none")
        if self.cores % self.pools:
            raise ValueError("cores has to be a multiple of pools")
        if self.command is not None and not re.search(r"(^|[\s/])pw\.x(\s|$)", self.command):
            raise ValueError("command has to run pw.x, e.g. `mpirun -np {cores} pw.x`")
        if self.command is not None and self.cores > 1 and "{cores}" not in self.command:
            raise ValueError("command has to say where the number of `{cores}` goes")
        for section, keys in self.input_data.items():
            for key in keys:
                _check_further_key(section, key)
                if self.hubbard and re.match(r"(lda_plus_u|hubbard_|u_projection)", key.lower()):
                    raise ValueError(f"input_data.{section}.{key}: not beside hubbard")
        return self

    @property
    def level_of_theory(self) -> str:
        """What the labels are, as tables and figures name it."""
        return f"Quantum ESPRESSO {self.functional}{'+U' if self.hubbard else ''}"


_REFUSED_KEYS = {
    "scf_must_converge": "labels have to converge",
    "calculation": "phonsmith sets it",
    "tprnfor": "phonsmith sets it",
    "tstress": "phonsmith sets it",
    "outdir": "phonsmith sets it",
    "prefix": "phonsmith sets it",
    "wfcdir": "phonsmith sets it",
    "verbosity": "phonsmith sets it",
    "disk_io": "phonsmith sets it",
    "restart_mode": "phonsmith sets it",
    "max_seconds": "use time_limit_minutes",
    "pseudo_dir": "use pseudopotentials.folder",
    "input_dft": "use functional",
    "ecutwfc": "use ecutwfc_ry",
    "ecutrho": "use ecutrho_ry",
    "occupations": "use occupations",
    "smearing": "use smearing",
    "degauss": "use degauss_ry",
    "nspin": "use magnetism",
    "starting_magnetization": "use starting_magnetization",
    "tot_magnetization": "use magnetism and starting_magnetization",
    "tot_charge": "phonsmith labels neutral cells",
    "noncolin": "phonsmith labels collinear states",
    "lspinorb": "phonsmith labels collinear states",
    "ibrav": "phonsmith sets it",
    "celldm": "phonsmith sets it",
    "nat": "phonsmith sets it",
    "ntyp": "phonsmith sets it",
    "conv_thr": "use conv_thr_ry",
    "mixing_beta": "use mixing_beta",
    "electron_maxstep": "use electron_maxstep",
    "startingpot": "use reuse_density",
    "startingwfc": "use reuse_density",
}
"""Keys of pw.x that a campaign cannot set by ``input_data``, and why."""


_BY_SPECIES = (
    "values of single species go by their order, which differs from cell to cell (DFT+U: hubbard)"
)


def _check_further_key(section: str, key: str) -> None:
    name = key.lower().partition("(")[0]
    if name in _REFUSED_KEYS:
        raise ValueError(f"input_data.{section}.{key}: not here; {_REFUSED_KEYS[name]}")
    if "(" in key:
        raise ValueError(f"input_data.{section}.{key}: not here; {_BY_SPECIES}")


class VaspReference(MagneticReference):
    """Labels from VASP, run under custodian."""

    MOMENTS_KEY: ClassVar[str] = "magmom"

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {
        **DftReference.NOT_PHYSICS,
        "isolated_atom_edges_angstrom": True,
        "command_gamma": True,
    }

    method: Literal["vasp"] = Field(description="Which reference method this is.")
    potcars: dict[str, str] = Field(
        min_length=1,
        description="POTCAR of each element, e.g. `{Sn: Sn_d}`, in the folder that pymatgen's "
        "setting PMG_VASP_PSP_DIR names.",
    )
    potcar_family: str | None = Field(
        None,
        pattern=r"^(PBE|LDA)(_5[24](_W_HASH)?|_64)?$",
        description="Release of the POTCARs, by pymatgen's name; by default PBE_54, and LDA_54 "
        "with the functional LDA.",
    )
    encut_ev: PositiveFloat = Field(
        700.0, description="Cutoff of the plane waves in eV (ENCUT), the same for all cells."
    )
    ediff_ev: Annotated[float, Field(gt=0, le=1e-5)] = Field(
        1e-7,
        description="The SCF has converged when the energy of the cell changes by less than this, "
        "in eV (EDIFF).",
    )
    ismear: Literal[-1, 0, 1, 2] = Field(
        0,
        description="Smearing (ISMEAR): 0 Gaussian, -1 Fermi-Dirac, 1 and 2 Methfessel-Paxton "
        "(metals only).",
    )
    sigma_ev: PositiveFloat = Field(0.05, description="Width of the smearing in eV (SIGMA).")
    magnetism: bool = Field(False, description=MAGNETISM)
    magmom: dict[str, float] = Field(
        default_factory=dict,
        description="With magnetism, at the start, by element: moment of an atom in Bohr "
        "magnetons (MAGMOM); elements not named have none.",
    )
    volume: Literal["relaxed", "fixed"] = Field(
        "relaxed",
        description="Whether relaxation changes the volume (ISIF 3) or only the shape of the cell "
        "(ISIF 4), for crystals wanted at chosen volumes.",
    )
    command: Command | None = Field(
        None,
        description="Command of VASP, `{cores}` standing for their number; by default `vasp_std` "
        "on one core and `mpirun -np {cores} vasp_std` on more.",
    )
    command_gamma: Command | None = Field(
        None,
        description="Command for cells that have the Γ point alone, e.g. `mpirun -np {cores} "
        "vasp_gam`: same results, in half the time. By default `command`.",
    )
    isolated_atom_edges_angstrom: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        (14.0, 15.0, 16.0),
        description="Edges of the box of an isolated atom; different ones, so that partly filled "
        "shells find their state.",
    )
    incar: dict[str, IncarValue] = Field(
        default_factory=dict,
        description="Further INCAR keys for all runs, e.g. `{IVDW: 12, NCORE: 4}`. Keys that share "
        "out the work (NCORE, NPAR, KPAR, ...) do not make labels stale.",
    )
    incar_by_structure: dict[Name, dict[str, IncarValue]] = Field(
        default_factory=dict,
        description="INCAR keys for the cells of single structures, before `incar`; here ISMEAR, "
        "SIGMA and KSPACING may be set too.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.potcar_family and (self.potcar_family[:3] == "LDA") != (self.functional == "LDA"):
            raise ValueError(
                f"potcar_family {self.potcar_family} is not made for {self.functional}; PBE and "
                "PBEsol need POTCARs of PBE, LDA those of LDA"
            )
        if self.cores > 1:
            for key in ("command", "command_gamma"):
                command = getattr(self, key)
                if command is not None and "{cores}" not in command:
                    raise ValueError(f"{key} has to say where the number of `{{cores}}` goes")
        _check_incar(self.incar, "incar", _REFUSED_TAGS)
        for name, tags in self.incar_by_structure.items():
            refused = {k: v for k, v in _REFUSED_TAGS.items() if k not in _TAGS_OF_STRUCTURES}
            _check_incar(tags, f"incar_by_structure.{name}", refused)
        return self

    @property
    def level_of_theory(self) -> str:
        """What the labels are, as tables and figures name it."""
        return f"VASP {self.functional}{'+U' if self.hubbard else ''}"

    @property
    def family(self) -> str:
        """The release of the POTCARs."""
        return self.potcar_family or ("LDA_54" if self.functional == "LDA" else "PBE_54")

    def physics(self) -> dict[str, Any]:
        """The settings that labels depend on, as plain JSON."""
        settings = super().physics()
        settings["incar"] = without_shares(settings["incar"])
        by_structure = settings["incar_by_structure"]
        settings["incar_by_structure"] = {
            name: without_shares(tags) for name, tags in by_structure.items()
        }
        return settings

    def physics_of(self, structure: str | None) -> dict[str, Any]:
        """Those that labels of one crystal depend on, or of none (isolated atoms)."""
        settings = self.physics()
        by_structure = settings["incar_by_structure"]
        return {**settings, "incar_by_structure": by_structure.get(structure, {})}


def without_shares(tags: dict[str, Any]) -> dict[str, Any]:
    """INCAR keys without those that share out the work among cores."""
    return {key: value for key, value in tags.items() if key.upper() not in _SHARES}


_SHARES = frozenset(("NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALAPACK", "NCSHMEM"))
_TAGS_OF_STRUCTURES = frozenset(("ISMEAR", "SIGMA", "KSPACING"))
_SET_BY_PHONSMITH = (
    *("SYSTEM", "NSW", "IBRION", "ISIF", "ISTART", "ICHARG", "LWAVE", "LCHARG", "NWRITE"),
    *("LEPSILON", "LCALCEPS", "KGAMMA"),
)
_REFUSED_TAGS = {
    **dict.fromkeys(_SET_BY_PHONSMITH, "phonsmith sets it"),
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
"""Solvers and occupations of a self-consistent ground state."""


def _is_allowed(value: Any, allowed: tuple[str, ...]) -> bool:
    """VASP takes the first letter of ALGO alone too; "N" is Normal."""
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
            raise ValueError(f"{where}.{tag}: not here; {reason}")
        if (allowed := _ALLOWED_VALUES.get(name)) and not _is_allowed(tags[tag], allowed):
            raise ValueError(
                f"{where}.{tag}: {tags[tag]} leads to no self-consistent ground state with forces; "
                f"allowed: {', '.join(allowed)}"
            )


Reference = Annotated[
    CalculatorReference | RecordedReference | EspressoReference | VaspReference,
    Field(discriminator="method"),
]
