"""What labels, fits and force evaluations cost: simple models, calibrated on real runs.

Core hours are those of one core of an AMD EPYC virtual machine, where the constants below were
measured (``benchmarks/pw_cost.py`` and ``benchmarks/vasp_cost.py`` fit them again). Another machine
differs by its speed, a run on many cores by what communication takes; both are one factor, which
the finished labels of a campaign tell (:mod:`phonsmith.plan.planner`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.units import Bohr, Ry

from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.kinds import Fit
from phonsmith.fits.mace.settings import MaceFit
from phonsmith.fits.settings import ExistingFit, RecordedFit
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.kinds import Reference
from phonsmith.labels.kpoints import mesh
from phonsmith.labels.reference import DftReference
from phonsmith.labels.vasp.settings import VaspReference
from phonsmith.potentials.settings import PotentialSource

MB = 1e6
COMPLEX = 16  # bytes of a complex number
SYMPREC = 1e-5
"""Å. Tolerance of pw.x's search for symmetry."""


@dataclass(frozen=True)
class Cost:
    """What one run takes; None where there is no way to tell.

    ``core_seconds`` of computing on all cores together, ``memory_mb`` of all processes together.
    """

    core_seconds: float | None
    memory_mb: float | None = None


UNKNOWN = Cost(None)


# --- electronic structure ------------------------------------------------------------------------


@dataclass(frozen=True)
class ElectronicSize:
    """The numbers that the cost of a plane-wave calculation of one cell goes by.

    ``kpoints`` is the number of irreducible ones; ``plane_waves`` that of one wavefunction;
    ``density_waves`` that of the density; ``spins`` 1 or 2; ``atoms`` those of the cell.
    """

    atoms: int
    electrons: float
    kpoints: int
    plane_waves: float
    bands: int
    density_waves: float
    spins: int = 1


def electronic_size(
    cell: Atoms, reference: DftReference, structure: str | None = None
) -> ElectronicSize:
    """Electrons, irreducible k-points and plane waves of a cell.

    ``structure`` is the id of the crystal, which may have settings of its own.

    Raises
    ------
    PhonsmithError
        A pseudopotential cannot be had.
    """
    if isinstance(reference, EspressoReference):
        return _espresso_size(cell, reference)
    if isinstance(reference, VaspReference):
        return _vasp_size(cell, reference, structure)
    raise TypeError(f"no cost model for {type(reference).__name__}")


def isolated_atom_size(element: str, reference: DftReference) -> ElectronicSize:
    """The numbers of a spin-polarised atom in its box, at Γ."""
    assert isinstance(reference, EspressoReference | VaspReference)
    edges = reference.isolated_atom_edges_angstrom
    alone = reference.model_copy(update={"kspacing_per_angstrom": 1e3})
    size = electronic_size(Atoms(element, cell=edges, pbc=True), alone)
    return replace(size, kpoints=1, spins=2)


def _espresso_size(cell: Atoms, reference: EspressoReference) -> ElectronicSize:
    from phonsmith.labels.espresso.inputs import k_points
    from phonsmith.labels.pseudopotentials import cutoffs, pseudopotentials_of

    potentials = pseudopotentials_of(
        reference.pseudopotentials, reference.functional, cell.get_chemical_symbols()
    )
    electrons = sum(potentials[symbol].valence for symbol in cell.symbols)
    ecutwfc, ecutrho = cutoffs(reference, potentials.values())
    divisions = k_points(reference, cell)
    kpoints = (
        irreducible_kpoints(cell, divisions, shifted=reference.shifted_mesh) if divisions else 1
    )
    # at Γ alone wavefunctions are real: pw.x keeps half of the plane waves
    waves = plane_waves(cell, ecutwfc) / (1 if divisions else 2)
    bands = math.ceil(electrons / 2 - 1e-9)
    if reference.occupations == "smearing":  # pw.x's setup.f90
        bands = max(round(1.2 * electrons / 2), bands + 4)
    return ElectronicSize(
        len(cell),
        electrons,
        kpoints,
        waves,
        bands,
        plane_waves(cell, ecutrho),
        2 if reference.magnetism else 1,
    )


