"""Report the labelled data in a folder as YAML for a campaign.

    python -m phonsmith.labels.recorded.survey FOLDER [--level-of-theory "VASP PBEsol"]

prints a ``reference:`` with every file and its SHA-256, and the ``structures:`` or ``databases:``
that read them, to copy into a campaign file. No file is written.
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
from phonsmith.files.reading_writing import COMPRESSED, DAMAGED, read_bytes, unpacked
from phonsmith.files.sources import MOST_FILES, sha256_of
from phonsmith.labels.recorded.settings import HOLDS_CRYSTAL

HEAD_BYTES = 20_000
_KNOWN = {
    "phono3py": "FORCES_FC3 or forces in the YAML",
    "phonopy": "phonopy YAML with forces, or FORCE_SETS beside it",
    "force_sets": "FORCE_SETS with POSCAR",
    "force_constants": "FORCE_CONSTANTS or force_constants.hdf5 with POSCAR",
    "vasprun": "vasprun.xml",
    "outcar": "OUTCAR",
    "espresso": "XML files and outputs of pw.x",
    "extxyz": "extxyz",
    "mlearn": "mlearn's JSON",
}

_PLAIN = frozenset(
    (
        *("phonopy", "phonopy_disp", "phonopy_params", "phono3py_disp"),
        *("force_sets", "force_constants"),
    )
)
"""Names of files that tell nothing of the crystal."""
CRYSTAL = "CRYSTAL.vasp"
"""What stands for a crystal file that has to be given."""
SUPERCELL = "DIM"
"""What stands for a supercell that has to be given."""
_UNIT_CELLS = ("POSCAR-unitcell", "POSCAR_unitcell", "POSCAR.unitcell", "unitcell.vasp", "POSCAR")
_CONSTANTS = ("FORCE_CONSTANTS", "force_constants.hdf5")


@dataclass(frozen=True)
class Found:
    """One set of files of a format: ``wanted`` is what `recorded` or `train_files` names.

    ``crystal`` is the file of the unit cell below the folder, and ``supercell`` its multiples,
    where the format needs them and they are found.
    """

    format: str
    wanted: str
    files: tuple[str, ...]
    crystal: str | None = None
    supercell: tuple[int, int, int] | None = None


def survey(folder: str | Path) -> list[Found]:
    """Return the labelled data below a folder: one entry for each YAML, file, or folder of runs.

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
    found = [*_phonopy(files), *_runs(files), *_espresso(folder), *_sets(files)]
    taken = {name for one in found for name in one.files}
    found += _of_text(files, taken)
    if not found:
        raise PhonsmithError(
            f"{folder}: contains no data in a supported format: {', '.join(_KNOWN.values())}"
        )
    return found


def _phonopy(files: dict[str, Path]) -> Iterator[Found]:
    """Displaced cells: each YAML that has forces, in it or beside it."""
    for name, path in files.items():
        if not re.search(r"\.ya?ml(\.\w+)?$", name):
            continue
        head = _head(path)
        if re.search(r"^phono3py:", head, re.MULTILINE):
            order, mine = "phono3py", _beside(files, name, "FORCES_FC3")
        elif re.search(r"^phonopy:", head, re.MULTILINE):
            order, mine = "phonopy", _beside(files, name, "FORCE_SETS")
        else:
            continue
        if mine or _has_forces(path):
            more = _beside(files, name, "FORCES_FC2") if order == "phono3py" else ()
            yield Found(order, name, (name, *mine, *more))
        elif order == "phonopy" and (constants := _beside(files, name, *_CONSTANTS)):
            yield Found(order, name, (name, *constants))


def _beside(files: dict[str, Path], name: str, *wanted: str) -> tuple[str, ...]:
    """The wanted files, compressed or not, in the folder of a file."""
    names = [one + suffix for one in wanted for suffix in ("", *COMPRESSED)]
    paths = [str(PurePosixPath(name).with_name(one)) for one in names]
    return tuple(path for path in paths if path in files)


def _of_text(files: dict[str, Path], taken: set[str]) -> Iterator[Found]:
    """phonopy's files of forces and force constants without a YAML file that names the crystal."""
    for name, path in files.items():
        plain = _unpacked(name)
        if name in taken or plain not in ("FORCE_SETS", *_CONSTANTS):
            continue
        format = "force_sets" if plain == "FORCE_SETS" else "force_constants"
        told = _beside(files, name, "SPOSCAR", "disp.yaml")
        natom = _atoms_in(path)
        crystal = next(
            (one for one in _beside(files, name, *_UNIT_CELLS) if _divides(files[one], natom)),
            None,
        )
        cell = None if told or crystal is None else _multiples(files[crystal], natom)
        yield Found(format, name, (name, *told), crystal, cell)


def _unpacked(name: str) -> str:
    """The name of a file without its folder, and without the ending of a packed one."""
    plain = PurePosixPath(name).name
    for suffix in COMPRESSED:
        plain = plain.removesuffix(suffix)
    return plain


def _atoms_in(path: Path) -> int | None:
    """Atoms of the supercell, by the first line of FORCE_SETS or FORCE_CONSTANTS."""
    if ".hdf5" in path.name:
        return None
    words = _head(path).split("\n", maxsplit=1)[0].split()
    return int(words[-1]) if words and words[-1].isdigit() else None


def _atoms_of_crystal(path: Path) -> int | None:
    from phonsmith.structures.reading import read_structure

    try:
        return len(read_structure(path))
    except PhonsmithError:
        return None


