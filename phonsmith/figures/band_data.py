"""Band structures for the interactive plot of the report, packed to few bytes.

A crystal is one JSON text, compressed: frequencies in whole mTHz as differences along the path,
which are small numbers, and q points by the ends of their segments. The worst crystals come first,
and the rest is left out where a number of crystals or bytes is exceeded.
"""

import base64
import gzip
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phonsmith.figures.bands import path_marks, places_of
from phonsmith.figures.results_read import rows_of
from phonsmith.figures.style import Look, looks
from phonsmith.files.extxyz import read_frames
from phonsmith.files.settings import CellChoice
from phonsmith.phonons.paths import spectrum_file
from phonsmith.phonons.spectra import DOS_PITCH_THZ, Spectrum

if TYPE_CHECKING:
    from ase import Atoms

MOST_CRYSTALS = 100
"""Largest number of crystals with an interactive band structure."""
MOST_BYTES = 11_000_000
"""Largest size of all packed band structures; with the rest, a page has less than 20 MB."""
PER_THZ = 1000
"""Steps of a frequency in a THz: the RMSE in tables has as many decimals."""
MOST_ATOMS = 250
"""Largest number of atoms in the 3D view, those on several faces counted several times."""
DOS_STEPS = 10_000
"""Steps of one state per THz and atom."""


@dataclass(frozen=True)
class BandsOfFit:
    """Band structure of a fit.

    Attributes
    ----------
    look
        Label and colour.
    spectrum
        Spectrum at the q points of the reference; None if there is none.
    rmse_thz
        RMSE over the path; None if unavailable.
    reason
        Reason for a missing RMSE.
    """

    look: Look
    spectrum: Spectrum | None
    rmse_thz: float | None
    reason: str = ""


@dataclass(frozen=True)
class CrystalBands:
    """Band structures of a crystal: reference and fits; with its ``atoms`` it is shown in 3D."""

    structure: str
    reference: Spectrum
    fits: Sequence[BandsOfFit]
    atoms: "Atoms | None" = None


@dataclass(frozen=True)
class PackedBands:
    """Band structures of a crystal as text for the page.

    ``largest_thz`` is the largest RMSE of all fits; None without any.
    """

    structure: str
    largest_thz: float | None
    text: str


class BandFiles:
    """Files of the band structures of a campaign.

    Parameters
    ----------
    reference
        File of :meth:`Spectrum.save` of the reference, by crystal.
    fits
        Index of the phonons of each fit, by name.
    labels
        Label of each fit.
    rmse
        Table of phonon RMSE.
    cell
        Cell of the phonons of the fits.
    crystals
        extxyz file of each crystal.
    """

    def __init__(
        self,
        reference: Mapping[str, Path],
        fits: Mapping[str, Path],
        *,
        labels: Mapping[str, str],
        rmse: pd.DataFrame,
        cell: CellChoice,
        crystals: Mapping[str, Path],
    ) -> None:
        self._reference, self._fits, self._looks = reference, fits, looks(labels)
        self._crystals = crystals
        self._rmse = rmse[rmse["cell"] == cell]
        self._rows = {(row["structure"], row["fit"]): row for row in rows_of(self._rmse)}

    def packed(self) -> list[PackedBands]:
        """Pack the band structures of the worst crystals."""
        return pack_bands(worst_first(list(self._reference), self._rmse), self.load)

    def load(self, structure: str) -> CrystalBands | None:
        """Read the band structures of a crystal; None if the reference has no phonons."""
        reference = Spectrum.load_if_any(self._reference[structure])
        if reference is None:
            return None
        (atoms,) = read_frames(self._crystals[structure])
        fits = [self._of(structure, fit) for fit in self._fits]
        return CrystalBands(structure, reference, fits, atoms)

    def _of(self, structure: str, fit: str) -> BandsOfFit:
        row = self._rows[structure, fit]
        if pd.isna(row["rmse_thz"]):
            return BandsOfFit(self._looks[fit], None, None, row["reason"])
        spectrum = Spectrum.load(spectrum_file(self._fits[fit], structure))
        return BandsOfFit(self._looks[fit], spectrum, row["rmse_thz"])


def worst_first(structures: Sequence[str], rmse: pd.DataFrame) -> dict[str, float | None]:
    """Sort crystals by the largest RMSE of all fits; crystals without RMSE come last.

    Parameters
    ----------
    structures
        Crystals in the order of the campaign.
    rmse
        Table of phonon RMSE of one choice of the cell.

    Returns
    -------
    Largest RMSE in THz of each crystal; None without any.
    """
    largest = rmse.groupby("structure")["rmse_thz"].max().dropna().to_dict()
    known = {name: float(largest[name]) for name in structures if name in largest}
    worst = sorted(known, key=lambda name: -known[name])
    return {name: known.get(name) for name in (*worst, *structures)}


