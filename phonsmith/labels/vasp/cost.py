"""Cost model of VASP."""

import math

from ase import Atoms
from ase.units import Ry

from phonsmith.labels.kpoints import mesh
from phonsmith.labels.vasp.inputs import static_tags
from phonsmith.labels.vasp.potcars import valence_electrons
from phonsmith.labels.vasp.settings import VaspReference
from phonsmith.running.costs import ElectronicSize, PlaneWaveCost, irreducible_kpoints, plane_waves

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


def electronic_size(cell: Atoms, reference: VaspReference, structure: str | None) -> ElectronicSize:
    """Estimate the size of a run; arguments of ``DftKind.electronic_size``."""

    valence = valence_electrons(reference, sorted(set(cell.get_chemical_symbols())))
    tags = static_tags(reference, structure)
    electrons = sum(valence[symbol] for symbol in cell.symbols)
    return vasp_size(cell, electrons, tags["ENCUT"], tags["KSPACING"], tags["ISPIN"])


def vasp_size(
    cell: Atoms, electrons: float, encut_ev: float, kspacing: float, spins: int = 1
) -> ElectronicSize:
    """Estimate the size of a VASP run without symmetry (ISYM 0) and with the default of NBANDS.

    Parameters
    ----------
    cell
        Cell.
    electrons
        Number of valence electrons.
    encut_ev
        Cutoff of the plane waves in eV.
    kspacing
        KSPACING in 1/Å.
    spins
        Number of spin channels.
    """
    kpoints = irreducible_kpoints(cell, mesh(cell, kspacing), symmetry=False)
    bands = max(electrons / 2 + len(cell) / 2, 0.6 * electrons)  # VASP manual, NBANDS
    waves = plane_waves(cell, encut_ev / Ry)
    return ElectronicSize(len(cell), electrons, kpoints, waves, math.ceil(bands), 8 * waves, spins)
