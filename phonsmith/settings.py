"""The settings of a campaign's stages: typed, with units in the names and a text for every key.

These models are light (no numerical libraries), since Snakemake imports them to plan.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", text):
        raise ValueError(
            "a name has letters, digits and . _ - only, starts with a letter or digit, and has "
            "at most 80 characters"
        )
    if text.endswith((".json", ".log", ".tsv")):
        raise ValueError("a name must not end like a file of the results")
    return text


Name = Annotated[str, AfterValidator(_name)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Kind = Literal["displaced", "rattled", "recorded", "constraint"]
CellChoice = Literal["relaxed", "reference"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Mass = Annotated[float, Field(gt=0, lt=500)]


def _are_masses(given: Any) -> Any:
    values = list(given.values()) if isinstance(given, dict) else given
    numbers = isinstance(values, list | tuple) and all(type(one) in (int, float) for one in values)
    if not (numbers and values and all(0 < one < 500 for one in values)):
        raise ValueError("give numbers of u above 0 and below 500, as {H: 2.014} or a list of them")
    return given


Masses = Annotated[dict[str, Mass] | list[Mass], BeforeValidator(_are_masses)]


def why_no_path(text: str) -> str:
    """Why a text cannot be the path of a file or folder; empty where it can."""
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]", text):
        return "a path has no line breaks and no control characters"
    parts = [len(part.encode()) for part in text.split("/")]
    return "longer than a path can be" if max(parts) > 255 or sum(parts) > 4000 else ""


def _files(given: str | list[str]) -> str | list[str]:
    for path in [given] if isinstance(given, str) else given:
        if why := why_no_path(path):
            raise ValueError(why)
    return given


File = Annotated[str, AfterValidator(_files)]
"""Path of a file or folder, wherever it is."""

Files = Annotated[str | list[str], AfterValidator(_files)]
"""One path or several."""


def _inside(name: str) -> str:
    _files(name)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a path inside its folder, without a leading / and without ..")
    return name


RelativePath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_inside)]


def _all_inside(names: str | list[str]) -> str | list[str]:
    paths = [names] if isinstance(names, str) else names
    if not all(paths) or not paths:
        raise ValueError("give a path, or a list of at least one")
    for path in paths:
        _inside(path)
    return names


RelativePaths = Annotated[str | list[str], AfterValidator(_all_inside)]
"""One path or several; what a file gives as one stays one."""


class Model(BaseModel):
    """Base of all settings: unknown keys are errors, numbers are finite, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# --- where data come from -------------------------------------------------------------------


def _as_mapping(given: Any) -> Any:
    """A list of files as what each has no checksum of; anything else is left to the validation."""
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        if len(set(given)) < len(given):
            raise ValueError("a file is named twice")
        return dict.fromkeys(given)
    return given


SourceFiles = Annotated[
    dict[RelativePath, Sha256 | None],
    BeforeValidator(
        _as_mapping, json_schema_input_type=dict[RelativePath, Sha256 | None] | list[RelativePath]
    ),
]
"""Files with their checksums; a list of files is a mapping without any."""


class Source(Model):
    """A data set: public files with checksums, or a folder of the user's own."""

    name: Name = Field(description="Name of the data set; its folder in every mirror.")
    folder: File | None = Field(
        None,
        description="Folder with files of your own, instead of mirrors and `url`. Without `files` "
        "it is all files below the folder, without checksums.",
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://[^@/\s]+(/\S*)?$",
        description="Address of the folder with the files; without it only mirrors are tried.",
    )
    files: SourceFiles = Field(
        default_factory=dict,
        description="Path of each file below the folder, and its SHA-256; `python -m "
        "phonsmith.labels.survey FOLDER` writes them. With `folder` a plain list will do, or none.",
    )

    def may_hold(self, wanted: str) -> bool:
        """Whether ``wanted`` is one of the files, or a folder that holds some of them."""
        if self.folder is not None and not self.files:
            return True  # what is there is seen when the folder is read
        prefix = wanted.rstrip("/") + "/"
        return wanted in self.files or any(name.startswith(prefix) for name in self.files)

    @model_validator(mode="after")
    def _some_place(self) -> Self:
        if self.folder is not None and self.url is not None:
            raise ValueError("`folder` and `url` exclude each other: give one")
        without = [name for name, sha256 in self.files.items() if sha256 is None]
        if self.folder is None and (without or not self.files):
            which = f"; '{without[0]}' has none" if without else ""
            raise ValueError(
                "`files` needs each file with its SHA-256 (`python -m phonsmith.labels.survey "
                f"FOLDER` writes them); only files in a `folder` of your own go without{which}"
            )
        return self


