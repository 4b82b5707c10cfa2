"""Lattice thermal conductivity by phono3py, its parts, and how it is compared.

Tensors are in W/mK, in the Cartesian axes of the crystal, as phono3py gives them: xx, yy, zz, yz,
xz, xy. The conductivity along a direction [uvw] of the crystal is n·κ·n with the unit vector n of u
a + v b + w c, whatever the orientation of the cell.

Phonons below phono3py's cutoff frequency, imaginary ones among them, carry no heat there. A crystal
with imaginary modes therefore gets no conductivity here but a reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phonsmith.conductivity.mesh import check_isotopes, set_mesh
from phonsmith.conductivity.settings import Conductivity, MeshOf
from phonsmith.files.json_records import Record, StoredRecord
from phonsmith.files.reading_writing import replacing

if TYPE_CHECKING:
    from phono3py import Phono3py

Floats = NDArray[np.float64]

TRANSPORT = {"boltzmann": None, "wigner": "SMM19", "green-kubo": "NJC23"}
"""phono3py's names: Simoncelli, Marzari, Mauri, Nat. Phys. 15, 809 (2019); Fiorentino, Baroni,
Phys. Rev. B 107, 054311 (2023)."""

REPRODUCIBLE = {
    "average_degenerate_weights": True,
    "symmetrize_tetrahedra": True,
    "exclude_gamma_acoustic": True,
}
"""What keeps rounding errors out of κ, isotope scattering included: weights of the tetrahedra are
averaged over degenerate bands and over the ways to cut a cell of the mesh into tetrahedra, and
acoustic modes at Γ are exactly zero. None of it is phono3py's default (docs/conductivity.md)."""

COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")
CURVE_POINTS = 201
"""Points of a cumulative conductivity."""


# --- results -----------------------------------------------------------------------------------


class Series(Record):
    """Conductivity against temperature by one kind of calculation.

    ``kappa`` has a row of six components (W/mK) for each temperature; ``between_bands`` is the part
    of it that tunnels between bands, None for the Boltzmann equation. ``without_groups`` are such
    ``kappa`` without each group of random third-order cells
    (:mod:`phonsmith.conductivity.jackknife`), None where they were not computed.
    """

    solver: Literal["rta", "lbte"]
    isotopes: bool
    non_analytical: bool
    transport: Literal["boltzmann", "wigner", "green-kubo"]
    mesh: list[int]
    kappa: list[list[float]]
    between_bands: list[list[float]] | None
    without_groups: list[list[list[float]]] | None = None


class KappaResult(StoredRecord):
    """The conductivity of one crystal by one method on one mesh.

    ``q_points`` counts those of the whole mesh. ``cell`` holds the lattice vectors of the crystal's
    unit cell in rows (Å). ``imaginary_percent`` is the share of the modes on the mesh that carry no
    heat because they are imaginary, within the tolerance. Without a conductivity, ``reason``
    explains why and ``series`` is empty. ``without_uncertainty`` explains why a requested
    uncertainty is missing.
    """

    IN_WORDS = "a thermal conductivity"

    structure: str
    method: str
    mesh: list[int]
    mesh_of: MeshOf
    q_points: int
    cell: list[list[float]]
    temperatures_kelvin: list[float]
    lowest_frequency_thz: float | None
    imaginary_percent: float | None = None
    series: list[Series]
    reason: str
    without_uncertainty: str = ""


@dataclass(frozen=True)
class Modes:
    """What each mode carries at one temperature, and where the heat is; relaxation time or not.

    Attributes
    ----------
    kappa
        (irreducible q points, bands), W/mK: mean of xx, yy and zz, the q points of a star together;
        the sum is the conductivity.
    frequencies
        (irreducible q points, bands), THz.
    mean_free_path
        (irreducible q points, bands), Å; relaxation-time approximation.
    curve_frequencies, by_frequency
        (:data:`CURVE_POINTS`,), THz and W/mK: conductivity of all modes below a frequency.
    curve_paths, by_path
        (:data:`CURVE_POINTS`,), Å and W/mK: that of all modes with a shorter mean free path.
    """

    kappa: Floats
    frequencies: Floats
    mean_free_path: Floats
    curve_frequencies: Floats
    by_frequency: Floats
    curve_paths: Floats
    by_path: Floats

    def save(self, path: str | Path) -> None:
        """Write as npz."""
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **vars(self))

    @classmethod
    def load(cls, path: str | Path) -> Self | None:
        """Read what :meth:`save` wrote; None for an empty file."""
        if Path(path).stat().st_size == 0:
            return None
        with np.load(path, allow_pickle=False) as data:
            return cls(**{name: data[name] for name in cls.__dataclass_fields__})


