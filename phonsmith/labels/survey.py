"""Which labelled data a folder holds, as YAML for a campaign.

    python -m phonsmith.labels.survey FOLDER [--level-of-theory "VASP PBEsol"]

prints a ``reference:`` with every file and its SHA-256, and the ``structures:`` or ``databases:``
that read them, ready to be pasted into a campaign file. Nothing is written.
"""

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import yaml

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import MOST_FILES, sha256_of

HEAD_BYTES = 20_000
_KNOWN = {
    "phono3py": "FORCES_FC3 or forces in the YAML",
    "phonopy": "phonopy YAML with forces, or FORCE_SETS beside it",
    "vasprun": "vasprun.xml",
    "outcar": "OUTCAR",
    "extxyz": "extxyz",
    "mlearn": "mlearn's JSON",
}


@dataclass(frozen=True)
class Found:
    """One set of files of a format: ``wanted`` is what `recorded` or `train_files` names."""

    format: str
    wanted: str
    files: tuple[str, ...]


def survey(folder: str | Path) -> list[Found]:
    """The labelled data below a folder: one entry for each YAML, file, or folder of runs.

    Raises
    ------
    PhonsmithError
        The folder is not there, or holds nothing that phonsmith reads.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PhonsmithError(f"{folder}: no such folder")
    paths = [path for path in islice(folder.rglob("*"), MOST_FILES) if path.is_file()]
    files = {str(path.relative_to(folder)): path for path in sorted(paths)}
    found = [*_phonopy(files), *_runs(files), *_sets(files)]
    if not found:
        raise PhonsmithError(
            f"{folder}: holds no data that phonsmith reads: {', '.join(_KNOWN.values())}"
        )
    return found


def _phonopy(files: dict[str, Path]) -> Iterator[Found]:
    """Displaced cells: each YAML that has forces, in it or beside it."""
    for name, path in files.items():
        if not re.search(r"\.ya?ml(\.\w+)?$", name):
            continue
        head = _head(path)
        beside = {
            other: str(PurePosixPath(name).with_name(other))
            for other in ("FORCE_SETS", "FORCES_FC3", "FORCES_FC2")
        }
        here = tuple(one for one in beside.values() if one in files)
        if re.search(r"^phono3py:", head, re.MULTILINE):
            order = "phono3py"
            complete = beside["FORCES_FC3"] in files or _has_forces(path)
        elif re.search(r"^phonopy:", head, re.MULTILINE):
            order = "phonopy"
            complete = beside["FORCE_SETS"] in files or _has_forces(path)
        else:
            continue
        if complete:
            yield Found(order, name, (name, *here))


def _runs(files: dict[str, Path]) -> Iterator[Found]:
    """VASP runs: one entry for each folder at the top that holds some."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    with_xml = {str(PurePosixPath(name).parent) for name in files if _is(name, "vasprun")}
    for name in files:
        parent = str(PurePosixPath(name).parent)
        top = name.split("/")[0] if "/" in name else name
        if _is(name, "vasprun"):
            groups["vasprun", top].append(name)
        elif _is(name, "OUTCAR") and parent not in with_xml:  # the same runs a second time
            groups["outcar", top].append(name)
    for (format, top), names in groups.items():
        yield Found(format, top, tuple(names))


def _is(name: str, mark: str) -> bool:
    return PurePosixPath(name).name.startswith(mark) and ".tar" not in name


def _sets(files: dict[str, Path]) -> Iterator[Found]:
    for name, path in files.items():
        if re.search(r"\.(ext)?xyz(\.\w+)?$", name) and _is_extxyz(path):
            yield Found("extxyz", name, (name,))
        elif name.endswith(".json") and '"virial_stress"' in _head(path):
            yield Found("mlearn", name, (name,))


def _is_extxyz(path: Path) -> bool:
    if path.suffix in {".gz", ".bz2", ".xz"}:
        return True
    return re.search(r"lattice\s*=|properties\s*=", _head(path), re.IGNORECASE) is not None


def _head(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES).decode("utf-8", "replace")


def _has_forces(path: Path) -> bool:
    with path.open("rb") as stream:
        return any(re.match(rb"\s*(- )?forces:", line) for line in stream)


# --- as YAML --------------------------------------------------------------------------------------


def as_yaml(
    folder: str | Path, found: list[Found], level_of_theory: str, *, checksums: bool = True
) -> str:
    """The data as blocks of a campaign file; one block for each format.

    With ``checksums: false`` the source is a `folder` of the user's own.
    """
    folder = Path(folder).resolve()
    blocks = []
    for format in dict.fromkeys(one.format for one in found):
        mine = [one for one in found if one.format == format]
        names = sorted({file for one in mine for file in one.files})
        source: dict[str, object] = {"name": _name(folder.name)}
        if checksums:
            source["files"] = {name: sha256_of(folder / name) for name in names}
        else:
            source["folder"] = str(folder)
        blocks.append(_block(format, mine, source, level_of_theory))
    return "\n".join(blocks)


def _block(format: str, found: list[Found], source: object, level: str) -> str:
    known = {"format": format, "level_of_theory": level, "source": source}
    names = _names(found)
    if format == "mlearn":
        return "# a database of the training set\n" + _dump(_database(found, known))
    structures = {}
    for one, name in zip(found, names, strict=True):
        structures[name] = {"recorded": one.wanted}
        if format not in {"phonopy", "phono3py"}:
            structures[name] = {"file": "CRYSTAL.vasp", **structures[name]}
    text = f"# {format}: {_KNOWN[format]}\n"
    if format not in {"phonopy", "phono3py"}:
        text += "# as cells of crystals; `file` names the crystal at their volume\n"
    text += _dump({"structures": structures, "reference": {"method": "recorded", **known}})
    if format in {"extxyz", "vasprun", "outcar"}:
        database = _dump(_database(found, known))
        text += "# or as a database that joins the training set\n"
        text += "".join(f"# {line}\n" for line in database.splitlines())
    return text


def _database(found: list[Found], known: dict[str, object]) -> dict[str, object]:
    train = [one.wanted for one in found]
    return {"datasets": {"databases": {"my-data": {**known, "train_files": train}}}}


def _names(found: list[Found]) -> list[str]:
    """A name for each crystal, from its path, unique."""
    names: list[str] = []
    for one in found:
        path = PurePosixPath(one.wanted)
        stem = path.name if one.format in {"vasprun", "outcar"} else path.name.split(".")[0]
        plain = stem.lower() in {"phonopy", "phonopy_disp", "phonopy_params", "phono3py_disp"}
        name = _name(path.parent.name if plain and path.parent.name else stem)
        while name in names:
            name += "-2"
        names.append(name)
    return names


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")
    return name[:80] or "data"


def _dump(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def main() -> None:
    """Print what a folder holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", help="folder with calculations or data sets")
    parser.add_argument("--level-of-theory", default="CODE FUNCTIONAL", help="e.g. 'VASP PBEsol'")
    parser.add_argument(
        "--no-checksums",
        action="store_true",
        help="name the folder itself as the place of the files, without checksums",
    )
    options = parser.parse_args()
    try:
        found = survey(options.folder)
        print(
            as_yaml(
                options.folder,
                found,
                options.level_of_theory,
                checksums=not options.no_checksums,
            ),
            end="",
        )
    except PhonsmithError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