READY_ARGUMENTS = {
    "stillinger-weber": frozenset(
        {"A", "B", "a", "costheta0", "el", "epsilon", "gamma", "lambda1", "p", "sigma"}
    ),
    "chgnet": frozenset(
        {
            *("use_device", "check_cuda_mem", "stress_weight", "on_isolated_atoms"),
            "return_site_energies",
        }
    ),
    "gap": frozenset({"args_str", "calc_args", "add_arrays", "add_info"}),
    "mace": frozenset(
        {
            *("device", "default_dtype", "head", "energy_units_to_eV", "length_units_to_A"),
            *("charges_key", "info_keys", "arrays_keys", "model_type", "compile_mode"),
            *("fullgraph", "enable_cueq", "enable_oeq", "pad_num_atoms", "pad_num_edges"),
            *("warmup", "compute_atomic_stresses"),
        }
    ),
}
"""Arguments of ready calculators: none of them is loaded."""


def _texts(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """(where, text) of all texts in plain data, those of keys included."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield where, str(key)
            yield from _texts(f"{where}.{key}", below)
    elif isinstance(value, list):
        for below in value:
            yield from _texts(where, below)


def _is_plain(value: Any) -> bool:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    plain = isinstance(value, str | int | float | bool | None | list | dict)
    return plain and all(map(_is_plain, below))


def _is_device(name: str, value: Any) -> bool:
    """Whether an argument says where a calculator computes, which no result depends on."""
    if name == "check_cuda_mem":
        return isinstance(value, bool)
    words = r"auto|cpu|cuda(:\d+)?|mps|xpu(:\d+)?"
    return name in ("device", "use_device") and bool(re.fullmatch(words, str(value)))


def _loads_nothing(name: str, value: Any) -> bool:
    """Whether a text names a device or a precision."""
    precision = name in ("dtype", "default_dtype") and value in ("float32", "float64")
    return precision or _is_device(name, value)


class PotentialSource(Model):
    """An interatomic potential that exists already, as an ASE calculator."""

    calculator: str = Field(
        description="`stillinger-weber`, `chgnet`, `gap`, `mace`, or an import path "
        "`package.module:Class` of any ASE calculator (with `trust`, `package.module:function`)."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the calculator."
    )
    model: File | None = Field(
        None, description="Model file of `gap` (xml) or `mace` (model), relative to the project."
    )
    sha256: Sha256 | None = Field(
        None,
        description="Checksum of `model`, or of the one file that `arguments` name instead; "
        "compared before the file is loaded.",
    )
    files: dict[File, Sha256] = Field(
        default_factory=dict,
        description="Files that `arguments` name, as they name them, and the SHA-256 of each.",
    )
    trust: bool = Field(
        False,
        description="Load `model` and what `arguments` name without checksum. A model file (other "
        "than that of `gap`) can hold code that runs when it is loaded; models that this pipeline "
        "trained are known. Also: `calculator` may be a function that makes a calculator. Texts "
        "in `arguments`, other than devices and precisions, need `files` or `trust`. Files in a "
        "folder that an argument names are not tracked: changing them reruns nothing.",
    )
    elements: list[str] | None = Field(
        None, description="Elements it knows; needed only where the calculator does not tell."
    )

    @property
    def takes_gpu(self) -> bool:
        """Whether it is a MACE that takes a GPU where it finds one."""
        return self.calculator == "mace" and self.arguments.get("device") != "cpu"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ready = ("stillinger-weber", "chgnet", "gap", "mace")
        if self.calculator not in ready and not re.fullmatch(r"\w[\w.]*:\w+", self.calculator):
            raise ValueError(
                f"calculator '{self.calculator}' is neither one of {', '.join(ready)} "
                "nor an import path package.module:Class"
            )
        if self.calculator in ("gap", "mace") and self.model is None:
            raise ValueError(f"calculator '{self.calculator}' needs `model`, the path of its file")
        if self.calculator in ("stillinger-weber", "chgnet") and self.model is not None:
            raise ValueError(f"calculator '{self.calculator}' brings its own model: drop `model`")
        self._check_arguments()
        return self

    def _check_arguments(self) -> None:
        if not _is_plain(self.arguments):
            raise ValueError("arguments: give plain texts, numbers, lists and mappings")
        named = {text for _, text in self.texts}
        for file in self.files:
            if file not in named:
                raise ValueError(f"files: {file} is not named in `arguments` of the calculator")
            if re.search(r"[*?\[\]$]|^~", file):
                raise ValueError(f"files: {file}: give the path of one file, without * ? [ ] $ ~")

    @property
    def texts(self) -> list[tuple[str, str]]:
        """(argument, text) of all that a calculator may take for a file or a name to load."""
        if self.calculator in READY_ARGUMENTS:
            return []
        return [
            text
            for name, value in self.arguments.items()
            if not _loads_nothing(name, value)
            for text in _texts(name, value)
        ]

    def physics(self) -> dict[str, Any]:
        """The settings that results depend on, as plain JSON: without trust and device."""
        content = self.model_dump(mode="json", exclude={"trust"})
        content["arguments"] = self.arguments_of_results
        return content

    @property
    def arguments_of_results(self) -> dict[str, Any]:
        """The arguments without those that say where to compute."""
        return {key: one for key, one in self.arguments.items() if not _is_device(key, one)}

    @property
    def pickled(self) -> bool:
        """Whether loading the model file may run code in it."""
        return self.model is not None and self.calculator != "gap"

    @model_serializer(mode="wrap")
    def _without_trust(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `trust: false` and `files: {}`, the defaults: no result depends on them."""
        content: dict[str, Any] = dump(self)
        if not self.trust:
            content.pop("trust", None)
        if not self.files:
            content.pop("files", None)
        return content


# --- crystals -------------------------------------------------------------------------------


class OptimadeEntry(Model):
    """One entry of a database that speaks OPTIMADE."""

    provider: Name | None = Field(
        None,
        description="Name of the database as pymatgen knows it, e.g. `oqmd`, `alexandria.pbe`.",
    )
    base_url: str | None = Field(
        None,
        pattern=r"^https?://[^@/?#\s]+(/[^?#\s]*)?$",
        description="Instead of `provider`: the address of any OPTIMADE database, with or without "
        "the version (`/v1`) behind.",
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
        gt=0.7, lt=1.4, description="Factor of its lattice vectors; the volume's is the cube."
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
"""What files of recorded data are."""

SupercellMatrix = (
    tuple[PositiveInt, PositiveInt, PositiveInt]
    | tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
)
"""phonopy's DIM: three multiples, or a matrix."""


LEAST_VOLUMES = 5
"""What an equation of state and phonopy's polynomials of fourth degree need."""


class RecordedVolume(Model):
    """Energy and phonons of a recorded crystal at one volume."""

    recorded: RelativePaths = Field(
        description="Forces or force constants at this volume, in the source; the format is that "
        "of the crystal's `recorded`.",
    )
    file: File | None = Field(
        None,
        description="Crystal file at this volume, where that of the crystal is in a `file` too.",
    )
    energy_ev: float | None = Field(
        None,
        description="Energy of the unit cell without vibrations in eV, if not in "
        "`recorded_energies`.",
    )
    volume_angstrom3: PositiveFloat | None = Field(
        None,
        description="Beside `energy_ev`: volume of that cell in Å³, by which an energy of another "
        "cell (primitive, conventional, supercell) or volume is refused.",
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.energy_ev is None) != (self.volume_angstrom3 is None):
            raise ValueError("energy_ev and volume_angstrom3 go together: those of one cell")
        return self


class Structure(Model):
    """One crystal of a campaign."""

    file: File | None = Field(
        None,
        description="Crystal file (POSCAR, CIF or extxyz), relative to the project. Recorded "
        "cells of the formats `extxyz`, `vasprun`, `outcar` and `espresso` need it too: at their "
        "volume and in their orientation.",
    )
    materials_project: str | None = Field(
        None,
        pattern=r"^(mp|mvc)-[0-9a-z]+$",
        description="Id of the crystal in the Materials Project, e.g. `mp-149`, instead of `file`. "
        "It is fetched once, with the key in MP_API_KEY, into `config/structures/fetched/`.",
    )
    optimade: OptimadeEntry | None = Field(
        None, description="Entry of a database that speaks OPTIMADE, instead of `file`; likewise."
    )
    scaled: Scaled | None = Field(
        None,
        description="Another crystal of the campaign at another volume, instead of `file`. "
        "Positions and shape of the cell are relaxed, by the reference method and by every fit; "
        "the volume is held.",
    )
    recorded: RelativePaths | None = Field(
        None,
        description="With the reference method `recorded`: the phonopy YAML or the "
        "phono3py_disp.yaml beside its FORCES_FC3, which hold the crystal; or a file or folder, or "
        "a list of them, with labelled cells of the crystal: extxyz, vasprun.xml or OUTCAR; or "
        "FORCE_SETS, FORCE_CONSTANTS or force_constants.hdf5.",
    )
    recorded_format: RecordedFormat | None = Field(
        None, description="Format of `recorded`, where it is not `reference.format`."
    )
    recorded_supercell: SupercellMatrix | None = Field(
        None,
        description="Supercell of FORCE_SETS or force constants (phonopy's DIM): three multiples "
        "of the lattice vectors in `file`, or phonopy's matrix of nine integers in three rows. "
        "Not needed where SPOSCAR or disp.yaml is beside them.",
    )
    recorded_volumes: list[RecordedVolume] = Field(
        default_factory=list,
        description="Energies and phonons at several volumes, that of `recorded` among them: "
        "`thermodynamics` of the recorded reference (see docs/data.md).",
    )
    recorded_energies: RelativePath | None = Field(
        None,
        description="File in the source with the energies of `recorded_volumes`: a volume (Å³) and "
        "an energy without vibrations (eV) of the unit cell a line, as phonopy's e-v.dat.",
    )
    role: Literal["train", "benchmark", "test"] = Field(
        "train",
        description="`train`: fits learn from it, and its phonons are compared. `benchmark`: no "
        "fit ever learns from it, its phonons are compared: out of sample. `test`: its labelled "
        "cells only measure errors of energies, forces and stresses.",
    )
    masses: Masses | None = Field(
        None,
        description="Atomic masses in u where they are not those of the natural elements: by "
        "element ({H: 2.014}), or one for each atom of the crystal file in its order. They count "
        "in phonons and all that follows; labels and fits do not depend on them. A crystal file "
        "may name deuterium itself (D).",
    )
    magnetic_moments_bohr: Literal["file"] | Annotated[list[float], Field(min_length=1)] | None = (
        Field(
            None,
            exclude_if=lambda moments: moments is None,  # results of campaigns without stay fresh
            description="Starting magnetic moments in Bohr magnetons, one for each atom of the "
            "crystal file in its order, e.g. [2, -2, 0, 0] for an antiferromagnetic cell of NiO; "
            "or `file`, those of an extxyz file (columns `initial_magmoms` or `magmoms`). They go "
            "before the moments by element of the reference method, which needs `magnetism: true`. "
            "Symmetry, primitive cell and displaced cells are those of the magnetic crystal.",
        )
    )
    born: File | None = Field(
        None,
        description="phonopy BORN file for the non-analytical correction, used for the "
        "reference and every fit alike.",
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
                f"{' and '.join(elsewhere + others)} exclude each other: give one origin"
            )
        return self

    @model_validator(mode="after")
    def _energies_of_volumes(self) -> Self:
        stated = [one.energy_ev is not None for one in self.recorded_volumes]
        if self.recorded_energies and (any(stated) or not stated):
            raise ValueError(
                "recorded_energies: needs recorded_volumes, without any energy_ev in them"
            )
        if stated and not self.recorded_energies and not all(stated):
            raise ValueError(
                f"recorded_volumes.{stated.index(False)}: give energy_ev here, or all energies in "
                "a file recorded_energies"
            )
        if 0 < len(stated) < LEAST_VOLUMES:
            raise ValueError(
                f"recorded_volumes: {len(stated)} volumes; {LEAST_VOLUMES} are needed at least"
            )
        return self


class Relaxation(Model):
    """Relaxation of cell and positions, without imposed symmetry."""

    reference: bool = Field(
        True,
        description="Relax the crystals with the reference method first; false takes them as "
        "they are. Recorded crystals are never relaxed.",
    )
    fmax_ev_per_angstrom: PositiveFloat = Field(
        1e-4, description="Largest force (and stress times volume, per ASE's cell filter) left."
    )
    max_steps: PositiveInt = Field(500, description="Steps after which a relaxation has failed.")
    symprec_angstrom: PositiveFloat = Field(
        1e-2, description="Tolerance of the space group before and after relaxation."
    )
    ltol: PositiveFloat = Field(0.1, description="StructureMatcher: fractional length tolerance.")
    stol: PositiveFloat = Field(0.1, description="StructureMatcher: site tolerance.")
    angle_tol_degree: PositiveFloat = Field(3.0, description="StructureMatcher: angle tolerance.")
    on_change: Literal["stop", "report", "leave_out"] = Field(
        "report",
        description="What to do where the reference method turns a crystal into another one or "
        "changes its space group. `report` goes on with what it became. `leave_out` makes no "
        "supercells of a crystal that became another one (by StructureMatcher) or does not "
        "converge, and goes on with the others; a changed space group alone is reported.",
    )


# --- supercells and labels ----------------------------------------------------------------------


class Displaced(Model):
    """Cells with one displaced atom, as phonopy makes them from symmetry."""

    distance_angstrom: PositiveFloat = Field(0.01, description="Length of the displacement.")
    plus_minus: Literal["auto", "always", "never"] = Field(
        "auto", description="Displace along both signs where symmetry does not relate them."
    )


class Rattled(Model):
    """Cells with all atoms moved and the lattice strained."""

    count: NonNegativeInt = Field(10, description="Cells per structure.")
    method: Literal["gaussian", "monte-carlo"] = Field(
        "gaussian",
        description="Independent Gaussian moves, or a Monte Carlo rattle that refuses moves "
        "bringing atoms closer than the minimum distance.",
    )
    std_angstrom: PositiveFloat = Field(0.03, description="Standard deviation of each component.")
    min_distance_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.75,
        description="No two atoms come closer than this fraction of the shortest distance in the "
        "unrattled strained cell.",
    )
    volume_factors: list[PositiveFloat] = Field(
        [1.0, 0.95, 1.05, 0.90, 1.10],
        min_length=1,
        description="Volume of the cell relative to the relaxed one (volume, not length); cell i "
        "takes factor i modulo their number. A fit is reliable between the smallest and the "
        "largest: thermal expansion and pressure need more than a few percent.",
    )
    max_angle_strain_degree: NonNegativeFloat = Field(
        1.0,
        lt=20,
        description="Each angle of the cell changes by a uniform random number up to this.",
    )


def _is_supercell(given: Any) -> Any:
    rows = given
    if _are_three_integers(given):
        rows = [[given[0], 0, 0], [0, given[1], 0], [0, 0, given[2]]]
        if min(given) < 1:
            raise ValueError("multiples of the lattice vectors have to be above 0")
    three = isinstance(rows, list | tuple) and len(rows) == 3
    if not (three and all(map(_are_three_integers, rows))):
        raise ValueError("give three integers or three rows of three, such as [2, 2, 3]")
    (a, b, c), (d, e, f), (g, h, i) = rows
    volume = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if not 0 < volume <= 10_000:
        raise ValueError(
            f"a supercell of {volume} cells; the determinant has to lie between 1 and 10000 "
            "(exchange two rows where it is negative)"
        )
    return given


def _are_three_integers(given: Any) -> bool:
    return (
        isinstance(given, list | tuple)
        and len(given) == 3
        and all(type(one) is int for one in given)
    )


_Row = tuple[int, int, int]
Multiples = Annotated[_Row | tuple[_Row, _Row, _Row], BeforeValidator(_is_supercell)]


class Supercells(Model):
    """Which supercells are labelled, and how large they are."""

    kinds: list[Literal["displaced", "rattled"]] = Field(
        ["displaced", "rattled"],
        min_length=1,
        description="Kinds of cells the fits may learn from. Displaced cells are labelled in any "
        "case, for the reference phonons; left out here, they measure errors.",
    )
    min_length_angstrom: PositiveFloat = Field(
        12.0, description="Shortest distance between periodic images."
    )
    min_atoms: PositiveInt = Field(50, description="Smallest number of atoms.")
    max_atoms: PositiveInt = Field(300, description="Largest number of atoms.")
    multiples: dict[Name, Multiples] = Field(
        default_factory=dict,
        description="Supercells of single crystals, by id, whatever the limits of size; the others "
        "are chosen within these. Multiples of the lattice vectors ([2, 2, 3]), or a matrix whose "
        "rows are the vectors of the supercell in units of the lattice vectors "
        "([[-2, 2, 2], [2, -2, 2], [2, 2, -2]]; phonopy's DIM has them in columns).",
    )
    displaced: Displaced = Displaced()
    rattled: Rattled = Rattled()

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.min_atoms > self.max_atoms:
            raise ValueError("min_atoms is larger than max_atoms")
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError("kinds has an entry twice")
        return self


class Labels(Model):
    """How the reference method is run, and what a label must fulfil."""

    batches_per_structure: Annotated[int, Field(ge=1, le=1000)] = Field(
        1,
        description="Jobs per structure and generation, and per database that is labelled anew: "
        "cell i goes to job i modulo this.",
    )
    side_by_side: PositiveInt = Field(
        1, description="Runs of a DFT code at the same time in one job; each has its own cores."
    )
    runtime_minutes: PositiveInt | None = Field(
        None,
        description="Time limit of a job on a cluster, more of it after running out of time. By "
        "default from the cost model, as the plan has it, or 480 where that cannot tell.",
    )
    min_label_fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        0.95,
        description="The campaign goes on without labels that failed while at least this share of "
        "a generation's cells has one, or all cells but one, and stops with a summary otherwise; "
        "1: all cells need a label.",
    )
    max_force_sum_ev_per_angstrom: PositiveFloat = Field(
        0.05, description="Forces of a cell must sum to zero within this, per component."
    )
    max_energy_spread_ev_per_atom: PositiveFloat = Field(
        10.0, description="Energies per atom of one structure must lie within this of each other."
    )


