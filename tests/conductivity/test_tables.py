"""Directions and pairs of a conductivity tensor."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from scipy.spatial.transform import Rotation

from phonsmith.conductivity.kappa import along, kappa_sre, kappa_srme, per_mode, tensor


def test_pairs_share_by_heat_capacity() -> None:
    matrix = [[[1.0, 0.3], [0.3, 2.0]]]
    shared = per_mode(matrix, [[1.0, 3.0]])
    assert shared[0] == pytest.approx([1 + 0.3 * 0.5, 2 + 0.3 * 1.5])
    assert shared.sum() == pytest.approx(np.sum(matrix))


MONOCLINIC = np.array([[12.2, 0, 0], [0, 3.0, 0], [5.8 * np.cos(1.812), 0, 5.8 * np.sin(1.812)]])


def test_directions_turn_with_the_cell() -> None:
    random = np.random.default_rng(1)
    root = random.normal(size=(3, 3))
    whole = root @ root.T
    names = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    straight = [whole[i] for i in names]
    assert along(straight, MONOCLINIC, (1, 0, 0)) == pytest.approx(whole[0, 0])
    assert along(straight, MONOCLINIC, (0, 1, 0)) == pytest.approx(whole[1, 1])
    assert tensor(straight) == pytest.approx(whole)
    for rotation in Rotation.random(5, rng=2):
        turn = rotation.as_matrix()
        cell, turned = MONOCLINIC @ turn.T, turn @ whole @ turn.T
        components = [turned[i] for i in names]
        for direction in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -2, 3)]:
            expected = along(straight, MONOCLINIC, direction)
            assert along(components, cell, direction) == pytest.approx(expected)


def printed_kappa_100(components, angle: float) -> float:
    """The formula for κ₁₀₀ in Ertural et al. (2025)."""
    _, yy, zz, yz, _, _ = components
    return yy * np.cos(angle) ** 2 + yz * np.sin(2 * angle) + zz * np.sin(angle) ** 2


def test_the_printed_formula_is_100_with_another_angle(repository: Path) -> None:
    """β − 90° for β, in right-handed axes x ∥ b, z ∥ c, y = z × x of β-Ga2O3 (C2/m)."""
    cell = np.array(read(repository / "config/structures/kappa/beta-ga2o3.vasp").cell)
    a, b, c = cell
    z, x = c / np.linalg.norm(c), b / np.linalg.norm(b)
    axes = np.array([x, np.cross(z, x), z])
    beta = np.arccos(a @ c / np.linalg.norm(a) / np.linalg.norm(c))
    assert np.degrees(beta) == pytest.approx(103.8, abs=0.2)
    turned = cell @ axes.T  # the crystal in these axes
    assert turned[0] / np.linalg.norm(a) == pytest.approx([0, -np.sin(beta), np.cos(beta)])
    for draw in range(5):
        root = np.random.default_rng(draw).normal(size=(3, 3))
        whole = root @ root.T
        components = [whole[i] for i in [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]]
        exact = along(components, turned, (1, 0, 0))
        assert printed_kappa_100(components, beta - np.pi / 2) == pytest.approx(exact)
        assert printed_kappa_100(components, beta) != pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(("angle", "least"), [(103.8, 7.87), (13.8, 1.81)])
def test_published_numbers_need_the_other_angle(angle: float, least: float) -> None:
    """κ₁₀₀ 9.5 and κ₀₀₁ 16.9: the ratio of principal values that either angle asks for."""
    beta, zz, ratios = np.radians(angle), 16.9, []
    for yy in np.linspace(0.5, 200, 4000):
        yz = (9.5 - printed_kappa_100([0, yy, zz, 0, 0, 0], beta)) / np.sin(2 * beta)
        low, high = np.linalg.eigvalsh([[yy, yz], [yz, zz]])
        if low > 0:
            ratios.append(high / low)
            assert angle < 90 or (yy > 14.5 and abs(yz) > 15.6)
    assert min(ratios) == pytest.approx(least, rel=0.01)


def test_relative_errors() -> None:
    """Hand-worked; matbench-discovery's bounds: 0 for the same, 2 for nothing in common."""
    reference = np.array([[1.0, 3.0], [0.0, 4.0]])
    assert kappa_srme(reference, reference) == 0
    assert kappa_srme([[0.0, 0.0], [8.0, 0.0]], reference) == pytest.approx(2)
    swapped = [[3.0, 1.0], [0.0, 4.0]]  # the same total: errors must not cancel
    assert kappa_srme(swapped, reference) == pytest.approx(2 * 4 / 16)
    assert kappa_sre(8.0, 8.0) == 0
    assert kappa_sre(3.0, 1.0) == kappa_sre(1.0, 3.0) == pytest.approx(1)
    assert kappa_sre(None, 1.0) == kappa_srme(None, reference) == 2
    assert kappa_srme(np.ones((3, 2)), reference) == 2
