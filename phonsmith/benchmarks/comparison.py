"""Phonons of a fit against phonons of the reference."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from phonsmith.benchmarks.mechanics import Mechanics, MechanicsResult
from phonsmith.files.json_records import Record, StoredRecord
from phonsmith.files.settings import CellChoice
from phonsmith.phonons.spectra import DOS_PITCH_THZ, Spectrum

if TYPE_CHECKING:
    from phonsmith.structures.verdicts import Verdict

Floats = NDArray[np.float64]


class ModeError(Record):
    """One mode at a special point of the path, reference and fit; branches count from 1."""

    label: str
    branch: int
    reference_thz: float
    fit_thz: float


@dataclass(frozen=True)
class SpectrumErrors:
    """How far the spectrum of a fit is from the reference's; branches are sorted by frequency.

    Attributes
    ----------
    rmse_thz
        Root of the mean over all q points of the path and all branches of the squared difference
        (equation 1 of Ertural et al. 2025). Sorting hides crossings: it compares the n-th lowest
        frequencies, not modes of equal displacement patterns.
    q_resolved_rmse_thz
        (n_q,) RMSE at each q (their equation 2).
    max_deviation_thz
        Largest absolute difference on the path.
    rmse_gamma_thz
        ``q_resolved_rmse_thz`` at Γ, acoustic branches included; None for a path without Γ.
    dos_distance
        Integral of the absolute difference of the densities of states, divided by the number of
        bands: 0 for equal ones, 2 for those without overlap.
    minimum_frequency_reference_thz, minimum_frequency_fit_thz
        Lowest frequency on path and mesh.
    imaginary_reference, imaginary_fit
        Number of modes below minus the tolerance on the path and on the irreducible points of
        the mesh; acoustic modes at Γ are spared by the tolerance alone.
    volume_error_percent
        Volume of the fit's cell relative to the reference's.
    special_points
        The modes of each special point of the path, where it occurs first.
    """

    rmse_thz: float
    q_resolved_rmse_thz: Floats
    max_deviation_thz: float
    rmse_gamma_thz: float | None
    dos_distance: float
    minimum_frequency_reference_thz: float
    minimum_frequency_fit_thz: float
    imaginary_reference: int
    imaginary_fit: int
    volume_error_percent: float
    special_points: tuple[ModeError, ...]


class Numbers(Record):
    """The numbers of a benchmark at one cell, as in :class:`SpectrumErrors`; None without any."""

    rmse_thz: float | None = None
    max_deviation_thz: float | None = None
    rmse_gamma_thz: float | None = None
    dos_distance: float | None = None
    volume_error_percent: float | None = None
    minimum_frequency_reference_thz: float | None = None
    minimum_frequency_fit_thz: float | None = None
    imaginary_reference: int | None = None
    imaginary_fit: int | None = None


NUMBERS = tuple(Numbers.model_fields)
"""Their names, as in the columns of tables."""


class CellResult(Numbers):
    """Benchmark at one choice of the cell; ``reason`` explains a missing RMSE, else it is empty."""

    cell: CellChoice
    symmetry_kept: bool | None = None
    reason: str = ""
    special_points: tuple[ModeError, ...] = ()

    @model_validator(mode="after")
    def _number_or_reason(self) -> Self:
        if (self.rmse_thz is None) == (self.reason == ""):
            raise ValueError("a cell has either an RMSE or a reason why there is none")
        return self


class Benchmark(Record):
    """One structure of one fit."""

    campaign: str
    structure: str
    fit: str
    fit_kind: str
    generation: int
    in_sample: bool
    imaginary_tolerance_thz: float
    cells: tuple[CellResult, ...]
    mechanics_reference: Mechanics | None = None
    mechanics_fit: Mechanics | None = None
    mechanics_reason: str = ""

    def with_mechanics(self, reference: MechanicsResult, fit: MechanicsResult) -> Self:
        """Add equation of state and elastic constants."""
        return self.model_copy(
            update={
                "mechanics_reference": reference.mechanics,
                "mechanics_fit": fit.mechanics,
                "mechanics_reason": fit.reason,
            }
        )


class Benchmarks(StoredRecord):
    """All structures of one fit."""

    IN_WORDS = "benchmarks of a fit"

    benchmarks: tuple[Benchmark, ...]

    def of(self, structure: str) -> Benchmark:
        """Return the benchmark of a structure."""
        return next(one for one in self.benchmarks if one.structure == structure)


def load_benchmarks(paths: Iterable[str | Path]) -> list[Benchmark]:
    """Read the benchmarks of several fits.

    Raises
    ------
    PhonsmithError
        A file is missing or holds something else.
    """
    return [one for path in paths for one in Benchmarks.load(path).benchmarks]


# --- one comparison --------------------------------------------------------------------------


def compare_spectra(reference: Spectrum, fit: Spectrum, tolerance_thz: float) -> SpectrumErrors:
    """Compute the errors of a fit's spectrum.

    Parameters
    ----------
    reference
        Spectrum of the reference.
    fit
        Spectrum of the fit at the q points of the reference.
    tolerance_thz
        A mode with a frequency below ``-tolerance_thz`` is imaginary.

    Raises
    ------
    ValueError
        The spectra have different numbers of bands or different q points.
    """
    if reference.frequencies_thz.shape[1] != fit.frequencies_thz.shape[1]:
        raise ValueError(
            f"spectra of {reference.frequencies_thz.shape[1]} and {fit.frequencies_thz.shape[1]} "
            "bands cannot be compared"
        )
    if (
        reference.qpoints.shape != fit.qpoints.shape
        or not np.allclose(reference.qpoints, fit.qpoints, rtol=0, atol=1e-8)
        or not np.array_equal(reference.mesh, fit.mesh)
    ):
        raise ValueError("spectra at different q points cannot be compared")
    difference = np.sort(fit.frequencies_thz, axis=1) - np.sort(reference.frequencies_thz, axis=1)
    resolved = np.sqrt(np.mean(difference**2, axis=1))
    points = reference.special_points()
    return SpectrumErrors(
        rmse_thz=float(np.sqrt(np.mean(difference**2))),
        q_resolved_rmse_thz=resolved,
        max_deviation_thz=float(np.abs(difference).max()),
        rmse_gamma_thz=float(resolved[points["Γ"]]) if "Γ" in points else None,
        dos_distance=dos_distance(reference, fit),
        minimum_frequency_reference_thz=reference.minimum_thz,
        minimum_frequency_fit_thz=fit.minimum_thz,
        imaginary_reference=_imaginary(reference, tolerance_thz),
        imaginary_fit=_imaginary(fit, tolerance_thz),
        volume_error_percent=100 * (fit.volume_angstrom3 / reference.volume_angstrom3 - 1),
        special_points=tuple(
            ModeError(label=label, branch=branch, reference_thz=float(one), fit_thz=float(other))
            for label, index in points.items()
            for branch, (one, other) in enumerate(
                zip(reference.frequencies_thz[index], fit.frequencies_thz[index], strict=True), 1
            )
        ),
    )


def dos_distance(one: Spectrum, other: Spectrum) -> float:
    """Integral of |difference| of two densities of states, divided by the number of bands.

    Both are smeared alike (``DOS_SMEARING_THZ``) and tabulated at whole multiples of
    ``DOS_PITCH_THZ``, so that the common grid reaches from the lower start to the higher end.
    """
    starts = [round(float(x.dos_frequencies_thz[0]) / DOS_PITCH_THZ) for x in (one, other)]
    length = max(start + len(x.dos) for start, x in zip(starts, (one, other), strict=True))
    total = np.zeros((2, length - min(starts)))
    for row, start, x in zip(total, starts, (one, other), strict=True):
        row[start - min(starts) : start - min(starts) + len(x.dos)] = x.dos
    return float(np.abs(total[0] - total[1]).sum() * DOS_PITCH_THZ / (3 * one.natom))


def _imaginary(spectrum: Spectrum, tolerance: float) -> int:
    on_path = np.count_nonzero(spectrum.frequencies_thz < -tolerance)
    return int(on_path + np.count_nonzero(spectrum.mesh_frequencies_thz < -tolerance))


def benchmark_cell(
    cell: CellChoice,
    reference: Spectrum | None,
    fit: str | Path,
    verdict: "Verdict",
    tolerance_thz: float,
) -> CellResult:
    """Benchmark a fit for one choice of the cell, from its stored spectrum and verdict.

    Parameters
    ----------
    cell
        Reference cell or relaxed cell.
    reference
        Spectrum of the reference; None if there is none.
    fit
        File with the spectrum of the fit; read only if the verdict has no reason.
    verdict
        Verdict on the crystal relaxed by the fit.
    tolerance_thz
        A mode with a frequency below ``-tolerance_thz`` is imaginary.

    Returns
    -------
    The errors, or the reason why there are none.
    """
    if reference is None:
        return CellResult(cell=cell, symmetry_kept=verdict.symmetry_kept, reason=verdict.reason)
    return cell_result(
        cell,
        reference,
        None if verdict.reason else Spectrum.load(fit),
        tolerance_thz,
        symmetry_kept=verdict.symmetry_kept,
        volume_error_percent=verdict.volume_change_percent if verdict.reason else None,
        reason=verdict.reason,
    )


def cell_result(
    cell: CellChoice,
    reference: Spectrum,
    fit: Spectrum | None,
    tolerance_thz: float,
    *,
    symmetry_kept: bool | None = None,
    volume_error_percent: float | None = None,
    reason: str = "",
) -> CellResult:
    """Benchmark at one choice of the cell.

    Parameters
    ----------
    cell
        Cell of the fit.
    reference, fit
        Spectra; no ``fit`` where there are no phonons, or none that may be compared.
    tolerance_thz
        A mode below minus this is imaginary.
    symmetry_kept
        Whether relaxation kept the crystal; None where there was no relaxation.
    volume_error_percent
        Given where there is no ``fit``; otherwise it comes from the spectra.
    reason
        Why there is no ``fit``, in words.

    Raises
    ------
    ValueError
        Neither or both of ``fit`` and ``reason`` are given, or the spectra do not match.
    """
    if (fit is None) == (reason == ""):
        raise ValueError("give either a spectrum of the fit or the reason why it is missing")
    if fit is None:
        return CellResult(
            cell=cell,
            volume_error_percent=volume_error_percent,
            minimum_frequency_reference_thz=reference.minimum_thz,
            imaginary_reference=_imaginary(reference, tolerance_thz),
            symmetry_kept=symmetry_kept,
            reason=reason,
        )
    errors = compare_spectra(reference, fit, tolerance_thz)
    numbers = {
        key: getattr(errors, key) for key in NUMBERS if key in SpectrumErrors.__dataclass_fields__
    }
    return CellResult(
        cell=cell,
        **numbers,
        symmetry_kept=symmetry_kept,
        special_points=errors.special_points,
    )
