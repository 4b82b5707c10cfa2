"""Targets of a GAP and their σ."""

import numpy as np
import pytest
from ase import Atoms

from phonsmith.files.extxyz import FORCES, STRESS
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.gap.targets import balance, targets_of


def cell(structure: str, kind: str, forces: float = 0.0) -> Atoms:
    atoms = Atoms("Si4", np.diag([1.0, 2, 3, 4])[:, :3], cell=[9] * 3, pbc=True)
    atoms.info |= {"structure": structure, "kind": kind, STRESS: np.zeros((3, 3))}
    atoms.set_array(FORCES, np.outer([0, 0.01, 1, 2], [forces, 0, 0]))
    return atoms


def test_balance_is_relative_to_the_crystal_with_fewest_displaced_cells():
    frames = [cell("diamond", "displaced")] * 2 + [cell("clathrate", "displaced")] * 18
    frames += [cell("diamond", "rattled")]
    assert balance(frames, 0.5) == pytest.approx([1] * 2 + [3] * 18 + [1])
    # a single crystal is not weighted, however many displaced cells it has
    assert balance(frames[2:], 0.75) == [1] * 19
    assert balance([], 0.75) == []


def test_default_sigmas_of_displaced_and_rattled_cells():
    fit = GapFit(kind="gap")
    displaced = targets_of(cell("a", "displaced", 0.2), fit, {"Si": 0.0})
    forces, virial = displaced.sigmas[:-6], displaced.sigmas[-6:]
    # forces 0, 0.002, 0.2 and 0.4 eV/Å; three components each
    assert forces[::3] == pytest.approx([1e-5, 1e-5, 2e-5, 4e-5])
    assert virial == pytest.approx(2e-3)  # times the root of four atoms
    rattled = targets_of(cell("a", "rattled", 0.2), fit, {"Si": 0.0})
    assert rattled.sigmas[:-6] == pytest.approx(3e-3)
