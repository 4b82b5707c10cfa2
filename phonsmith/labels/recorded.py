"""Labels that exist already: other people's data sets and one's own earlier calculations."""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from ase import Atoms

from phonsmith.errors import DataWarning, PhonsmithError
from phonsmith.extxyz import ENERGY, FORCES, STRESS
from phonsmith.files import COMPRESSED
from phonsmith.labels.checks import (
    SAME_CELL_ANGSTROM,
    LabelFailed,
    check_label,
    check_sane,
    energy_outliers,
    labelled,
    unlabelled,
)
from phonsmith.labels.displacements import arranged, crystal_of
from phonsmith.labels.provenance import Provenance
from phonsmith.labels.readers import Recorded
from phonsmith.labels.readers.espresso import read_espresso, texts_beside
from phonsmith.labels.readers.force_constants import read_force_constants, read_force_sets
from phonsmith.labels.readers.levels import Level, additions, contradiction, mixture
from phonsmith.labels.readers.phonopy_yaml import read_phono3py, read_phonopy
from phonsmith.labels.readers.sets import read_extxyz, read_mlearn
from phonsmith.labels.readers.vasp import read_outcar, read_vasprun
from phonsmith.labels.units import consistency
from phonsmith.phonons import reference_phonons, save_phonons
from phonsmith.recipes import RecordedFit
from phonsmith.references import RecordedReference
from phonsmith.relaxation import FREE, Load, RelaxationResult
from phonsmith.settings import Database, ExtxyzKeys, Labels, Relaxation, Source
from phonsmith.sources import listed, locate, sha256_of
from phonsmith.stages import VERSIONS
from phonsmith.structures import MOMENTS

__all__ = ["Recorded", "RecordedMethod", "load_database", "load_recorded", "read_recorded"]

_READERS: dict[str, Callable[[Path], Recorded]] = {
    "phonopy": read_phonopy,
    "phono3py": read_phono3py,
    "mlearn": read_mlearn,
    "vasprun": read_vasprun,
    "outcar": read_outcar,
    "espresso": read_espresso,
}

# formats of phonopy that take the crystal from a file of its own, atom by atom
_OF_PHONOPY: dict[str, Callable[[Path, str | Path, Any], Recorded]] = {
    "force_sets": read_force_sets,
    "force_constants": read_force_constants,
}

# files that a reader looks for beside the one that is named
_CELLS = ("SPOSCAR", "disp.yaml")
_COMPANIONS = {
    form: [name + suffix for name in names for suffix in ("", *COMPRESSED)]
    for form, names in {
        "phonopy": ("FORCE_SETS", "FORCE_CONSTANTS", "force_constants.hdf5"),
        "phono3py": ("FORCES_FC3", "FORCES_FC2"),
        "force_sets": _CELLS,
        "force_constants": _CELLS,
    }.items()
}


def read_recorded(
    path: str | Path,
    format: str,
    structure: str,
    method: str = "recorded",
    keys: ExtxyzKeys | None = None,
    *,
    allow_mixed: bool = False,
) -> Recorded:
    """Labelled frames of a file, or of all files of the format in a folder.

    Parameters
    ----------
    format
        ``phonopy`` (YAML with forces, or FORCE_SETS beside it), ``phono3py`` (YAML with forces, or
        FORCES_FC3 beside it), ``extxyz``, ``mlearn``, ``vasprun`` or ``outcar`` (a file, packed or
        not, or a folder that is searched to any depth), ``espresso`` (XML or output of pw.x).
    structure
        Id of the crystal or name of the database, for the frames' info.
    method
        The level of theory, for the frames' info.
    keys
        What the labels of an extxyz file are called, if not as usual.
    allow_mixed
        Take runs of several levels of theory for one.

    Raises
    ------
    PhonsmithError
        Nothing is there, the file is broken, no frame in it is fit to be a label, or the runs are
        of several levels of theory, or of another than ``method``.
    """
    path = Path(path)
    if not path.exists():
        raise PhonsmithError(f"{path}: no such file or folder of recorded data")
    recorded = _named(_read(path, format, keys), path, structure, method)
    check_levels(recorded.levels, method, str(path), allow_mixed=allow_mixed)
    return recorded


