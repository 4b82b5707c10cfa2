"""Read existing labels: published data sets and earlier calculations."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from phonsmith.datasets.settings import Database
from phonsmith.files.errors import DataWarning, PhonsmithError
from phonsmith.files.extxyz import FORCES
from phonsmith.files.sources import Places
from phonsmith.labels.checks import check_label, check_sane, energy_outliers
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.displacements import arranged, crystal_of
from phonsmith.labels.recorded.files import located
from phonsmith.labels.recorded.readers.each import Recorded
from phonsmith.labels.recorded.readers.espresso import read_espresso
from phonsmith.labels.recorded.readers.force_constants import read_force_constants, read_force_sets
from phonsmith.labels.recorded.readers.levels import (
    Level,
    additions,
    contradiction,
    mixture,
    smearings,
)
from phonsmith.labels.recorded.readers.phonopy_yaml import read_phono3py, read_phonopy
from phonsmith.labels.recorded.readers.sets import read_extxyz, read_mlearn
from phonsmith.labels.recorded.readers.vasp import read_outcar, read_vasprun
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.recorded.shears import wrong_order
from phonsmith.labels.recorded.units import consistency, weak_springs
from phonsmith.labels.settings import ExtxyzKeys, Labels

_READERS: dict[str, Callable[[Path], Recorded]] = {
    "phonopy": read_phonopy,
    "phono3py": read_phono3py,
    "mlearn": read_mlearn,
    "vasprun": read_vasprun,
    "outcar": read_outcar,
    "espresso": read_espresso,
}

# formats of phonopy that read the crystal from a separate file, atom by atom
_OF_PHONOPY: dict[str, Callable[[Path, str | Path, Any], Recorded]] = {
    "force_sets": read_force_sets,
    "force_constants": read_force_constants,
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
    """Read the labelled frames of a file, or of all files of the format in a folder.

    Parameters
    ----------
    path
        File or folder.
    format
        ``phonopy`` (YAML with forces, or with FORCE_SETS in its folder), ``phono3py`` (YAML with
        forces, or with FORCES_FC3 in its folder), ``extxyz``, ``mlearn``, ``vasprun`` or ``outcar``
        (a file, compressed or not, or a folder that is searched to any depth), ``espresso`` (XML or
        output of pw.x).
    structure
        Id of the crystal or name of the database, for the info of the frames.
    method
        Level of theory, for the info of the frames.
    keys
        Names of the labels in an extxyz file, if unusual.
    allow_mixed
        Accept runs of several levels of theory.

    Raises
    ------
    PhonsmithError
        The file is missing or damaged, no frame is usable as a label, the runs have several
        levels of theory, or their level of theory is not ``method``.
    """
    path = Path(path)
    if not path.exists():
        raise PhonsmithError(f"{path}: no such file or folder of recorded data")
    recorded = named_frames(_read(path, format, keys), path, structure, method)
    check_levels(recorded.levels, method, str(path), allow_mixed=allow_mixed)
    return recorded


def _read(path: Path, format: str, keys: ExtxyzKeys | None) -> Recorded:
    return read_extxyz(path, keys) if format == "extxyz" else _READERS[format](path)


def named_frames(recorded: Recorded, path: Path, structure: str, method: str) -> Recorded:
    """Assign structure and method to frames, and check the frames.

    Parameters
    ----------
    recorded
        Frames as read; changed in place.
    path
        File, named in messages.
    structure
        Id of the structure.
    method
        Name of the method.

    Returns
    -------
    ``recorded``.

    Raises
    ------
    PhonsmithError
        No labelled frame remains, or the labels are inconsistent.
    """
    if recorded.phonon is None:
        _leave_out_unfit(recorded, path)
    else:  # the order of the frames means something: none may go
        _check_all(recorded.frames, path)
    if recorded.phonon is not None and (weak := weak_springs(recorded.phonon)):
        warnings.warn(f"{path}: {weak}.", DataWarning, stacklevel=2)
    of_constants = recorded.phonon is not None and recorded.phonon.force_constants is not None
    if not recorded.frames and of_constants:
        return recorded
    if not recorded.frames:
        reason = recorded.refused[0] if recorded.refused else f"{path}: contains no labelled cell"
        more = f" (and {len(recorded.refused) - 1} more)" if len(recorded.refused) > 1 else ""
        raise PhonsmithError(reason + more)
    found = consistency([*recorded.frames, *_undisplaced(recorded)])
    if found.fault:
        raise PhonsmithError(f"{path}: {found.fault}")
    if wrong := wrong_order(recorded.frames):
        raise PhonsmithError(f"{path}: {wrong}")
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
    """Return the undisplaced supercell with zero forces, which reveals the sign of forces."""
    if recorded.phonon is None or not recorded.frames:
        return []
    supercell = recorded.phonon.supercell
    cell = Atoms(supercell.numbers, supercell.positions, cell=supercell.cell, pbc=True)
    cell.arrays[FORCES] = np.zeros((len(cell), 3))
    return [cell]


def check_levels(
    levels: Sequence[tuple[str, Level]], stated: str, where: str, *, allow_mixed: bool
) -> None:
    """Check that all runs have one level of theory, and that it agrees with ``stated``.

    Parameters
    ----------
    levels
        File and level of theory of each run.
    stated
        ``level_of_theory`` of the campaign.
    where
        Key of the data in the campaign, named in messages.
    allow_mixed
        Allow several levels of theory.

    Raises
    ------
    PhonsmithError
        The levels differ from each other or contradict ``stated``.
    """
    if not levels:
        return
    if not allow_mixed and (mixed := mixture(levels)):
        raise PhonsmithError(
            f"{where}: runs have several levels of theory: {mixed}; keep the runs of one "
            "level, or set `allow_mixed_levels_of_theory: true` next to `format`"
        )
    for file, level in levels:
        if wrong := contradiction(stated, level):
            raise PhonsmithError(
                f"{file}: level_of_theory is '{stated}', but {wrong}; correct level_of_theory, or "
                "remove the file"
            )
    print(f"level of theory found in {len(levels)} runs: {levels[0][1]}", flush=True)
    if mixed := smearings(levels):
        warnings.warn(f"{where}: {mixed}.", DataWarning, stacklevel=2)
    if more := additions(stated, levels[0][1]):
        message = (
            f"{levels[0][0]} has {more}, which the level of theory '{stated}' does not mention."
        )
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
            f"{path}: cell {sound[index][0]}: its energy differs by {deviation:+.3g} eV/atom from "
            "the other cells"
        )


def _check_all(frames: Sequence[Atoms], path: Path) -> None:
    for number, frame in enumerate(frames, start=1):
        try:
            check_sane(frame)
        except LabelFailed as failed:
            raise PhonsmithError(f"{path}: cell {number}: {failed}") from None


def load_recorded(
    reference: RecordedReference,
    recorded: str | Sequence[str],
    places: Places,
    structure: str | None = None,
    *,
    crystal: str | Path | None = None,
    supercell: Any = None,
) -> Recorded:
    """Load the recorded data of one crystal from mirror, cache or web.

    Parameters
    ----------
    reference
        Settings of the recorded data.
    recorded
        Files of the data set, or folders, of which all files listed in the source are read.
    places
        Mirrors and cache.
    structure
        Id of the crystal; the first path by default.
    crystal
        File of the crystal, for formats that do not contain it: the cells are then identified and
        ordered as in :func:`~phonsmith.labels.recorded.displacements.arranged`. For FORCE_SETS and
        force constants the file has the atoms in phonopy's order and is used unchanged.
    supercell
        Three multiples or phonopy's matrix (3, 3), for FORCE_SETS and force constants without
        SPOSCAR or disp.yaml in their folder.
    """
    paths = fetch_recorded(reference, recorded, places)
    first = recorded if isinstance(recorded, str) else recorded[0]
    if reference.format in _OF_PHONOPY:
        if not paths:
            raise PhonsmithError(f"{first}: no such file in source '{reference.source.name}'")
        if crystal is None:
            raise PhonsmithError(
                f"{paths[0]}: {reference.format} data do not contain the crystal; give its `file`"
            )
        found = _OF_PHONOPY[reference.format](paths[0], crystal, supercell)
        return named_frames(found, paths[0], structure or first, reference.level_of_theory)
    read = read_all(paths, reference, structure or first)
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
"""Number of refused files or cells in the report; the log lists all of them."""


def with_cautions(read: Callable[[], Recorded]) -> tuple[Recorded, list[str]]:
    """Return the data that ``read`` reads, and warnings about them for the report."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        recorded = read()
    found = [str(entry.message) for entry in caught if issubclass(entry.category, DataWarning)]
    for entry in caught:
        print(f"warning: {entry.message}", flush=True)
    if refused := recorded.refused:
        more = len(refused) - SHOWN_REFUSALS
        some = "; ".join(refused[:SHOWN_REFUSALS]) + (f"; and {more} more" if more > 0 else "")
        found.append(f"Refused as labels ({len(refused)}): {some}.")
    return recorded, found


