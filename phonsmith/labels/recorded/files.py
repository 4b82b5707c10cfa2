"""Files of recorded data, located with their companions."""

from pathlib import Path, PurePosixPath

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import COMPRESSED
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, listed, locate
from phonsmith.labels.recorded.readers.espresso import texts_beside

# files that a reader looks for beside the one that is named
_CELLS = ("SPOSCAR", "disp.yaml")

COMPANIONS = {
    form: [name + suffix for name in names for suffix in ("", *COMPRESSED)]
    for form, names in {
        "phonopy": ("FORCE_SETS", "FORCE_CONSTANTS", "force_constants.hdf5"),
        "phono3py": ("FORCES_FC3", "FORCES_FC2"),
        "force_sets": _CELLS,
        "force_constants": _CELLS,
    }.items()
}


def located(source: Source, wanted: str, format: str, places: Places) -> list[Path]:
    """Locate a file or the files of a folder, together with their companion files.

    Parameters
    ----------
    source
        Source of the data set.
    wanted
        File or folder in the source; ``.`` for the whole source.
    format
        Format of the files.
    places
        Mirrors and cache.

    Returns
    -------
    Local paths, without companions.

    Raises
    ------
    PhonsmithError
        A file and its companion lie in different folders.
    """
    files = listed(source)
    if wanted not in files:
        prefix = "" if wanted == "." else wanted.rstrip("/") + "/"
        paths = [
            locate(source, file, places)
            for file in files
            if file.startswith(prefix) and of_format(file, format)
        ]
        if format == "espresso":  # the outputs beside XML files are of the same runs
            xml = [path for path in paths if path.suffix == ".xml"]
            beside = {text for path in xml for text in texts_beside(path)}
            paths = [path for path in paths if path not in beside]
        return paths
    path = locate(source, wanted, places)
    for name in COMPANIONS.get(format, ()):
        companion = str(PurePosixPath(wanted).with_name(name))
        if companion in files:
            found = locate(source, companion, places)
            if found.parent != path.parent:
                raise PhonsmithError(
                    f"{path} and {found} must be in the same folder; complete the mirror of source "
                    f"'{source.name}' or remove it"
                )
    return [path]


def of_format(file: str, format: str) -> bool:
    """Return whether a file of a source has the name of its format."""
    name = PurePosixPath(file).name
    if format == "espresso":
        return name.endswith((".xml", ".out", ".pwo", ".log", ".txt"))
    marks = {"vasprun": "vasprun", "outcar": "OUTCAR", "extxyz": "xyz", "mlearn": ".json"}
    return marks.get(format, ".yaml") in name