def _read(path: Path, format: str, keys: ExtxyzKeys | None) -> Recorded:
    return read_extxyz(path, keys) if format == "extxyz" else _READERS[format](path)


def _named(recorded: Recorded, path: Path, structure: str, method: str) -> Recorded:
    if recorded.phonon is None:
        _leave_out_unfit(recorded, path)
    else:  # the order of the frames means something: none may go
        _check_all(recorded.frames, path)
    of_constants = recorded.phonon is not None and recorded.phonon.force_constants is not None
    if not recorded.frames and of_constants:
        return recorded
    if not recorded.frames:
        reason = recorded.refused[0] if recorded.refused else f"{path}: holds no labelled cell"
        more = f" (and {len(recorded.refused) - 1} more)" if len(recorded.refused) > 1 else ""
        raise PhonsmithError(reason + more)
    found = consistency([*recorded.frames, *_undisplaced(recorded)])
    if found.fault:
        raise PhonsmithError(f"{path}: {found.fault}")
    if found.checked:
        recorded.found.append(f"{path}: {found.checked}")
    for index, frame in enumerate(recorded.frames):
        frame.info.setdefault("kind", "recorded")
        frame.info.update(
            {"structure": structure, "generation": 0, "index": index, "seed": -1, "method": method}
        )
    for line in recorded.found:
        print(line, flush=True)
    for line in recorded.refused:
        print(f"refused: {line}", flush=True)
    return recorded


def _undisplaced(recorded: Recorded) -> list[Atoms]:
    """The supercell without displacement, on which no forces act: it shows the sign of forces."""
    if recorded.phonon is None or not recorded.frames:
        return []
    supercell = recorded.phonon.supercell
    cell = Atoms(supercell.numbers, supercell.positions, cell=supercell.cell, pbc=True)
    cell.arrays[FORCES] = np.zeros((len(cell), 3))
    return [cell]


def check_levels(
    levels: Sequence[tuple[str, Level]], stated: str, where: str, *, allow_mixed: bool
) -> None:
    """Whether runs have one level of theory, the stated one as far as its words are understood.

    Raises
    ------
    PhonsmithError
        They have not.
    """
    if not levels:
        return
    if not allow_mixed and (mixed := mixture(levels)):
        raise PhonsmithError(
            f"{where}: its runs are of several levels of theory: {mixed}; keep the runs of one "
            "level, or set `allow_mixed_levels_of_theory: true` beside `format`"
        )
    for file, level in levels:
        if wrong := contradiction(stated, level):
            raise PhonsmithError(
                f"{file}: level_of_theory is '{stated}', but {wrong}; correct level_of_theory, or "
                "leave the file out"
            )
    print(f"level of theory found in {len(levels)} runs: {levels[0][1]}", flush=True)
    if more := additions(stated, levels[0][1]):
        message = f"{levels[0][0]} has {more}, which the level of theory '{stated}' does not name."
        warnings.warn(message, DataWarning, stacklevel=2)


def _leave_out_unfit(recorded: Recorded, path: Path) -> None:
    sound = []
    for number, frame in enumerate(recorded.frames):
        try:
            check_label(frame, frame, Labels())
            sound.append((number, frame))
        except LabelFailed as failed:
            recorded.refused.append(f"{path}: cell {number}: {failed}")
    far_off = energy_outliers([frame for _, frame in sound])
    recorded.frames = [frame for index, (_, frame) in enumerate(sound) if index not in far_off]
    for index, deviation in far_off.items():
        recorded.refused.append(
            f"{path}: cell {sound[index][0]}: its energy is {deviation:+.3g} eV/atom off those of "
            "the other cells"
        )


def _check_all(frames: Sequence[Atoms], path: Path) -> None:
    for number, frame in enumerate(frames, start=1):
        try:
            check_sane(frame)
        except LabelFailed as failed:
            raise PhonsmithError(f"{path}: cell {number}: {failed}") from None


