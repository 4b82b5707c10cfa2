"""Cost model of Quantum ESPRESSO."""

import math

from ase import Atoms

from phonsmith.labels.espresso.inputs import k_points
from phonsmith.labels.espresso.pseudopotentials import cutoffs, pseudopotentials_of
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.running.costs import ElectronicSize, PlaneWaveCost, irreducible_kpoints, plane_waves

ESPRESSO = PlaneWaveCost(
    fft=1.13e-7,
    algebra=6.8e-9,
    start_s=1.1,
    scf_steps=6.0,
    scf_steps_per_doubling=1.8,
    grids=27.7,
    grids_per_atom=4.0,
    base_mb=70.0,
    augmentation=1.08e-7,
)
"""pw.x 6.7 with OpenBLAS on one core: 14 runs of 2 to 128 atoms (Si, SiO2), 18-45 Ry, 1-112
k-points, ultrasoft pseudopotentials, conv_thr 1e-9 Ry; they are in ``benchmarks/pw_cost.csv``."""


def electronic_size(cell: Atoms, reference: EspressoReference) -> ElectronicSize:
    """Electrons, irreducible k-points and plane waves of a cell."""

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