def _divides(crystal: Path, natom: int | None) -> bool:
    """Whether a supercell of so many atoms may be one of the crystal."""
    atoms = _atoms_of_crystal(crystal)
    return atoms is not None and (natom is None or natom % atoms == 0)


def _multiples(crystal: Path, natom: int | None) -> tuple[int, int, int] | None:
    """The supercell of so many atoms, if it is one of equal multiples: most are."""
    atoms = _atoms_of_crystal(crystal)
    if atoms is None or natom is None:
        return None
    number = round((natom / atoms) ** (1 / 3))
    return (number, number, number) if number**3 * atoms == natom else None


def _espresso(folder: Path) -> Iterator[Found]:
    """Runs of pw.x, an entry for each folder at the top: XML files with the outputs beside them."""
    from phonsmith.labels.recorded.readers.espresso import runs_in, texts_beside

    groups: dict[str, list[str]] = defaultdict(list)
    for run in runs_in(folder):
        texts = texts_beside(run) if run.suffix == ".xml" else []
        names = [str(path.relative_to(folder)) for path in (run, *texts)]
        top = names[0].split("/")[0] if "/" in names[0] else names[0]
        groups[top] += names
    for top, names in groups.items():
        yield Found("espresso", top, tuple(dict.fromkeys(names)))


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
    return re.search(r"lattice\s*=|properties\s*=", _head(path), re.IGNORECASE) is not None


def _head(path: Path) -> str:
    """The beginning of a file, packed or not; empty where it is damaged."""
    try:
        with unpacked(path) as stream:
            head: bytes = stream.read(HEAD_BYTES)
    except DAMAGED:
        return ""
    return head.decode("utf-8", "replace")


def _has_forces(path: Path) -> bool:
    """Whether a YAML file has forces; a damaged one is left to its reader, which reports it."""
    try:
        content = read_bytes(path)
    except PhonsmithError:
        return True
    return re.search(rb"^\s*(- )?forces:", content, re.MULTILINE) is not None


# --- as YAML --------------------------------------------------------------------------------------


def as_yaml(
    folder: str | Path, found: list[Found], level_of_theory: str, *, checksums: bool = True
) -> str:
    """Format found data as blocks of a campaign file, one block per format.

    Parameters
    ----------
    folder
        Folder of the data.
    found
        Data found there.
    level_of_theory
        Level of theory of all data.
    checksums
        List the files with their checksums; otherwise the source is a ``folder``.
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
        blocks.append(_block(folder, format, mine, source, level_of_theory))
    return "\n".join(blocks)


def _block(folder: Path, format: str, found: list[Found], source: object, level: str) -> str:
    known = {"format": format, "level_of_theory": level, "source": source}
    names = _names(found)
    if format == "mlearn":
        return "# a database of the training set\n" + _dump(_database(found, known))
    of_phonopy = format in {"force_sets", "force_constants"}
    structures: dict[str, dict[str, object]] = {}
    for one, name in zip(found, names, strict=True):
        structure: dict[str, object] = {"recorded": one.wanted}
        if format not in HOLDS_CRYSTAL:
            file = str(folder / one.crystal) if one.crystal else CRYSTAL
            structure = {"file": file, **structure}
        if of_phonopy and len(one.files) == 1:  # neither SPOSCAR nor disp.yaml
            structure["recorded_supercell"] = list(one.supercell) if one.supercell else SUPERCELL
        if format == "force_constants" or _of_constants(one):
            structure["role"] = "benchmark"  # they hold no labels
        structures[name] = structure
    text = f"# {format}: {_KNOWN[format]}\n"
    if any(one.get("file") == CRYSTAL for one in structures.values()):
        text += "# as cells of crystals; `file` names the crystal at their volume\n"
    if any("recorded_supercell" in one for one in structures.values()):
        text += "# recorded_supercell is phonopy's DIM: compare it with what phonopy was given\n"
    text += _dump({"structures": structures, "reference": {"method": "recorded", **known}})
    if format in {"extxyz", "vasprun", "outcar", "espresso"}:
        database = _dump(_database(found, known))
        text += "# or as a database that joins the training set\n"
        text += "".join(f"# {line}\n" for line in database.splitlines())
    return text


def _of_constants(one: Found) -> bool:
    """Whether a phonopy YAML has force constants beside it and no forces."""
    return one.format == "phonopy" and any(_unpacked(name) in _CONSTANTS for name in one.files)


def _database(found: list[Found], known: dict[str, object]) -> dict[str, object]:
    train = [one.wanted for one in found]
    return {"datasets": {"databases": {"my-data": {**known, "train_files": train}}}}


def _names(found: list[Found]) -> list[str]:
    """A name for each crystal, from its path, unique."""
    names: list[str] = []
    for one in found:
        path = PurePosixPath(one.wanted)
        whole = one.format in {"vasprun", "outcar", "espresso"}
        stem = path.name if whole else path.name.split(".")[0]
        plain = stem.lower() in _PLAIN
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
    """Print the labelled data of a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m phonsmith.labels.recorded.survey",
        description=(__doc__ or "").split("\n", maxsplit=1)[0],
    )
    parser.add_argument("folder", help="folder with calculations or data sets")
    parser.add_argument("--level-of-theory", default="CODE FUNCTIONAL", help="e.g. 'VASP PBEsol'")
    parser.add_argument(
        "--no-checksums",
        action="store_true",
        help="give the folder itself as the location of the files, without checksums",
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