# --- data sets of a campaign ----------------------------------------------------------------------


def load_recorded(
    reference: RecordedReference,
    recorded: str | Sequence[str],
    mirrors: Sequence[str | Path],
    cache: str | Path,
    structure: str | None = None,
    *,
    crystal: str | Path | None = None,
    supercell: Any = None,
) -> Recorded:
    """The recorded data of one crystal, from mirror, cache or web.

    Parameters
    ----------
    recorded
        File of the data set, or folder in it, of which all files that the source lists are read;
        or several of them.
    structure
        Id of the crystal; default: the first path.
    crystal
        File of the crystal, for formats that do not hold it: the cells are then told apart and put
        in order as in :func:`phonsmith.labels.displacements.arranged`. For FORCE_SETS and force
        constants the file has the atoms in phonopy's order, and is taken as it is.
    supercell
        Three multiples or phonopy's matrix (3, 3), for FORCE_SETS and force constants without
        SPOSCAR or disp.yaml beside them.
    """
    paths = fetch_recorded(reference, recorded, mirrors, cache)
    first = recorded if isinstance(recorded, str) else recorded[0]
    if reference.format in _OF_PHONOPY:
        if not paths:
            raise PhonsmithError(f"{first}: no such file in source '{reference.source.name}'")
        if crystal is None:
            raise PhonsmithError(f"{paths[0]}: {reference.format} data need the crystal's `file`")
        found = _OF_PHONOPY[reference.format](paths[0], crystal, supercell)
        return _named(found, paths[0], structure or first, reference.level_of_theory)
    read = _read_all(paths, reference, structure or first)
    check_levels(
        read.levels,
        reference.level_of_theory,
        structure or first,
        allow_mixed=reference.allow_mixed_levels_of_theory,
    )
    if crystal is not None:
        read.crystal = crystal_of(crystal)
        read.frames, read.phonon = arranged(read.frames, read.crystal)
    return read


SHOWN_REFUSALS = 3
"""So many files or cells that were refused are named in the report; the log names them all."""