def pack_bands(
    largest: Mapping[str, float | None],
    load: Callable[[str], CrystalBands | None],
    most: int = MOST_CRYSTALS,
    most_bytes: int = MOST_BYTES,
) -> list[PackedBands]:
    """Pack band structures in the order given, up to a number of crystals and bytes.

    Parameters
    ----------
    largest
        Largest RMSE of each crystal, see :func:`worst_first`.
    load
        Reads the band structures of a crystal; None if it has no phonons.
    most
        Largest number of crystals.
    most_bytes
        Largest number of bytes of all texts.
    """
    packed: list[PackedBands] = []
    for structure, value in largest.items():
        if len(packed) == most:
            break
        bands = load(structure)
        if bands is None:
            continue
        text = packed_text(json.dumps(as_json(bands), ensure_ascii=False, separators=(",", ":")))
        most_bytes -= len(text)
        if most_bytes < 0:
            break
        packed.append(PackedBands(structure, value, text))
    return packed


def packed_text(text: str) -> str:
    """Compress a text with gzip and encode it in base64; the page unpacks it."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def as_json(bands: CrystalBands) -> dict[str, Any]:
    """Convert the band structures of a crystal to the plain data of the plot.

    ``segments``: names, number of q points, abscissae and fractional q of both ends. ``marks``:
    start, end and name of each special point; they differ at a jump of the path.
    """
    reference = bands.reference
    places = places_of(reference)
    return {
        "structure": bands.structure,
        "segments": [
            {
                "ends": [segment.start, segment.end],
                "n": len(segment.distances),
                "x": _rounded(places[segment.indices][[0, -1]], 5),
                "q": _rounded(reference.qpoints[segment.indices][[0, -1]], 5),
            }
            for segment in reference.segments()
        ],
        "marks": [
            [*_rounded(np.array([start, end]), 5), name]
            for start, end, name in path_marks(reference, places)
        ],
        "reference": _spectrum(reference),
        "fits": [_fit(fit) for fit in bands.fits],
        "crystal": None if bands.atoms is None else crystal_as_json(bands.atoms),
    }


def crystal_as_json(atoms: "Atoms") -> dict[str, Any] | None:
    """Convert a crystal to the plain data of the viewer; None if it has too many atoms.

    ``species``: symbol, colour and covalent radius (Å); ``atoms``: number of the species and
    position (Å) of all atoms within the cell and on its faces, edges and corners.
    """
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors

    symbols = sorted(set(atoms.symbols))
    found = [
        [symbols.index(symbol), *_rounded(np.dot(place + shift, atoms.cell.array), 3)]
        for symbol, place in zip(atoms.symbols, atoms.get_scaled_positions(), strict=True)
        for shift in product(*((0, 1) if abs(x) < _ON_FACE else (0,) for x in _near_zero(place)))
    ]
    if len(found) > MOST_ATOMS:
        return None
    numbers = [atomic_numbers[symbol] for symbol in symbols]
    return {
        "cell": _rounded(atoms.cell.array, 3),
        "species": [
            [symbol, _hex(jmol_colors[number]), round(float(covalent_radii[number]), 2)]
            for symbol, number in zip(symbols, numbers, strict=True)
        ],
        "atoms": found,
    }


_ON_FACE = 1e-3
"""Largest fractional distance of an atom from a face of the cell on which it lies."""


def _near_zero(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move fractional coordinates just below 1 to just below 0, in place."""
    place[place > 1 - _ON_FACE] -= 1
    return place


def _hex(colour: NDArray[np.float64]) -> str:
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in colour)


def _fit(fit: BandsOfFit) -> dict[str, Any]:
    known = fit.rmse_thz is not None and math.isfinite(fit.rmse_thz)
    return {
        "label": fit.look.label,
        "colour": fit.look.colour,
        "rmse": round(fit.rmse_thz, 3) if known and fit.rmse_thz is not None else None,
        "reason": fit.reason,
        **({} if fit.spectrum is None else _spectrum(fit.spectrum)),
    }


def _spectrum(spectrum: Spectrum) -> dict[str, Any]:
    """Return branches and density of states as whole steps; each begins with its first value."""
    dos = _steps(spectrum.dos / spectrum.natom, DOS_STEPS)
    filled = np.flatnonzero(dos)
    first, end = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
    return {
        "bands": _differences(_steps(spectrum.frequencies_thz, PER_THZ).T),
        "dos": _differences(dos[first:end]),
        "dos_from": round(float(spectrum.dos_frequencies_thz[first]), 3),
        "dos_pitch": DOS_PITCH_THZ,
    }


def _steps(values: NDArray[np.float64], per_unit: int) -> NDArray[np.int64]:
    return np.rint(values * per_unit).astype(np.int64)


def _differences(steps: NDArray[np.int64]) -> Any:
    return np.diff(steps, axis=-1, prepend=0).tolist()


def _rounded(values: NDArray[np.float64], digits: int) -> Any:
    return (np.round(values, digits) + 0.0).tolist()