def _vasp_size(cell: Atoms, reference: VaspReference, structure: str | None) -> ElectronicSize:
    from phonsmith.labels.potcars import valence_electrons
    from phonsmith.labels.vasp.inputs import static_tags

    valence = valence_electrons(reference, sorted(set(cell.get_chemical_symbols())))
    tags = static_tags(reference, structure)
    electrons = sum(valence[symbol] for symbol in cell.symbols)
    return vasp_size(cell, electrons, tags["ENCUT"], tags["KSPACING"], tags["ISPIN"])


def vasp_size(
    cell: Atoms, electrons: float, encut_ev: float, kspacing: float, spins: int = 1
) -> ElectronicSize:
    """The numbers of a VASP run without symmetry (ISYM 0) and with the default of NBANDS."""
    kpoints = irreducible_kpoints(cell, mesh(cell, kspacing), symmetry=False)
    bands = max(electrons / 2 + len(cell) / 2, 0.6 * electrons)  # VASP manual, NBANDS
    waves = plane_waves(cell, encut_ev / Ry)
    return ElectronicSize(len(cell), electrons, kpoints, waves, math.ceil(bands), 8 * waves, spins)


def plane_waves(cell: Atoms, cutoff_ry: float) -> float:
    """Plane waves of a cell below a cutoff: V k³/(6π²) with k = √E in atomic units."""
    return float(cell.get_volume() / Bohr**3 * cutoff_ry**1.5 / (6 * np.pi**2))


def irreducible_kpoints(
    cell: Atoms, divisions: Sequence[int], *, shifted: bool = False, symmetry: bool = True
) -> int:
    """Irreducible k-points of a mesh: time reversal, and the symmetry of the cell if wanted."""
    import spglib

    rotations = np.eye(3, dtype="intc")[None]
    if symmetry:
        crystal = (cell.cell[:], cell.get_scaled_positions(), cell.numbers)
        found = spglib.get_symmetry(crystal, symprec=SYMPREC)
        rotations = np.unique(found["rotations"], axis=0) if found else rotations
    mapping, _ = spglib.get_stabilized_reciprocal_mesh(
        divisions, rotations, is_shift=[int(shifted)] * 3, is_time_reversal=True
    )
    return len(np.unique(mapping))


@dataclass(frozen=True)
class PlaneWaveCost:
    """Constants of one code.

    Seconds of one run: ``start_s`` + steps · k-points · spins · (``fft`` · N_b · N_pw · log2 N_pw
    + ``algebra`` · N_b² · N_pw), with N_b bands and N_pw plane waves, and
    steps = ``scf_steps`` + ``scf_steps_per_doubling`` · log2(atoms).

    Bytes: 16 · (k-points · spins · N_b · N_pw + N_g · (``grids`` + ``grids_per_atom`` · atoms)),
    with N_g plane waves of the density, and ``base_mb`` for each core.
    """

    fft: float
    algebra: float
    start_s: float
    scf_steps: float
    scf_steps_per_doubling: float
    grids: float
    grids_per_atom: float
    base_mb: float

    def steps(self, atoms: int) -> float:
        """SCF steps of a cell."""
        return self.scf_steps + self.scf_steps_per_doubling * math.log2(atoms)

    def features(self, size: ElectronicSize) -> tuple[float, float]:
        """What ``fft`` and ``algebra`` are multiplied by, for one SCF step."""
        states = size.kpoints * size.spins * size.bands * size.plane_waves
        return states * math.log2(max(2.0, size.plane_waves)), states * size.bands

    def run(self, size: ElectronicSize, cores: int = 1) -> Cost:
        """One static run."""
        fft, algebra = self.features(size)
        seconds = self.steps(size.atoms) * (self.fft * fft + self.algebra * algebra)
        states = size.kpoints * size.spins * size.bands * size.plane_waves
        grids = size.density_waves * (self.grids + self.grids_per_atom * size.atoms)
        memory = COMPLEX * (states + grids) / MB + self.base_mb * cores
        return Cost(self.start_s + seconds, memory)