def with_cautions(read: Callable[[], Recorded]) -> tuple[Recorded, list[str]]:
    """What ``read`` reads, and what readers of the results have to know of it."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DataWarning)
        recorded = read()
    found = [str(one.message) for one in told if issubclass(one.category, DataWarning)]
    for one in told:
        print(f"warning: {one.message}", flush=True)
    if refused := recorded.refused:
        more = len(refused) - SHOWN_REFUSALS
        some = "; ".join(refused[:SHOWN_REFUSALS]) + (f"; and {more} more" if more > 0 else "")
        found.append(f"Refused as labels ({len(refused)}): {some}.")
    return recorded, found


def fetch_recorded(
    reference: RecordedReference,
    recorded: str | Sequence[str],
    mirrors: Sequence[str | Path],
    cache: str | Path,
) -> list[Path]:
    """The files with the recorded data of one crystal, fetched where they are not here."""
    wanted = [recorded] if isinstance(recorded, str) else recorded
    source, format = reference.source, reference.format
    return [path for one in wanted for path in _located(source, one, format, mirrors, cache)]


def fetch_database(
    database: Database, mirrors: Sequence[str | Path], cache: str | Path
) -> list[Path]:
    """The files of an existing data set, likewise."""
    source, format = database.source, database.format
    return [
        path
        for file in (*database.train_files, *database.test_files)
        for path in _located(source, file, format, mirrors, cache)
    ]


def fetch_fit(fit: RecordedFit, mirrors: Sequence[str | Path], cache: str | Path) -> list[Path]:
    """The files of a fit that is recorded forces, each once, in the order of its structures.

    Raises
    ------
    PhonsmithError
        One of them is not there.
    """
    paths: dict[str, Path] = {}
    for structure, file in fit.files.items():
        found = _located(fit.source, file, "phonopy", mirrors, cache)
        if len(found) != 1:
            raise PhonsmithError(
                f"files.{structure}: {file}: no such file in source '{fit.source.name}'"
            )
        paths[file] = found[0]
    return list(paths.values())


def write_fit(fit: RecordedFit, paths: Iterable[str | Path], folder: Path) -> None:
    """Write the recorded phonons of a potential as ``{structure}.yaml``, in eV and Å.

    ``paths`` are those of :func:`fetch_fit`.

    Raises
    ------
    PhonsmithError
        A file is broken, or force constants do not follow from it.
    """
    path_of = dict(zip(dict.fromkeys(fit.files.values()), map(Path, paths), strict=True))
    for structure, file in fit.files.items():
        path = path_of[file]
        recorded = _named(read_phonopy(path), path, structure, fit.level_of_theory)
        assert recorded.phonon is not None
        phonon = reference_phonons(recorded.phonon, recorded.frames)
        save_phonons(folder / f"{structure}.yaml", phonon)


def load_database(
    name: str, database: Database, mirrors: Sequence[str | Path], cache: str | Path
) -> dict[str, Recorded]:
    """Frames of an existing data set: ``train`` and ``test``, indices running through both."""
    parts = {"train": Recorded([]), "test": Recorded([])}
    count = 0
    for part, files in (("train", database.train_files), ("test", database.test_files)):
        for file in files:
            paths = _located(database.source, file, database.format, mirrors, cache)
            read = _read_all(paths, database, name)
            parts[part].frames += read.frames
            parts[part].refused += read.refused
            parts[part].levels += read.levels
        for frame in parts[part].frames:
            frame.info["index"] = count
            count += 1
    if not database.relabel:
        check_levels(
            [level for read in parts.values() for level in read.levels],
            database.level_of_theory,
            f"database '{name}'",
            allow_mixed=database.allow_mixed_levels_of_theory,
        )
    return parts


def cells_of_database(
    name: str, database: Database, mirrors: Sequence[str | Path], cache: str | Path
) -> list[Atoms]:
    """The cells of both parts without their labels, for new ones; without isolated atoms.

    Moments that their earlier calculation started from are left behind: new labels start from those
    of the reference method.
    """
    parts = load_database(name, database, mirrors, cache)
    frames = [frame for read in parts.values() for frame in read.frames]
    cells = unlabelled(frame for frame in frames if frame.info["kind"] != "isolated_atom")
    for cell in cells:
        cell.arrays.pop(MOMENTS, None)
    return cells


def _located(
    source: Source, wanted: str, format: str, mirrors: Sequence[str | Path], cache: str | Path
) -> list[Path]:
    """Local paths of a file, or of the files in a folder, with what has to stand beside them."""
    files = listed(source)
    if wanted not in files:
        prefix = "" if wanted == "." else wanted.rstrip("/") + "/"
        paths = [
            locate(source, file, mirrors, cache)
            for file in files
            if file.startswith(prefix) and _of_format(file, format)
        ]
        if format == "espresso":  # the outputs beside XML files are of the same runs
            xml = [path for path in paths if path.suffix == ".xml"]
            beside = {text for path in xml for text in texts_beside(path)}
            paths = [path for path in paths if path not in beside]
        return paths
    path = locate(source, wanted, mirrors, cache)
    for name in _COMPANIONS.get(format, ()):
        companion = str(PurePosixPath(wanted).with_name(name))
        if companion in files:
            found = locate(source, companion, mirrors, cache)
            if found.parent != path.parent:
                raise PhonsmithError(
                    f"{path} and {found} have to stand in one folder; complete the mirror of "
                    f"source '{source.name}' or take it away"
                )
    return [path]


def _of_format(file: str, format: str) -> bool:
    name = PurePosixPath(file).name
    if format == "espresso":
        return name.endswith((".xml", ".out", ".pwo", ".log", ".txt"))
    marks = {"vasprun": "vasprun", "outcar": "OUTCAR", "extxyz": "xyz", "mlearn": ".json"}
    return marks.get(format, ".yaml") in name


def _read_all(
    paths: Sequence[Path], data: RecordedReference | Database, structure: str
) -> Recorded:
    if not paths:
        raise PhonsmithError(f"{structure}: no {data.format} file among the `files` of its source")
    parts = [_read(path, data.format, data.keys) for path in paths]
    merged = Recorded(
        frames=[frame for part in parts for frame in part.frames],
        crystal=parts[0].crystal if len(parts) == 1 else None,
        phonon=parts[0].phonon if len(parts) == 1 else None,
        third=parts[0].third if len(parts) == 1 else None,
        refused=[line for part in parts for line in part.refused],
        found=[line for part in parts for line in part.found],
        levels=[level for part in parts for level in part.levels],
    )
    return _named(merged, paths[0], structure, data.level_of_theory)


# --- recorded data as a reference method ----------------------------------------------------------


class RecordedMethod:
    """Recorded data of one crystal in the role of a reference method.

    A cell gets the label of the recorded frame with its index, after a check that it is the same
    cell. What is not in the record cannot be labelled.
    """

    cores = 1

    def __init__(  # noqa: PLR0917 (the order is that of the settings)
        self,
        reference: RecordedReference,
        recorded: str | list[str] | None,
        mirrors: Sequence[str | Path] = (),
        cache: str | Path = "sources",
        crystal: str | None = None,
        supercell: Any = None,
    ) -> None:
        self.reference = reference
        self.recorded = recorded
        self.crystal = crystal
        self.supercell = supercell
        self.mirrors = list(mirrors)
        self.cache = cache
        self.name = reference.level_of_theory

    @cached_property
    def frames(self) -> list[Atoms]:
        """The recorded frames, by index."""
        if self.recorded is None:
            return []
        return load_recorded(
            self.reference,
            self.recorded,
            self.mirrors,
            self.cache,
            crystal=self.crystal,
            supercell=self.supercell,
        ).frames

    def fingerprint(self, elements: Iterable[str] = ()) -> str:
        """Checksums of the data set and what is read of it, as canonical JSON."""
        content = {
            "method": "recorded",
            "source": self._content(),
            "format": self.reference.format,
            "recorded": self.recorded,
            "keys": None if (keys := self.reference.keys) is None else keys.model_dump(),
            "level_of_theory": self.name,
            "version": [VERSIONS["labels"], VERSIONS["readers"]],
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def _content(self) -> dict[str, Any]:
        """Name and checksums of the data set, also where the campaign states none."""
        source = self.reference.source
        found: dict[str, Any] = {"name": source.name, "files": source.files}
        if source.folder is not None and self.recorded is not None:
            paths = fetch_recorded(self.reference, self.recorded, self.mirrors, self.cache)
            found["files"] = [sha256_of(path) for path in paths]  # runs share their names
        return found

    def label(self, cell: Atoms) -> Atoms:
        """The recorded label of the cell with this index."""
        index = int(cell.info.get("index", -1))
        if not 0 <= index < len(self.frames):
            raise LabelFailed(f"the recorded data has no cell {index}")
        frame = self.frames[index]
        same = len(frame) == len(cell) and np.array_equal(frame.numbers, cell.numbers)
        if not (
            same
            and np.allclose(frame.cell[:], cell.cell[:], rtol=0, atol=SAME_CELL_ANGSTROM)
            and np.allclose(frame.positions, cell.positions, rtol=0, atol=SAME_CELL_ANGSTROM)
        ):
            raise LabelFailed(f"cell {index} of the recorded data is another one")
        info = frame.info
        return labelled(
            cell,
            self.name,
            info.get(ENERGY),
            frame.arrays[FORCES],
            info.get(STRESS),
            provenance=Provenance.of(frame),
        )

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        """Refused: the crystal of a record is the one its authors relaxed."""
        raise PhonsmithError(
            f"reference method '{self.name}' is recorded data and cannot relax crystals"
        )

    def isolated_atom(self, element: str) -> Atoms | None:
        """The isolated atom of the record, if it holds one."""
        for frame in self.frames:
            if frame.info["kind"] == "isolated_atom" and frame.symbols[0] == element:
                return frame.copy()
        return None

    def elements(self) -> frozenset[str] | None:
        """None: the record tells only which cells it holds."""
        return None