def without_result(structure: str, method: str, settings: Conductivity, reason: str) -> KappaResult:
    """Build the result for a structure without conductivity.

    Parameters
    ----------
    structure
        Id of the structure.
    method
        Name of the method.
    settings
        Settings of the conductivity.
    reason
        Reason in words.
    """
    return KappaResult(
        structure=structure,
        method=method,
        mesh=[],
        mesh_of=settings.mesh_of,
        q_points=0,
        cell=[],
        temperatures_kelvin=list(settings.temperatures_kelvin),
        lowest_frequency_thz=None,
        series=[],
        reason=reason,
    )


# --- the calculation -----------------------------------------------------------------------------


def for_convergence(settings: Conductivity, mesh: Any) -> Conductivity:
    """Return the settings for the table of convergence: the first kind, by relaxation times."""
    return settings.model_copy(
        update={
            "mesh": mesh,
            "solvers": ["rta"],
            "isotopes": settings.isotopes[:1],
            "non_analytical": settings.non_analytical[:1],
        }
    )


def thermal_conductivity(
    third: "Phono3py",
    settings: Conductivity,
    structure: str,
    method: str,
    *,
    imaginary_tolerance_thz: float,
) -> tuple[KappaResult, Modes | None]:
    """Compute the thermal conductivity in all kinds that the settings request.

    Parameters
    ----------
    third
        phono3py with force constants of both orders.
    settings
        Settings of the conductivity.
    structure
        Id of the structure.
    method
        Name of the method.
    imaginary_tolerance_thz
        A mode with a frequency below ``-imaginary_tolerance_thz`` is imaginary.

    Returns
    -------
    The result, and what single modes carry in the first kind (with heat between bands, in the first
    one in relaxation-time approximation), or None where there is no result.

    Raises
    ------
    PhonsmithError
        Natural isotopes are requested for a crystal with custom masses.
    """
    check_isotopes(structure, third.primitive, settings)
    nac = third.nac_params
    charged = settings.non_analytical if nac is not None else [False]
    empty = without_result(structure, method, settings, "")
    lowest, share = math.inf, 0.0
    for non_analytical in charged:
        third.nac_params = nac if non_analytical else None
        numbers = set_mesh(third, settings.mesh, settings.mesh_of)
        found = _imaginary_modes(third)
        lowest, share = min(lowest, found[0]), max(share, found[1])
    empty = empty.model_copy(
        update={
            "mesh": numbers,
            "q_points": int(np.prod(third.grid.D_diag)),
            "lowest_frequency_thz": lowest,
            "imaginary_percent": 100 * share,
        }
    )
    if lowest < -imaginary_tolerance_thz:
        third.nac_params = nac
        reason = f"imaginary modes down to {lowest:.2f} THz; phono3py omits their heat"
        return empty.model_copy(update={"reason": reason}), None
    with_modes = ["rta"] if TRANSPORT[settings.transport] else ["rta", "lbte"]
    series, modes = [], None
    for non_analytical, isotopes, solver in product(charged, settings.isotopes, settings.solvers):
        third.nac_params = nac if non_analytical else None
        direct = settings.lbte_mesh if solver == "lbte" else None
        numbers = set_mesh(third, direct or settings.mesh, settings.mesh_of)
        _run(third, settings, solver, isotopes=isotopes)
        kappa, between = _kappa(third, settings, solver)
        series.append(
            Series(
                solver=solver,
                isotopes=isotopes,
                non_analytical=non_analytical,
                transport=settings.transport,
                mesh=numbers,
                kappa=_plain(kappa),
                between_bands=None if between is None else _plain(between),
            )
        )
        if modes is None and solver in with_modes:
            modes = _modes(third, settings)
    third.nac_params = nac
    return empty.model_copy(update={"cell": _plain(third.unitcell.cell), "series": series}), modes


