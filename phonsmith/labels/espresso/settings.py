"""Settings of labels from Quantum ESPRESSO."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.elements import Element
from phonsmith.files.quantities import BoxEdge
from phonsmith.files.settings import File, Model
from phonsmith.labels.reference import MAGNETISM, Command, DftReference, MagneticReference


class EspressoPseudopotentials(Model):
    """Pseudopotential file of each element."""

    folder: File = Field(min_length=1, description="Folder of the UPF files, as seen by the jobs.")
    files: dict[Element, File] | None = Field(
        None, min_length=1, description="File of each element."
    )
    family: Literal["SSSP", "PseudoDojo"] | None = Field(
        None,
        description="Replaces `files` if the folder contains one complete release of a family and "
        "nothing else: SSSP uses the family's table SSSP*.json in the folder and compares MD5 "
        "sums; PseudoDojo uses the only UPF file whose name begins with the element.",
    )
    allow_other_functional: bool = Field(
        False,
        description="Use files generated for another functional with the reference's functional "
        "(pw.x's input_dft), as is common for SSSP with PBEsol; false refuses them.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.files is None) == (self.family is None):
            raise ValueError("give either `files` or `family`")
        return self


class EspressoReference(MagneticReference):
    """Labels from pw.x of Quantum ESPRESSO."""

    MOMENTS_KEY: ClassVar[str] = "starting_magnetization"

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {
        **DftReference.NOT_PHYSICS,
        "isolated_atom_edges_angstrom": True,
        "pools": True,
        "reuse_density": True,
        "pseudopotentials": {"folder": True},
    }

    method: Literal["espresso"] = Field(description="Reference method.")
    pseudopotentials: EspressoPseudopotentials
    ecutwfc_ry: Annotated[float, Field(ge=10)] = Field(description="Wavefunction cutoff in Ry.")
    ecutrho_ry: PositiveFloat | None = Field(
        None,
        description="Density cutoff in Ry; default: 4 times the wavefunction cutoff for "
        "norm-conserving pseudopotentials, 8 times for ultrasoft ones and PAW.",
    )
    shifted_mesh: bool = Field(
        False, description="Shift the k-point mesh by half a step along all vectors."
    )
    occupations: Literal["smearing", "fixed"] = Field(
        "smearing",
        description="`smearing` suits metals and, with the narrow default width, also insulators. "
        "`fixed` is faster (fewer bands), but only for systems known to be insulating.",
    )
    smearing: Literal["gaussian", "methfessel-paxton", "marzari-vanderbilt", "fermi-dirac"] = Field(
        "gaussian", description="Kind of smearing."
    )
    degauss_ry: Annotated[float, Field(gt=0, le=0.3)] = Field(
        0.0037,
        description="Smearing width in Ry; 0.0037 is 0.05 eV, the default SIGMA of VASP here.",
    )
    conv_thr_ry: Annotated[float, Field(gt=0, le=1e-7)] = Field(
        1e-11,
        description="SCF convergence: estimated energy error of the cell in Ry. Phonons need a "
        "tight value, since the force error scales with its square root: about 1e-5 eV/Å at "
        "1e-11, 3e-4 at 1e-8 (eight silicon atoms).",
    )
    mixing_beta: Annotated[float, Field(gt=0, le=1)] = Field(
        0.7,
        description="Fraction of the new density in density mixing; reduce it for difficult cells.",
    )
    electron_maxstep: PositiveInt = Field(100, description="Maximum number of SCF steps.")
    magnetism: bool = Field(False, description=MAGNETISM)
    starting_magnetization: dict[Element, Annotated[float, Field(ge=-1, le=1)]] = Field(
        default_factory=dict,
        description="With magnetism: starting spin polarisation of the valence electrons, -1 to 1, "
        "by element; omitted elements start without.",
    )
    pools: PositiveInt = Field(
        1, description="Groups of cores that divide the k-points of a run (pw.x -nk)."
    )
    command: Command | None = Field(
        None,
        description="Command of pw.x; `{cores}` is replaced by the number of cores. Default: "
        "`pw.x` on one core, `mpirun -np {cores} pw.x` on more. ph.x is run in the same way.",
    )
    reuse_density: bool = Field(
        False,
        description="Start the SCF from the density of the previous cell with the same atoms, "
        "instead of superposed atomic densities.",
    )
    isolated_atom_edges_angstrom: tuple[BoxEdge, BoxEdge, BoxEdge] = Field(
        (10.0, 10.5, 11.0),
        description="Box edges of an isolated atom; unequal edges let partly filled shells find "
        "their ground state.",
    )
    input_data: dict[Literal["control", "system", "electrons"], dict[str, Any]] = Field(
        default_factory=dict,
        description="Further keys of pw.x by namelist, e.g. `{system: {vdw_corr: dft-d3}}`.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ecutrho_ry is not None and self.ecutrho_ry < 4 * self.ecutwfc_ry:
            raise ValueError("ecutrho_ry must be at least four times ecutwfc_ry")
        if self.magnetism and self.occupations == "fixed":
            raise ValueError("magnetism requires occupations: smearing")
        if self.magnetism and self.born_charges:
            raise ValueError(
                "born_charges: ph.x requires fixed occupations, which magnetism excludes"
            )
        if self.cores % self.pools:
            raise ValueError("cores must be a multiple of pools")
        if self.command is not None and not re.search(r"(^|[\s/])pw\.x(\s|$)", self.command):
            raise ValueError("command must run pw.x, e.g. `mpirun -np {cores} pw.x`")
        if self.command is not None and self.cores > 1 and "{cores}" not in self.command:
            raise ValueError("command must contain `{cores}`, the number of cores")
        for section, keys in self.input_data.items():
            for key in keys:
                _check_further_key(section, key)
                if self.hubbard and re.match(r"(lda_plus_u|hubbard_|u_projection)", key.lower()):
                    raise ValueError(f"input_data.{section}.{key}: cannot be combined with hubbard")
        return self

    @property
    def level_of_theory(self) -> str:
        """Level of theory in tables and figures."""
        return f"Quantum ESPRESSO {self.functional}{'+U' if self.hubbard else ''}"


_REFUSED_KEYS = {
    "scf_must_converge": "labels must converge",
    "calculation": "set by phonsmith",
    "tprnfor": "set by phonsmith",
    "tstress": "set by phonsmith",
    "outdir": "set by phonsmith",
    "prefix": "set by phonsmith",
    "wfcdir": "set by phonsmith",
    "verbosity": "set by phonsmith",
    "disk_io": "set by phonsmith",
    "restart_mode": "set by phonsmith",
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
    "ibrav": "set by phonsmith",
    "celldm": "set by phonsmith",
    "nat": "set by phonsmith",
    "ntyp": "set by phonsmith",
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
        raise ValueError(f"input_data.{section}.{key}: not allowed; {_REFUSED_KEYS[name]}")
    if "(" in key:
        raise ValueError(f"input_data.{section}.{key}: not allowed; {_BY_SPECIES}")
