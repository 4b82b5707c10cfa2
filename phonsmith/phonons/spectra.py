"""Phonon frequencies on a path and a mesh, and the density of states.

Frequencies are in THz (no 2π); a negative frequency is an imaginary mode, as in phonopy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import replacing
from phonsmith.phonons.band_paths import BandPath

if TYPE_CHECKING:
    from phonopy import Phonopy

Floats = NDArray[np.float64]

DOS_PITCH_THZ = 0.05
"""Spacing of the frequencies of a density of states; all are whole multiples of it."""
DOS_SMEARING_THZ = 0.1
"""Standard deviation of the Gaussian for one mode in a density of states."""


class Segment(NamedTuple):
    """One straight line of a band structure, as views into a spectrum."""

    start: str
    end: str
    distances: Floats
    frequencies_thz: Floats
    indices: slice


@dataclass(frozen=True)
class Spectrum:
    """Frequencies on the path and on the mesh, and the density of states.

    n_q points on the path (segments one after the other, both ends of each included), n_b bands.

    Attributes
    ----------
    labels
        (segments, 2) names of the ends of each segment.
    segment_lengths
        (segments,) number of q points of each segment; their sum is n_q.
    distances
        (n_q,) length along the path in 1/Å, without 2π, in the crystal of this spectrum. It does
        not grow from the end of a segment to the start of the next one.
    qpoints
        (n_q, 3) fractional coordinates in the reciprocal lattice of the primitive cell.
    frequencies_thz
        (n_q, n_b) sorted in each row, THz; negative: imaginary.
    mesh
        (3,) numbers of the Γ-centred mesh.
    mesh_frequencies_thz
        (irreducible points of the mesh, n_b), THz.
    mesh_weights
        (irreducible points of the mesh,) number of mesh points equivalent to each.
    dos_frequencies_thz
        (n_f,) whole multiples of ``DOS_PITCH_THZ``.
    dos
        (n_f,) states per THz and primitive cell, Gaussian smearing ``DOS_SMEARING_THZ``; its
        integral is n_b.
    volume_angstrom3
        Volume of the primitive cell.
    natom
        Atoms in the primitive cell; n_b is three times this.
    """

    labels: NDArray[np.str_]
    segment_lengths: NDArray[np.int64]
    distances: Floats
    qpoints: Floats
    frequencies_thz: Floats
    mesh: NDArray[np.int64]
    mesh_frequencies_thz: Floats
    mesh_weights: NDArray[np.int64]
    dos_frequencies_thz: Floats
    dos: Floats
    volume_angstrom3: float
    natom: int

    @property
    def minimum_thz(self) -> float:
        """The lowest frequency on the path and the mesh."""
        return float(min(self.frequencies_thz.min(), self.mesh_frequencies_thz.min()))

    @property
    def maximum_thz(self) -> float:
        """The highest frequency on the path and the mesh."""
        return float(max(self.frequencies_thz.max(), self.mesh_frequencies_thz.max()))

    @property
    def gamma_thz(self) -> Floats:
        """(n_b,) frequencies at Γ, THz; it is the first point of the mesh.

        Without the direction-dependent part of a non-analytical correction.
        """
        return np.asarray(self.mesh_frequencies_thz[0])

    def segments(self) -> Iterator[Segment]:
        """The segments of the path in their order."""
        first = 0
        for (start, end), length in zip(self.labels, self.segment_lengths, strict=True):
            part = slice(first, first + int(length))
            yield Segment(
                str(start), str(end), self.distances[part], self.frequencies_thz[part], part
            )
            first += int(length)

    def special_points(self) -> dict[str, int]:
        """Index of the first q point of each name."""
        points: dict[str, int] = {}
        for one in self.segments():
            points.setdefault(one.start, one.indices.start)
            points.setdefault(one.end, one.indices.stop - 1)
        return points

    def save(self, path: str | Path) -> None:
        """Write as compressed npz: first to a temporary file beside ``path``, then renamed."""
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **{key: getattr(self, key) for key in _FIELDS})

    @classmethod
    def load(cls, path: str | Path) -> "Spectrum":
        """Read what :meth:`save` wrote; raises PhonsmithError where it is not that."""
        try:
            with np.load(Path(path), allow_pickle=False) as stored:
                fields: dict[str, Any] = {key: stored[key] for key in _FIELDS}
            fields["volume_angstrom3"] = float(fields["volume_angstrom3"])
            fields["natom"] = int(fields["natom"])
        except FileNotFoundError:
            raise PhonsmithError(f"{path}: no such file") from None
        except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
            raise PhonsmithError(f"{path}: not a spectrum of phonsmith ({error})") from error
        return cls(**fields)

    @classmethod
    def load_if_any(cls, path: str | Path) -> "Spectrum | None":
        """Load a spectrum; None for an empty file, which means that there are no phonons."""
        path = Path(path)
        return None if path.exists() and path.stat().st_size == 0 else cls.load(path)


_FIELDS = tuple(Spectrum.__dataclass_fields__)


def spectrum(phonon: "Phonopy", path: BandPath) -> Spectrum:
    """Frequencies on the path and mesh, and the density of states, of one set of force constants.

    At Γ the non-analytical correction, if there is one, takes the direction of the segment.

    Raises
    ------
    PhonsmithError
        A frequency is not a finite number.
    """
    bands = phonon.run_band_structure([np.array(one) for one in path.segments])
    frequencies = np.sort(np.concatenate(bands.frequencies), axis=1)
    mesh = phonon.run_mesh(path.mesh, is_gamma_center=True)
    if not (np.isfinite(frequencies).all() and np.isfinite(mesh.frequencies).all()):
        raise PhonsmithError("phonons: a frequency is not a number; check the forces")
    low = np.floor((mesh.frequencies.min() - 6 * DOS_SMEARING_THZ) / DOS_PITCH_THZ)
    high = np.ceil((mesh.frequencies.max() + 6 * DOS_SMEARING_THZ) / DOS_PITCH_THZ)
    grid = np.arange(low, high + 1) * DOS_PITCH_THZ
    return Spectrum(
        labels=np.array(path.labels),
        segment_lengths=np.array([len(one) for one in path.segments]),
        distances=_distances(path, phonon.primitive.cell),
        qpoints=np.concatenate(path.segments),
        frequencies_thz=frequencies,
        mesh=np.array(path.mesh),
        mesh_frequencies_thz=np.sort(mesh.frequencies, axis=1),
        mesh_weights=np.array(mesh.weights, dtype=np.int64),
        dos_frequencies_thz=grid,
        dos=_density(mesh.frequencies, mesh.weights, grid),
        volume_angstrom3=float(phonon.primitive.volume),
        natom=len(phonon.primitive),
    )


def _distances(path: BandPath, cell: ArrayLike) -> Floats:
    reciprocal = np.linalg.inv(np.asarray(cell)).T
    end = 0.0
    parts = []
    for one in path.segments:
        length = float(np.linalg.norm((one[-1] - one[0]) @ reciprocal))
        parts.append(end + np.linspace(0.0, length, len(one)))
        end += length
    return np.concatenate(parts)


def _density(frequencies: Floats, weights: ArrayLike, grid: Floats) -> Floats:
    """Density of states in 1/THz per cell, one normalised Gaussian for each mode.

    Modes are gathered on a twenty times finer grid first; the Gaussian is far wider.
    """
    share = np.asarray(weights, dtype=float) / np.sum(weights)
    fine = DOS_PITCH_THZ / 20
    edges = np.arange(grid[0] / fine - 0.5, grid[-1] / fine + 1.5) * fine
    each = np.broadcast_to(share[:, None], frequencies.shape)
    count, _ = np.histogram(frequencies, bins=edges, weights=each)
    centres = (edges[:-1] + edges[1:]) / 2
    filled = count > 0
    steps = (grid[:, None] - centres[filled]) / DOS_SMEARING_THZ
    gauss = np.exp(-(steps**2) / 2) / (DOS_SMEARING_THZ * np.sqrt(2 * np.pi))
    return np.asarray(gauss @ count[filled])