def _kappa(third: "Phono3py", settings: Conductivity, solver: str) -> tuple[Floats, Floats | None]:
    """Conductivity in W/mK, and its part between bands where that is computed."""
    found = third.thermal_conductivity
    if not TRANSPORT[settings.transport]:
        return found.kappa[0], None
    between = found.kappa_inter[0]
    if solver == "lbte":  # there phono3py's `kappa` lacks the part between bands
        return found.kappa_intra_exact[0] + between, between
    return found.kappa[0], between


def _run(third: "Phono3py", settings: Conductivity, solver: str, *, isotopes: bool) -> None:
    from phonsmith.conductivity.velocity_matrices import whole_velocity_matrices

    third.init_phph_interaction(**REPRODUCIBLE)
    with whole_velocity_matrices():
        third.run_thermal_conductivity(
            is_LBTE=solver == "lbte",
            temperatures=settings.temperatures_kelvin,
            is_isotope=isotopes,
            boundary_mfp=settings.boundary_micrometre,
            transport_type=TRANSPORT[settings.transport],
        )


def _imaginary_modes(third: "Phono3py") -> tuple[float, float]:
    """Lowest frequency (THz) on the mesh, and the share of modes that are imaginary, 0 ... 1.

    Imaginary frequencies are negative; the three modes of translation are in the lowest frequency,
    as the force constants give them, and not in the share.
    """
    third.init_phph_interaction()
    third.run_phonon_solver()
    frequencies = third.get_phonon_data()[0][third.grid.grg2bzg]
    at_gamma = sorted(frequencies[0], key=abs)[3:]
    others = np.concatenate([at_gamma, frequencies[1:].ravel()])
    share = (others < -third.phph_interaction.cutoff_frequency).mean()
    return float(frequencies.min()), float(share)


def _plain(numbers: ArrayLike) -> Any:
    return np.asarray(numbers, dtype=float).tolist()


def mean_free_paths(gamma: ArrayLike, velocities: ArrayLike) -> Floats:
    """Mean free paths |v| / (4π γ) in Å of modes, from γ (THz) and group velocities (THz Å).

    Parameters
    ----------
    gamma
        (q points, bands): half widths of all kinds of scattering together. Zero where it is not
        positive.
    velocities
        (q points, bands, 3).
    """
    gamma = np.asarray(gamma, dtype=float)
    speed = np.linalg.norm(velocities, axis=-1)
    paths = np.divide(speed, 4 * np.pi * gamma, out=np.zeros_like(speed), where=gamma > 0)
    return np.asarray(paths)


def per_mode(matrix: ArrayLike, heat_capacities: ArrayLike) -> Floats:
    """Return what each mode carries where heat tunnels between pairs of bands.

    A pair's part is shared by heat capacity: mode s gets 2 C_s / (C_s + C_s') of κ_ss', as in
    M. Simoncelli, N. Marzari, F. Mauri, Phys. Rev. X 12, 041011 (2022), and in matbench-discovery.

    Parameters
    ----------
    matrix
        (q points, bands, bands), W/mK.
    heat_capacities
        (q points, bands).
    """
    matrix = np.asarray(matrix, dtype=float)
    capacity = np.asarray(heat_capacities, dtype=float)
    total = capacity[:, :, None] + capacity[:, None, :]
    share = np.divide(2 * capacity[:, :, None], total, out=np.ones_like(total), where=total > 0)
    symmetric = (matrix + matrix.transpose(0, 2, 1)) / 2
    return np.asarray((share * symmetric).sum(axis=2))


def _modes(third: "Phono3py", settings: Conductivity) -> Modes:
    found = third.thermal_conductivity
    wanted = settings.cumulative_kelvin or settings.temperatures_kelvin[0]
    at = settings.temperatures_kelvin.index(wanted)
    count = int(np.prod(found.mesh_numbers))
    if TRANSPORT[settings.transport]:
        matrix = found.mode_kappa_matrix[0, at, ..., :3].mean(axis=-1)
        kappa = per_mode(matrix, found.mode_heat_capacities[at]) / count
    else:
        kappa = found.mode_kappa[0, at, ..., :3].mean(axis=-1) / count
    frequencies = np.asarray(found.frequencies)
    gamma = np.array(found.gamma[0, at])
    if found.gamma_isotope is not None:
        gamma += found.gamma_isotope[0]
    velocities = np.asarray(found.group_velocities)
    if settings.boundary_micrometre is not None:
        boundary = 1e4 * settings.boundary_micrometre
        gamma += np.linalg.norm(velocities, axis=-1) / (4 * np.pi * boundary)
    paths = mean_free_paths(gamma, velocities)
    curve_f = np.linspace(0.0, frequencies.max() * 1.001, CURVE_POINTS)
    longest = paths.max() * 1.001
    curve_p = np.geomspace(longest / 1e5, longest, CURVE_POINTS)
    return Modes(
        kappa=kappa,
        frequencies=frequencies,
        mean_free_path=paths,
        curve_frequencies=curve_f,
        by_frequency=_cumulative(third, frequencies, kappa, curve_f),
        curve_paths=curve_p,
        by_path=_cumulative(third, paths, kappa, curve_p),
    )


