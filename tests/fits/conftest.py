"""Labelled cells of silicon."""

import pytest
from ase.build import bulk

from phonsmith.files.extxyz import ENERGY, STRESS
from phonsmith.potentials.calculators import evaluate
from tests.fits.examples import SW, labelled, strained_silicon


@pytest.fixture(scope="session")
def silicon():
    return strained_silicon(16, 1)


@pytest.fixture(scope="session")
def held_out():
    return strained_silicon(6, 2)


@pytest.fixture(scope="session")
def displaced():
    """A displaced 64-atom cell without energy, and the pristine crystal."""
    cell = bulk("Si", a=5.431, cubic=True).repeat(2)
    cell.positions[0] += (0.01, 0, 0)
    cell = labelled(cell, evaluate([cell], SW)[0], "dia", "displaced", 0)
    del cell.info[ENERGY], cell.info[STRESS]
    return cell