ESPRESSO = PlaneWaveCost(
    fft=8.8e-8,
    algebra=2.7e-8,
    start_s=1.3,
    scf_steps=6.0,
    scf_steps_per_doubling=1.8,
    grids=27.7,
    grids_per_atom=4.0,
    base_mb=70.0,
)
"""pw.x 6.7 with OpenBLAS on one core: 12 runs of 2 to 64 atoms (Si, SiO2), 18-45 Ry, 1-112
k-points, ultrasoft pseudopotentials, conv_thr 1e-9 Ry; they are in ``benchmarks/pw_cost.csv``."""

VASP = PlaneWaveCost(
    fft=1.6e-7,
    algebra=1.7e-8,
    start_s=10.0,
    scf_steps=12.0,
    scf_steps_per_doubling=1.0,
    grids=0.0,
    grids_per_atom=0.0,
    base_mb=300.0,
)
"""15 recorded runs of α-Sn, 8 atoms on 48 and 64 atoms on 144 cores, ENCUT 700, PREC Accurate
(autoplex's tutorial data): two sizes of one crystal, so that other cells may differ by a factor of
two or three."""


def plane_wave_cost(reference: DftReference) -> PlaneWaveCost:
    """The constants of the code."""
    return ESPRESSO if isinstance(reference, EspressoReference) else VASP


RELAXATION_STEPS = 12
"""Static runs that a relaxation of a crystal is worth."""
BORN_RUNS = 12
"""Static runs with the crystal's mesh that Born charges are worth: three fields, and each atom."""
PHONON_RELAXATION_RUNS = 40
"""Force evaluations of the crystal that its relaxation by a fit takes."""
EOS_AND_ELASTIC_RUNS = 200
"""Force evaluations of the crystal for equation of state and elastic constants: 21 strained cells,
each with its atoms relaxed."""


# --- interatomic potentials --------------------------------------------------------------------

JOB_START_S = 4.0
"""Core seconds until a job that evaluates forces has loaded its libraries and model."""

SECONDS_PER_ATOM = {"stillinger-weber": 7e-5, "chgnet": 2.2e-3, "gap": 4e-3, "mace": 1e-2}
"""Energy, forces and stress of one atom on one core; for ``gap`` and ``mace`` models from elsewhere
an order of magnitude."""

_GAP_MULTIPLY = 1.15e-9  # s per kernel element and dimension of SOAP
_GAP_SOLVE = 1.0e-10  # s per operation of the QR decomposition
_GAP_EVALUATE = 0.9e-5  # s per atom and dimension of SOAP
_GAP_EVALUATE_PAIRS = 7e-4  # s per atom for what does not depend on it
_MACE_STEP = (0.9e-3, 0.09e-3)  # s per atom and training step: constant, and for a channel
_FOUNDATION = (128, 1, 6.0, 2)  # channels, order, cutoff and layers of the medium models
_MACE_EDGES = 28  # neighbours within the cutoff in silicon at 5 Å, where these were measured
_MACE_OVERHEAD = 2.0  # CPU seconds of whole trainings over those of the steps alone
_MACE_EVALUATE = 0.4  # forces of one atom over a training step


def seconds_per_atom(potential: PotentialSource | Fit, cells: Sequence[Atoms] = ()) -> float | None:
    """Core seconds of energy, forces and stress of one atom; None for an unknown calculator.

    ``cells`` tell the density and the number of elements.
    """
    if isinstance(potential, PotentialSource):
        return SECONDS_PER_ATOM.get(potential.calculator)
    if isinstance(potential, RecordedFit):
        return 0.0
    if isinstance(potential, ExistingFit):
        return seconds_per_atom(potential.potential)
    if isinstance(potential, GapFit):
        dimension = soap_dimension(potential, _elements(cells))
        return _GAP_EVALUATE_PAIRS + _GAP_EVALUATE * dimension
    return _MACE_EVALUATE * _mace_step(potential, cells)