def _cumulative(third: "Phono3py", values: Floats, kappa: Floats, samples: Floats) -> Floats:
    """Conductivity of all modes whose value is below each sample, by the tetrahedron method."""
    from phonopy.phonon.grid import get_ir_grid_points
    from phonopy.phonon.spectrum import TetrahedronDOSAccumulator

    grid = third.grid
    points, _, to_irreducible = get_ir_grid_points(grid)
    place = {
        int(grid.bzg2grg[point]): row
        for row, point in enumerate(third.thermal_conductivity.grid_points)
    }
    rows = [place[int(point)] for point in points]
    found = TetrahedronDOSAccumulator(
        values[rows],
        grid,
        mode_property=kappa[None, rows, :, None] * int(np.prod(grid.D_diag)),
        ir_grid_points=points,
        ir_grid_map=to_irreducible,
        sampling_points=samples,
    ).result
    return np.asarray(found.cumulative)[0, :, 0]


# --- tensors -------------------------------------------------------------------------------------


def tensor(components: ArrayLike) -> Floats:
    """(3, 3) tensor from xx, yy, zz, yz, xz, xy."""
    xx, yy, zz, yz, xz, xy = np.asarray(components, dtype=float)
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def along(components: ArrayLike, cell: ArrayLike, direction: Sequence[int]) -> float:
    """Compute the conductivity n·κ·n along [uvw] of the cell.

    Parameters
    ----------
    components
        κ_xx, κ_yy, κ_zz, κ_yz, κ_xz, κ_xy in W/(m K), in Cartesian axes.
    cell
        (3, 3) lattice vectors in rows.
    direction
        [uvw], in units of the lattice vectors.

    Examples
    --------
    >>> round(along([1, 2, 3, 0, 0, 0], [[0, 0, 5], [4, 0, 0], [0, 3, 0]], (1, 0, 0)), 6)
    3.0
    """
    vector = np.asarray(direction, dtype=float) @ np.asarray(cell, dtype=float)
    n = vector / np.linalg.norm(vector)
    return float(n @ tensor(components) @ n)


def mean_kappa(components: ArrayLike) -> float:
    """Mean over the three axes: a third of the trace."""
    return float(np.asarray(components, dtype=float)[:3].mean())


# --- comparison ----------------------------------------------------------------------------------


FAILED = 2.0
"""SRE and SRME of a potential that has no conductivity to compare."""


def kappa_sre(predicted: float | None, reference: float) -> float:
    """Symmetric relative error |2 (κ − κ_ref) / (κ + κ_ref)|, 2 where there is none.

    As matbench-discovery has it, with the mean over the three axes.
    """
    if predicted is None:
        return FAILED
    return abs(2 * (predicted - reference) / (predicted + reference))


def kappa_srme(predicted: ArrayLike | None, reference: ArrayLike) -> float:
    """Symmetric relative mean error over the modes, 0 ... 2, 2 where there is none.

    2 Σ |κ_i − κ_ref,i| / (κ + κ_ref): errors of modes do not cancel. B. Póta, P. Ahlawat, G.
    Csányi, M. Simoncelli, arXiv:2408.00755, as in matbench-discovery (``calc_kappa_srme``): modes
    of each q point in order of their frequency.

    Parameters
    ----------
    predicted, reference
        (irreducible q points, bands): :attr:`Modes.kappa`, on one mesh.
    """
    if predicted is None:
        return FAILED
    one, other = np.asarray(predicted, dtype=float), np.asarray(reference, dtype=float)
    if one.shape != other.shape:
        return FAILED  # another symmetry, and so another crystal
    return float(2 * np.abs(one - other).sum() / (one.sum() + other.sum()))