# --- data sets -------------------------------------------------------------------------------


class ConstraintCells(Model):
    """Pseudo-observations: pristine cells on which forces and stress are stated to be zero."""

    structures: list[Name] | Literal["all"] = Field(
        "all", description="Crystals that the reference method relaxed to zero stress."
    )
    force_sigma_ev_per_angstrom: PositiveFloat = Field(
        1e-4, description="Regularisation of the zero forces (GAP)."
    )
    virial_sigma_ev_per_atom: PositiveFloat = Field(
        1e-3, description="Regularisation of the zero virial (GAP)."
    )


class ExtxyzKeys(Model):
    """Which keys of an extxyz file hold the labels; needed where the spelling is unusual."""

    energy: str | None = Field(
        None,
        min_length=1,
        description="Key of the energy in eV, e.g. `dft_energy`. By default `REF_energy`, else a "
        "usual spelling: with the name of a code or functional (`dft_energy`, `energy_pbe`), or "
        "ASE's `free_energy` and `energy`. `none`: omit energies.",
    )
    forces: str | None = Field(
        None,
        min_length=1,
        description="Column of the forces in eV/Å, e.g. `dft_force`; by default as for `energy`.",
    )
    stress: str | None = Field(
        None,
        min_length=1,
        description="Key of the stress in eV/Å³ and ASE's sign: nine numbers, or six in the order "
        "xx yy zz yz xz xy; by default as for `energy`. `none`: omit stresses.",
    )
    virial: str | None = Field(
        None,
        min_length=1,
        description="Key of the virial in eV, nine numbers, stress = -virial/volume; by default "
        "as for `energy`. `none`: omit virials.",
    )
    isolated_atom: str | None = Field(
        None,
        pattern=r"^[^=\s]+=\S.*$",
        description="What marks an isolated atom, as `KEY=VALUE`, e.g. `config_type=atom`. By "
        "default the config type `IsolatedAtom` in any spelling, or one atom whose images are 9 Å "
        "away or further.",
    )

    @model_validator(mode="after")
    def _one_stress(self) -> Self:
        given = [key for key in (self.stress, self.virial) if key not in (None, "none")]
        if len(given) > 1:
            raise ValueError("`stress` and `virial` exclude each other: give one")
        return self


