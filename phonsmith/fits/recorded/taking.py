"""Recorded forces of a potential."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import write_json
from phonsmith.files.sources import Places
from phonsmith.fits.files import FitFiles, replacing_folder
from phonsmith.fits.recorded.settings import RecordedFit
from phonsmith.labels.recorded.files import located
from phonsmith.labels.recorded.readers.phonopy_yaml import read_phonopy
from phonsmith.labels.recorded.reading import named_frames
from phonsmith.phonons.files import save_phonons
from phonsmith.phonons.force_constants import reference_phonons


def fetch_fit(fit: RecordedFit, places: Places) -> list[Path]:
    """Fetch the files with recorded forces of a fit.

    Returns
    -------
    Local paths, each once, in the order of the structures.

    Raises
    ------
    PhonsmithError
        A file is missing.
    """
    paths: dict[str, Path] = {}
    for structure, file in fit.files.items():
        found = located(fit.source, file, "phonopy", places)
        if len(found) != 1:
            raise PhonsmithError(
                f"files.{structure}: {file}: no such file in source '{fit.source.name}'"
            )
        paths[file] = found[0]
    return list(paths.values())


def write_fit(fit: RecordedFit, paths: Iterable[str | Path], folder: Path) -> None:
    """Write the recorded phonons of a potential as ``{structure}.yaml``, in eV and Å.

    Parameters
    ----------
    fit
        Settings of the fit.
    paths
        Paths returned by :func:`fetch_fit`.
    folder
        Folder for the phonons.

    Raises
    ------
    PhonsmithError
        A file is broken or does not determine the force constants.
    """
    path_of = dict(zip(dict.fromkeys(fit.files.values()), map(Path, paths), strict=True))
    for structure, file in fit.files.items():
        path = path_of[file]
        recorded = named_frames(read_phonopy(path), path, structure, fit.level_of_theory)
        assert recorded.phonon is not None
        phonon = reference_phonons(recorded.phonon, recorded.frames)
        save_phonons(folder / f"{structure}.yaml", phonon)


def take(fit: RecordedFit, files: FitFiles, paths: Sequence[str | Path]) -> None:
    """Write the phonons of recorded forces; there is no potential and no training record.

    Parameters
    ----------
    fit
        Settings of the fit.
    files
        Paths to write.
    paths
        Paths returned by :func:`fetch_fit`.
    """
    with replacing_folder(files.model) as folder:
        write_fit(fit, paths, folder)
    write_json(files.record, None)
    write_json(files.potential, {"recorded": fit.level_of_theory})
