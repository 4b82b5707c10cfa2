"""What labels, fits and force evaluations cost, by the cost models in the registries.

The models and their constants are beside the code they estimate, e.g.
:mod:`phonsmith.fits.gap.cost`; their form is in :mod:`phonsmith.running.costs`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ase import Atoms

from phonsmith.fits.registry import Fit, kind_of
from phonsmith.labels.kind import DftKind
from phonsmith.labels.reference import DftReference
from phonsmith.labels.registry import Reference, method_kind
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.costs import UNKNOWN, Cost, ElectronicSize, PlaneWaveCost

RELAXATION_STEPS = 12
"""Cost of a relaxation in static runs of the crystal."""
BORN_RUNS = 12
"""Cost of Born charges in static runs with the crystal's mesh: three fields, and each atom."""
PHONON_RELAXATION_RUNS = 40
"""Force evaluations of the crystal that its relaxation by a fit takes."""
EOS_AND_ELASTIC_RUNS = 200
"""Force evaluations of the crystal for equation of state and elastic constants: 21 strained cells,
each with its atoms relaxed."""


def dft_kind(reference: DftReference) -> DftKind[DftReference]:
    """Return the entry of a DFT code."""
    kind = method_kind(reference)
    assert isinstance(kind, DftKind)
    return kind


def electronic_size(
    cell: Atoms, reference: DftReference, structure: str | None = None
) -> ElectronicSize:
    """Return electrons, irreducible k-points and plane waves of a cell.

    Parameters
    ----------
    cell
        Cell.
    reference
        Settings of the reference method.
    structure
        Id of the crystal, which may override settings.

    Raises
    ------
    PhonsmithError
        A pseudopotential is missing.
    """
    return dft_kind(reference).electronic_size(cell, reference, structure)


def isolated_atom_size(element: str, reference: DftReference) -> ElectronicSize:
    """Return the numbers of a spin-polarised atom in its box, at Γ."""
    edges = reference.isolated_atom_edges_angstrom
    alone = reference.model_copy(update={"kspacing_per_angstrom": 1e3})
    size = electronic_size(Atoms(element, cell=edges, pbc=True), alone)
    return replace(size, kpoints=1, spins=2)


def plane_wave_cost(reference: DftReference) -> PlaneWaveCost:
    """Return the constants of the code."""
    return dft_kind(reference).cost()


def seconds_per_atom(potential: PotentialSource | Fit, cells: Sequence[Atoms] = ()) -> float | None:
    """Core seconds of energy, forces and stress of one atom; None for an unknown calculator.

    ``cells`` determine the density and the number of elements.
    """
    if isinstance(potential, PotentialSource):
        return potential.seconds_per_atom
    return kind_of(potential).seconds_per_atom(potential, cells)


def label_cost(cell: Atoms, reference: Reference, size: ElectronicSize | None) -> Cost:
    """Estimate the cost of one static label.

    Parameters
    ----------
    cell
        Cell.
    reference
        Settings of the reference method.
    size
        Size of the run (:func:`electronic_size`); None if no DFT code runs.
    """
    if isinstance(reference, DftReference) and size is not None:
        return plane_wave_cost(reference).run(size, reference.cores)
    if potential := method_kind(reference).potential(reference):
        each = seconds_per_atom(potential)
        return UNKNOWN if each is None else Cost(each * len(cell))
    return Cost(0.0, 0.0)


def core_seconds_of_labels(reference: Reference, structure: str) -> Callable[[Atoms], float] | None:
    """Return a function that estimates the core seconds of the label of a cell; None if unknown.

    Parameters
    ----------
    reference
        Settings of the reference method.
    structure
        Id of the crystal, which may override settings.
    """
    dft = reference if isinstance(reference, DftReference) else None
    if dft is None and label_cost(Atoms("H"), reference, None).core_seconds is None:
        return None

    def seconds(cell: Atoms) -> float:
        size = electronic_size(cell, dft, structure) if dft else None
        return label_cost(cell, reference, size).core_seconds or 0.0

    return seconds


def fit_cost(fit: Fit, cells: Sequence[Atoms], stresses: bool) -> Cost:
    """Estimate the cost of a training.

    Parameters
    ----------
    fit
        Settings of the fit.
    cells
        Training cells.
    stresses
        Whether the labels have stresses.
    """
    return kind_of(fit).training_cost(fit, cells, stresses)