def check_keys(keys: ExtxyzKeys | None, format: str) -> None:
    """Refuse ``keys`` of a format that has fixed ones."""
    if keys is not None and format != "extxyz":
        raise ValueError(f"keys: only `format: extxyz` has keys to choose; this is {format}")


AllowMixed = Annotated[
    bool,
    Field(
        description="Take VASP or Quantum ESPRESSO runs for one level of theory that differ in "
        "functional, cutoff, pseudopotentials, Hubbard U, spin or k-points by their own words; "
        "false refuses such a set.",
    ),
]


class Database(Model):
    """An existing labelled data set that joins the training set (kind `recorded`)."""

    source: Source
    format: Literal["extxyz", "mlearn", "vasprun", "outcar", "espresso"] = Field(
        "extxyz", description="extxyz, mlearn JSON, or outputs of VASP or pw.x."
    )
    keys: ExtxyzKeys | None = Field(
        None, description="With `extxyz`: the keys that hold the labels, if not the usual ones."
    )
    level_of_theory: str = Field(min_length=1, description="Code and functional.")
    allow_mixed_levels_of_theory: AllowMixed = False
    train_files: list[RelativePath] = Field(
        default_factory=list, description="Files to learn from; none: a set to test on."
    )
    test_files: list[RelativePath] = Field(default_factory=list, description="Files to test on.")
    relabel: bool = Field(
        False,
        description="Label the cells anew with the reference method (a teacher); false keeps the "
        "recorded labels, and then the level of theory has to be that of the reference.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_keys(self.keys, self.format)
        if not self.train_files and not self.test_files:
            raise ValueError("give `train_files`, `test_files` or both")
        return self


class Datasets(Model):
    """How labels become training and test sets."""

    test_fraction: Fraction = Field(
        0.1, description="Share of each structure's cells of each kind that is kept for testing."
    )
    min_group_to_split: PositiveInt = Field(
        5, description="A structure with fewer cells of a kind gives all of them to training."
    )
    split_displaced: bool = Field(
        False,
        description="Also hold out displaced cells. Each of them holds unique force constants of "
        "the crystal, so that a fit without them must not be called trained on that crystal.",
    )
    max_force_ev_per_angstrom: PositiveFloat = Field(
        40.0, description="Cells with a larger force component are left out as outliers."
    )
    max_energy_above_median_ev_per_atom: PositiveFloat = Field(
        5.0, description="Cells further above their structure's median energy are left out."
    )
    constraints: ConstraintCells | None = Field(None, description="Pseudo-observations, if any.")
    databases: dict[Name, Database] = Field(
        default_factory=dict, description="Existing data sets that join this one."
    )
    allow_mixed_levels_of_theory: bool = Field(
        False,
        description="Permit databases and recorded crystals of other levels of theory in one fit.",
    )


# --- phonons, benchmarks, figures -----------------------------------------------------------


class Phonons(Model):
    """Phonons of the reference and of every fit."""

    band_path: Literal["seekpath", "setyawan-curtarolo"] = Field(
        "seekpath",
        description="High-symmetry path; found once, on the reference crystal. "
        "`setyawan-curtarolo` is pymatgen's, the one of the papers.",
    )
    points_per_segment: Annotated[int, Field(ge=2)] = Field(
        51, description="Points from one special point to the next, both included."
    )
    mesh_length_angstrom: PositiveFloat = Field(
        60.0, description="Density of the mesh of the density of states, as phonopy's mesh length."
    )
    cells: list[CellChoice] = Field(
        ["relaxed", "reference"],
        min_length=1,
        description="Cells for the phonons of a fit: relaxed with the fit, or the reference's.",
    )

    @model_validator(mode="after")
    def _no_cell_twice(self) -> Self:
        if len(set(self.cells)) != len(self.cells):
            raise ValueError("cells has an entry twice")
        return self


class Benchmarks(Model):
    """How phonons are compared."""

    imaginary_tolerance_thz: PositiveFloat = Field(
        0.1, description="A mode counts as imaginary below minus this."
    )
    mechanics: bool = Field(
        False,
        description="Also compare equation of state and elastic constants; needs a reference that "
        "is a calculator.",
    )


# --- the loop -------------------------------------------------------------------------------


class ConductivityGoal(Model):
    """The thermal conductivity of one crystal, by the first kind of calculation, has settled."""

    of: Literal["conductivity"] = Field(description="Which property this is.")
    structure: Name = Field(description="Id of the crystal.")
    temperature_kelvin: PositiveFloat = Field(
        description="One of `conductivity.temperatures_kelvin`."
    )
    within_percent: PositiveFloat = Field(
        description="Largest change of the mean over repeats since the last generation."
    )

    @property
    def largest_change(self) -> tuple[float, str]:
        """How much it may change, and the unit of that."""
        return self.within_percent, "%"

    def change(self, value: float, before: float) -> float:
        """Its change in that unit."""
        return 100 * (value - before) / abs(before)


class TransitionGoal(Model):
    """Where a transition between the first two of its crystals takes place has settled.

    Temperature or pressure: harmonic, or from relaxations under pressure; quasi-harmonic where it
    is at a pressure.
    """

    of: Literal["transition"] = Field(description="Which property this is.")
    transition: Name = Field(description="One of `transitions`.")
    within_kelvin: PositiveFloat | None = Field(
        None, description="Largest change of the mean over repeats since the last generation."
    )
    within_gpa: PositiveFloat | None = Field(
        None, description="The same of a transition that is driven by pressure."
    )

    @property
    def largest_change(self) -> tuple[float, str]:
        """How much it may change, and the unit of that."""
        if self.within_kelvin is not None:
            return self.within_kelvin, "K"
        assert self.within_gpa is not None
        return self.within_gpa, "GPa"

    def change(self, value: float, before: float) -> float:
        """Its change in that unit."""
        return value - before

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.within_kelvin is None) == (self.within_gpa is None):
            raise ValueError("give either within_kelvin or within_gpa")
        return self


