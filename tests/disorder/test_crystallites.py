"""Atoms in crystallites, against perfect crystals and OVITO."""

import numpy as np
import pytest
from ase.build import bulk

from phonsmith.disorder.crystallites import crystallites
from tests.disorder.examples import (
    diamond,
    half_crystalline,
    ideal_gas,
    lonsdaleite,
    rotated,
    strained_lonsdaleite,
)


@pytest.mark.parametrize(
    "frame",
    [bulk("Si", "diamond", 5.43), diamond(2), bulk("GaAs", "zincblende", 5.65)],
    ids=["primitive", "cubic", "zinc blende"],
)
def test_all_atoms_of_diamond_are_cubic(frame):
    found = crystallites(frame)
    assert found.cubic.all()
    assert not found.hexagonal.any()
    assert found.crystalline.all()


def test_all_atoms_of_lonsdaleite_are_hexagonal():
    for frame in (lonsdaleite((1, 1, 1)), lonsdaleite()):
        found = crystallites(frame)
        assert found.hexagonal.all()
        assert not found.cubic.any()


@pytest.mark.parametrize(
    "frame",
    [
        bulk("Cu", "fcc", 3.61),
        bulk("Fe", "bcc", 2.87, cubic=True),
        bulk("Po", "sc", 3.34),
        ideal_gas(300),
    ],
    ids=["fcc", "bcc", "sc", "gas"],
)
def test_other_structures_have_no_crystallites_of_diamond(frame):
    assert not crystallites(frame).crystalline.any()


def test_kinds_are_those_of_ovito():
    """OVITO 3.17.2, IdentifyDiamondModifier: equal for each atom, here the counts."""
    found = crystallites(half_crystalline())
    counts = [found.cubic, found.hexagonal, found.first, found.second]
    assert [int(kind.sum()) for kind in counts] == [129, 0, 74, 80]
    found = crystallites(strained_lonsdaleite())
    counts = [found.cubic, found.hexagonal, found.first, found.second]
    assert [int(kind.sum()) for kind in counts] == [0, 300, 0, 0]


def test_crystallites_do_not_depend_on_orientation_or_order():
    frame = half_crystalline()
    assert crystallites(rotated(frame)).crystalline.sum() == crystallites(frame).crystalline.sum()


def test_a_vacancy_removes_its_surroundings():
    """Without one atom, its 4 neighbours and the 12 beyond them lose second neighbours."""
    frame = diamond(3)
    del frame[0]
    found = crystallites(frame)
    assert int((~found.cubic).sum()) == 4 + 12
    assert found.crystalline.all()
    assert np.flatnonzero(found.first | found.second).size == 16