def fetch_recorded(
    reference: RecordedReference,
    recorded: str | Sequence[str],
    places: Places,
) -> list[Path]:
    """Fetch the files with the recorded data of one crystal.

    Parameters
    ----------
    reference
        Settings of the recorded data.
    recorded
        Files or folders of the crystal in the source.
    places
        Mirrors and cache.

    Returns
    -------
    Local paths.
    """
    wanted = [recorded] if isinstance(recorded, str) else recorded
    source, format = reference.source, reference.format
    return [path for file in wanted for path in located(source, file, format, places)]


def read_all(paths: Sequence[Path], data: RecordedReference | Database, structure: str) -> Recorded:
    """Read files of one format and merge their content.

    Parameters
    ----------
    paths
        Files to read.
    data
        Format, keys and level of theory.
    structure
        Id of the structure.

    Raises
    ------
    PhonsmithError
        No file is given, or :func:`named_frames` refuses the frames.
    """
    if not paths:
        raise PhonsmithError(f"{structure}: no {data.format} file among the `files` of its source")
    merged, *others = [_read(path, data.format, data.keys) for path in paths]
    if others:  # no one crystal of all
        merged = replace(merged, crystal=None, phonon=None, third=None)
    for other in others:
        merged.add(other)
    return named_frames(merged, paths[0], structure, data.level_of_theory)