AnyPropertyGoal = Annotated[ConductivityGoal | TransitionGoal, Field(discriminator="of")]
"""A criterion on a property; `of` tells which."""


class Goal(Model):
    """When a potential is good enough."""

    rmse_thz: PositiveFloat = Field(description="Largest phonon RMSE of a structure.")
    structures_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        100.0, description="Share of the structures that have to meet the criteria."
    )
    cell: CellChoice = Field("relaxed", description="Cell of the phonons that count.")
    no_false_imaginary: bool = Field(
        True, description="No imaginary modes where the reference has none."
    )
    max_volume_error_percent: PositiveFloat | None = Field(
        1.0,
        description="Largest error of the volume relaxed with the fit, whichever `cell` counts for "
        "the phonons; null: any. The default holds where `phonons.cells` has `relaxed`, and "
        "nothing can be judged otherwise.",
    )
    max_force_rmse_ev_per_angstrom: PositiveFloat | None = Field(
        None, description="Largest RMSE of force components on the test set, anharmonic cells too."
    )
    properties: dict[Name, AnyPropertyGoal] = Field(
        default_factory=dict,
        description="Properties that must have settled, by name; they are computed in every "
        "generation.",
    )
    harmonic_only: bool = Field(
        False,
        description="Stop on harmonic phonons alone. Has to be said, since potentials with good "
        "phonons can be far off in anharmonic properties such as the thermal conductivity.",
    )

    @model_validator(mode="after")
    def _more_than_harmonic(self) -> Self:
        more = self.max_force_rmse_ev_per_angstrom is not None or self.properties
        if not more and not self.harmonic_only:
            raise ValueError(
                "these criteria are harmonic only; add max_force_rmse_ev_per_angstrom or "
                "properties, or say `harmonic_only: true`"
            )
        return self