def label_cost(cell: Atoms, reference: Reference, size: ElectronicSize | None) -> Cost:
    """One static label; ``size`` is that of :func:`electronic_size` where a DFT code runs."""
    if isinstance(reference, DftReference) and size is not None:
        return plane_wave_cost(reference).run(size, reference.cores)
    if isinstance(reference, CalculatorReference):
        each = seconds_per_atom(reference.potential)
        return UNKNOWN if each is None else Cost(each * len(cell))
    return Cost(0.0, 0.0)


def fit_cost(fit: Fit, cells: Sequence[Atoms], stresses: bool) -> Cost:
    """Training on these cells; ``stresses`` is whether labels have them."""
    if isinstance(fit, GapFit):
        return _gap_cost(fit, cells, stresses)
    if isinstance(fit, MaceFit):
        return _mace_cost(fit, cells)
    return Cost(0.0, 0.0)


def soap_dimension(fit: GapFit, elements: int) -> int:
    """Length of the power spectrum of gap_fit's soap descriptor; 0 without one."""
    if fit.soap is None:
        return 0
    radial = fit.soap.n_max * max(1, elements)
    return radial * (radial + 1) // 2 * (fit.soap.l_max + 1) + 1


def _gap_cost(fit: GapFit, cells: Sequence[Atoms], stresses: bool) -> Cost:
    """gap_fit keeps the gradients of all descriptors: atoms · neighbours · 3 (9 with virials).

    Sizes as it estimates them itself ("Memory Estimate" in its output); time goes into products of
    these gradients with the sparse points, and into the QR decomposition of all.
    """
    atoms = sum(len(cell) for cell in cells)
    rows = 3 * atoms + (7 * len(cells) if stresses else 0)
    dimension = soap_dimension(fit, _elements(cells))
    cutoff = fit.soap.cutoff_angstrom if fit.soap else 0.0
    gradients = sum(
        len(cell) * (1 + neighbours(cell, cutoff)) * (9 if stresses else 3) for cell in cells
    )
    bodies = sum(part.n_sparse for part in (fit.two_body, fit.three_body) if part)
    soap = fit.soap.sparse_points if fit.soap else 0
    sparse = soap + bodies
    # each element has its share of the points, which meet the environments of that element alone
    meeting = soap / max(1, _elements(cells)) + bodies
    seconds = (
        JOB_START_S
        + _GAP_MULTIPLY * meeting * gradients * dimension
        + 2 * _GAP_SOLVE * sparse**2 * (rows + sparse)
    )
    memory = 150 + 8 * (gradients * dimension + 2 * sparse * (rows + sparse)) / MB
    return Cost(seconds, memory)


def _mace_cost(fit: MaceFit, cells: Sequence[Atoms]) -> Cost:
    """All epochs; fewer are needed where ``patience`` ends it. Memory is that of libraries."""
    atoms = sum(len(cell) for cell in cells)
    seconds = fit.max_epochs * atoms * _mace_step(fit, cells) * _MACE_OVERHEAD
    return Cost(10 * JOB_START_S + seconds, None)


def _mace_step(fit: MaceFit, cells: Sequence[Atoms]) -> float:
    """Core seconds of a training step for one atom."""
    constant, channel = _MACE_STEP
    channels, max_l, cutoff, layers = (
        _FOUNDATION
        if fit.foundation
        else (fit.num_channels, fit.max_l, fit.cutoff_angstrom, fit.num_interactions)
    )
    work = constant + channel * channels * (max_l + 1) ** 1.2
    edges = float(np.mean([neighbours(one, cutoff) for one in cells] or [_MACE_EDGES]))
    precision = 0.5 if fit.dtype == "float32" else 1.0
    return float(work * precision * edges / _MACE_EDGES * layers / 2)


def neighbours(cell: Atoms, cutoff_angstrom: float) -> float:
    """Neighbours of an atom within a cutoff, from the density."""
    return float(4 / 3 * np.pi * cutoff_angstrom**3 * len(cell) / cell.get_volume())


def _elements(cells: Sequence[Atoms]) -> int:
    return max(1, len({symbol for cell in cells for symbol in cell.symbols}))
