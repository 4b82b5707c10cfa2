"""The calculator of a GAP: the values of quippy's, in constant memory."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from quippy.potential import Potential

from phonsmith.potentials.calculators import make_calculator
from tests.fits.examples import gap_of

PAGE_MB = 4096 / 1e6


def moved(cells: int, seed: int) -> Atoms:
    random = np.random.default_rng(seed)
    atoms = bulk("Si", cubic=True, a=5.43) * (cells, 1, 1)
    atoms.set_cell(atoms.cell.array + random.normal(scale=0.1, size=(3, 3)), scale_atoms=True)
    atoms.positions += random.normal(scale=0.1, size=atoms.positions.shape)
    return atoms


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def test_a_gap_computes_what_quippy_computes_in_constant_memory(silicon_gap) -> None:
    folder, _ = silicon_gap
    source = gap_of(folder)
    ours, theirs = make_calculator(source), Potential("", param_filename=source.model)
    for number, cells in enumerate((1, 1, 2, 2, 1)):
        results = []
        for calculator in (ours, theirs):
            atoms = moved(cells, number)
            atoms.calc = calculator
            results.append([atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()])
            if number % 2:  # a property that is computed in another way must not remain
                results[-1].append(atoms.get_potential_energies())
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other)

    atoms = moved(8, 0)
    wanted = ["energy", "forces", "stress"]
    ours.calculate(atoms, wanted)
    before = memory_mb()
    for seed in range(30):
        atoms.positions += np.random.default_rng(seed).normal(scale=1e-3, size=(64, 3))
        ours.calculate(atoms, wanted)
    assert memory_mb() - before < 0.5  # quippy's calculator: 3 to 6 MB


def test_a_cluster_has_no_stress(silicon_gap) -> None:
    folder, _ = silicon_gap
    calculator = make_calculator(gap_of(folder))
    cluster = Atoms("Si2", [(0, 0, 0), (0, 0, 2.4)], calculator=calculator)
    assert cluster.get_forces()[0, 2] == -cluster.get_forces()[1, 2]
    assert "stress" not in calculator.results