class Dynamics(Model):
    """Short molecular dynamics with the current fit, at constant volume; limits end bad runs."""

    runs: PositiveInt = Field(
        2,
        description="Runs per structure and generation, each from a rattled cell of its own; run i "
        "takes volume factor i modulo their number.",
    )
    temperature_kelvin: PositiveFloat = Field(300.0, description="Temperature of the thermostat.")
    timestep_fs: PositiveFloat = Field(1.0, description="Time step.")
    relaxation_time_fs: PositiveFloat = Field(
        100.0, description="Time constant of the (Langevin) thermostat."
    )
    equilibration_steps: NonNegativeInt = Field(200, description="Steps before the snapshots.")
    snapshots: PositiveInt = Field(10, description="Snapshots of each run.")
    steps_between_snapshots: PositiveInt = Field(50, description="Steps to the next snapshot.")
    max_temperature_factor: Annotated[float, Field(gt=1)] = Field(
        3.0, description="A run ends where it gets hotter than this times its temperature."
    )
    max_force_ev_per_angstrom: PositiveFloat = Field(
        20.0, description="A run ends where the force on an atom is larger."
    )
    min_distance_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.65,
        description="A run ends where two atoms come closer than this fraction of the shortest "
        "distance in its first cell.",
    )
    max_displacement_fraction: PositiveFloat = Field(
        0.5,
        description="A run ends where an atom has gone further than this fraction of the shortest "
        "distance in its first cell: it has left its site.",
    )


