"""Energies and phonons of a recorded crystal at several volumes: quasi-harmonic data of others."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import GPa, _amu
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY
from phonsmith.files.phonopy_files import parsed
from phonsmith.files.sources import Places, locate
from phonsmith.labels.recorded.readers.each import Recorded
from phonsmith.labels.recorded.reading import fetch_recorded, load_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.phonons.force_constants import reference_phonons, with_masses
from phonsmith.structures.settings import Structure
from phonsmith.thermodynamics.crystals import RecordedCrystal

if TYPE_CHECKING:
    from phonopy import Phonopy

Floats = NDArray[np.float64]

SAME_VOLUME = 1e-3
"""Relative. Tables of energies round their volumes to this at least."""
NOISE_EV_PER_ATOM = 1e-4
"""Energies that rise and fall by less are as smooth as they come."""
SOUND_PER_ANGSTROM = 0.02
"""1/Å, with 2π. At longer waves than this, frequencies are proportional to wave vectors."""
BULK_OF_LONGITUDINAL = (0.12, 3.0)
"""Bulk modulus over longitudinal moduli: 0.38 (alpha-cristobalite) to 0.9 if isotropic."""
LABELS_OFF = 0.1
"""Of the range of the energies: so far may labels of displaced cells be off, but for a constant."""


def fetch_volumes(reference: RecordedReference, structure: Structure, places: Places) -> list[Path]:
    """Fetch the files with the recorded data of a crystal at all volumes.

    Parameters
    ----------
    reference
        Settings of the recorded data of this crystal (:meth:`RecordedReference.of`).
    structure
        Settings of the crystal, with its recorded volumes.
    places
        Mirrors and cache.

    Returns
    -------
    Local paths in the order of the volumes, then the file of the energies if there is one.
    """
    files = [
        path
        for one in structure.recorded_volumes
        for path in fetch_recorded(reference, one.recorded, places)
    ]
    if structure.recorded_energies:
        files.append(locate(reference.source, structure.recorded_energies, places))
    return files


def read_volumes(
    name: str,
    structure: Structure,
    reference: RecordedReference,
    places: Places,
    *,
    masses: Mapping[str, float] | Sequence[float] | None = None,
    born: str | Path | None = None,
) -> RecordedCrystal:
    """Read a crystal with its recorded energies and phonons, in the order of its volumes.

    Parameters
    ----------
    name
        Id of the crystal.
    structure
        Settings of the crystal, with its recorded volumes.
    reference
        Settings of the recorded data of this crystal (:meth:`RecordedReference.of`).
    places
        Mirrors and cache.
    masses
        See :func:`phonsmith.phonons.force_constants.with_masses`.
    born
        phonopy BORN file for all volumes; otherwise a correction in a file applies at its volume.

    Raises
    ------
    PhonsmithError
        A file is missing or broken, or energies and volumes do not belong together.
    """
    found: list[tuple[Phonopy, float | None]] = []
    for one in structure.recorded_volumes:
        recorded = load_recorded(
            reference,
            one.recorded,
            places,
            name,
            crystal=one.file,
            supercell=structure.recorded_supercell,
        )
        phonon = recorded.phonon
        if phonon is None:
            raise PhonsmithError(f"{name}: {one.recorded}: no displaced cells of the crystal")
        phonon = reference_phonons(with_masses(phonon, masses), recorded.frames, born)
        found.append((phonon, _mean_energy_per_atom(recorded)))
    found.sort(key=lambda one: float(one[0].unitcell.volume))
    phonons = [phonon for phonon, _ in found]
    volumes = np.array([phonon.unitcell.volume for phonon in phonons])
    _check_volumes(name, volumes)
    energies = energies_at(volumes, *_table(name, structure, reference, places))
    crystal = RecordedCrystal(name, phonons, energies.tolist())
    per_atom = energies / len(phonons[0].unitcell)
    _check_smooth(name, per_atom)
    _check_labels(name, per_atom, [label for _, label in found])
    _check_stiffness(name, phonons[int(per_atom.argmin())], volumes, energies)
    return crystal


def _table(
    name: str,
    structure: Structure,
    reference: RecordedReference,
    places: Places,
) -> tuple[str, Floats, Floats]:
    """The place of volumes (Å³) and energies (eV) of the unit cell, and both."""
    from phonopy.file_IO import read_v_e

    if structure.recorded_energies is None:
        rows = [(one.volume_angstrom3, one.energy_ev) for one in structure.recorded_volumes]
        columns: Any = np.array(rows, dtype=float).T
        where = f"{name}: recorded_volumes"
    else:
        path = locate(reference.source, structure.recorded_energies, places)
        columns, where = parsed(path, lambda: read_v_e(path)), str(path)
    volumes, energies = (np.asarray(column, dtype=float) for column in columns)
    return where, volumes, energies


def energies_at(volumes: Floats, where: str, given: Floats, energies: Floats) -> Floats:
    """Look up the energies at given volumes in a table.

    Parameters
    ----------
    volumes
        Volumes of the unit cell in Å³, shape (volumes,).
    where
        File or key of the table, for messages.
    given
        Volumes of the table in Å³, shape (rows,).
    energies
        Energies of the table in eV, shape (rows,).

    Returns
    -------
    Energies in eV, shape (volumes,).

    Raises
    ------
    PhonsmithError
        The table lacks a volume, has two for one energy, belongs to another cell, or holds invalid
        numbers.
    """
    if not (np.isfinite(given).all() and np.isfinite(energies).all() and (given > 0).all()):
        raise PhonsmithError(f"{where}: non-finite numbers or negative volumes")
    nearest = np.abs(given[None, :] / volumes[:, None] - 1).argmin(axis=1)
    off = np.abs(given[nearest] / volumes - 1)
    if off.max() > SAME_VOLUME:
        wrong = int(off.argmax())
        raise PhonsmithError(
            f"{where}: no energy at the volume {volumes[wrong]:.3f} Å³; the nearest is "
            f"{given[nearest[wrong]]:.3f} Å³. {_remedy(given, volumes)}"
        )
    if len(set(nearest)) < len(nearest):
        raise PhonsmithError(f"{where}: two volumes match the same energy; give more digits")
    return np.asarray(energies[nearest])


def _remedy(given: Floats, volumes: Floats) -> str:
    """What to do; whether the table is of another cell, by the mean volume of both."""
    ratio = float(volumes.mean() / given.mean())
    count = round(ratio) if ratio > 1 else round(1 / ratio)
    if count > 1 and abs((ratio if ratio > 1 else 1 / ratio) / count - 1) < 0.1:
        whose = "smaller" if ratio > 1 else "larger"
        return (
            f"The energies seem to belong to a cell {count} times {whose} than the unit cell of "
            "the phonons: give volumes and energies of that unit cell"
        )
    return "Give volumes in Å³ and energies in eV of the unit cell of the phonons"


def _check_volumes(name: str, volumes: Floats) -> None:
    near = np.diff(volumes) / volumes[:-1]
    if near.min() < SAME_VOLUME:
        raise PhonsmithError(
            f"{name}: recorded_volumes has {volumes[int(near.argmin())]:.3f} Å³ twice; give each "
            "volume once"
        )


def _check_smooth(name: str, per_atom: Floats) -> None:
    """Whether energies fall to one minimum and rise from there, as those of one crystal do."""
    lowest = int(per_atom.argmin())
    rising = np.diff(per_atom[lowest:])
    falling = -np.diff(per_atom[: lowest + 1])
    if min(rising.min(initial=0), falling.min(initial=0)) < -NOISE_EV_PER_ATOM:
        listed = ", ".join(f"{energy:.4f}" for energy in per_atom)
        raise PhonsmithError(
            f"{name}: the energies of recorded_volumes have more than one minimum over the volume "
            f"({listed} eV/atom): they belong to other volumes or to different crystals; correct "
            "energy_ev or the files"
        )


def _mean_energy_per_atom(recorded: Recorded) -> float | None:
    """Of the displaced cells in eV, if they have energies."""
    found = [
        frame.info[ENERGY] / len(frame)
        for frame in recorded.frames
        if frame.info["kind"] in ("displaced", "recorded") and ENERGY in frame.info
    ]
    return float(np.mean(found)) if found else None


def _check_labels(name: str, per_atom: Floats, labels: Sequence[float | None]) -> None:
    """Whether energies change with the volume as those of the displaced cells, if there are any."""
    if any(label is None for label in labels):
        return
    off = np.array(labels, dtype=float) - per_atom
    if np.ptp(off) > LABELS_OFF * np.ptp(per_atom) + NOISE_EV_PER_ATOM:
        raise PhonsmithError(
            f"{name}: the energies of recorded_volumes differ from those of the displaced cells by "
            f"{off.min():.6g} to {off.max():.6g} eV/atom, depending on the volume: they come from "
            "different calculations; give energies and displaced cells of one calculation"
        )


def _check_stiffness(name: str, phonon: "Phonopy", volumes: Floats, energies: Floats) -> None:
    """Check that energies in eV of this cell give a bulk modulus that suits its sound velocities.

    Parameters
    ----------
    name
        Id of the crystal.
    phonon
        Phonons at the volume of the lowest energy.
    volumes
        Volumes in Å³, shape (volumes,).
    energies
        Energies in eV, shape (volumes,).

    Raises
    ------
    PhonsmithError
        The bulk modulus is far below or above all longitudinal moduli.
    """
    moduli = _longitudinal_moduli(phonon)
    if not len(moduli):
        return
    centre = volumes.mean()
    curve = np.polynomial.Polynomial.fit(volumes - centre, energies, 3).deriv(2)
    at = float(phonon.unitcell.volume)
    bulk = at * float(curve(at - centre)) / GPa
    least, most = BULK_OF_LONGITUDINAL
    if least * moduli.min() <= bulk <= most * moduli.max():
        return
    raise PhonsmithError(
        f"{name}: the energies of recorded_volumes give a bulk modulus of {bulk:.3g} GPa, but the "
        f"sound velocities of the phonons give longitudinal moduli of {moduli.min():.3g} to "
        f"{moduli.max():.3g} GPa: the energies are in another unit, per atom, or of another cell; "
        f"give them in eV of the unit cell of the phonons ({len(phonon.unitcell)} atoms)"
    )


def _longitudinal_moduli(phonon: "Phonopy") -> Floats:
    """Density times squared velocity of the fastest sound in several directions, in GPa.

    Without any where a sound is unstable.
    """
    axes = np.array([n for n in product((-1, 0, 1), repeat=3) if any(n)], dtype=float)
    waves = SOUND_PER_ANGSTROM * axes / np.linalg.norm(axes, axis=1)[:, None]
    primitive = phonon.primitive
    found = phonon.run_qpoints(waves @ primitive.cell.T / (2 * np.pi)).frequencies[:, 2]
    if found.min() <= 0:
        return np.array([])
    density = primitive.masses.sum() / primitive.volume  # u/Å³
    speed = 2 * np.pi * found / SOUND_PER_ANGSTROM  # Å THz
    return np.asarray(density * speed**2 * _amu * 1e25)
