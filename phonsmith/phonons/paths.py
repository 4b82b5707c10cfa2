"""Files of the results of a fit: an index of all crystals, and a folder with those of each."""

from pathlib import Path


def phonons_file(index: str | Path, structure: str) -> Path:
    """Return the phonopy YAML of a crystal."""
    return Path(index).with_suffix("") / f"{structure}.yaml"


def spectrum_file(index: str | Path, structure: str) -> Path:
    """Return the file with the spectrum of a crystal; it is empty if there are no phonons."""
    return Path(index).with_suffix("") / f"{structure}.npz"