class SoapDescriptor(Model):
    """SOAP vectors that tell atomic environments apart."""

    cutoff_angstrom: PositiveFloat = Field(5.0, description="Cutoff radius.")
    atom_sigma_angstrom: PositiveFloat = Field(0.5, description="Width of the atomic densities.")
    n_max: PositiveInt = Field(8, description="Radial functions.")
    l_max: NonNegativeInt = Field(6, description="Largest angular momentum.")


class Selection(Model):
    """How the cells that a later generation labels are chosen from candidates without labels."""

    method: Literal["random", "farthest", "committee"] = Field(
        "random",
        description="`random`; `farthest`: cells whose atomic environments are farthest from the "
        "labelled ones; `committee`: cells on whose forces several fits disagree (a recipe with "
        "`repeats` that are `resampled`), far from each other.",
    )
    pool_size: PositiveInt = Field(
        60,
        description="Rattled candidates per structure and generation, at all volumes of "
        "supercells.rattled.volume_factors and of all amplitudes.",
    )
    amplitude_factors: list[PositiveFloat] = Field(
        [0.5, 1.0, 2.0],
        min_length=1,
        description="Amplitudes of the rattled candidates, as multiples of "
        "supercells.rattled.std_angstrom. New cells are spread over volumes and amplitudes as "
        "evenly as their number allows; the method chooses among candidates of one volume and "
        "amplitude.",
    )
    descriptor: Literal["soap", "mace"] = Field(
        "soap", description="What tells environments apart: SOAP, or the features of a MACE fit."
    )
    soap: SoapDescriptor = SoapDescriptor()
    dynamics: Dynamics | None = Field(
        None, description="Also take snapshots of molecular dynamics as candidates."
    )


class Loop(Model):
    """Generations: new cells until the goal is met."""

    goal: Goal
    max_generations: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="Generations in all, the first included."
    )
    cells_per_structure: PositiveInt = Field(
        5, description="New cells of each structure that does not meet the goal."
    )
    selection: Selection = Selection()
    judges: Name | None = Field(
        None,
        description="Recipe whose fits of the last generation are the committee, run the molecular "
        "dynamics and give the features of the selection; default: the first that is trained.",
    )


class Figures(Model):
    """What is drawn, and how."""

    formats: list[Literal["svg", "png", "pdf"]] = Field(
        ["svg", "png"], min_length=1, description="File formats."
    )
    dpi: PositiveInt = Field(200, description="Resolution of PNG.")
