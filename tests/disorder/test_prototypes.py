"""Prototypes have the space groups and neighbours of the phases of silicon."""

import numpy as np
import pytest
from ase import Atoms

from phonsmith.disorder.neighbours import bonds_within
from phonsmith.disorder.prototypes import PROTOTYPES, prototype
from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.symmetry import space_group

NEIGHBOURS = {
    "diamond": (2.6, 4),
    "lonsdaleite": (2.6, 4),
    "beta-tin": (2.8, 6),
    "imma": (2.7, 6),
    "simple-hexagonal": (2.8, 8),
    "hcp": (2.8, 12),
    "bc8": (2.8, 4),
    "r8": (2.8, 4),
    "bct5": (2.8, 5),
}


def coordination(atoms: Atoms, cutoff: float) -> list[int]:
    return sorted(set(bonds_within(atoms, cutoff).coordination.tolist()))


@pytest.mark.parametrize("name", PROTOTYPES)
def test_prototypes_have_their_space_groups_and_neighbours(name):
    atoms = prototype(name)
    assert space_group(atoms, 1e-3)[0] == PROTOTYPES[name].space_group
    assert atoms.get_volume() / len(atoms) == pytest.approx(PROTOTYPES[name].volume)
    if name in NEIGHBOURS:
        cutoff, number = NEIGHBOURS[name]
        assert coordination(atoms, cutoff) == [number]


def test_cmca_has_ten_and_eleven_neighbours():
    """Hanfland et al. 1999, as for Cs V."""
    assert coordination(prototype("cmca"), 2.8) == [10, 11]


def test_bonds_of_bc8_are_one_short_and_three_long():
    """2.30 and 2.39 Å (Kasper and Richards 1964)."""
    bonds = bonds_within(prototype("bc8", volume=6.636**3 / 16), 2.8)
    lengths = np.sort(bonds.lengths[bonds.centre == 0])
    assert lengths == pytest.approx([2.306, 2.392, 2.392, 2.392], abs=0.003)


def test_element_and_volume_are_set():
    atoms = prototype("beta-tin", "Sn", 27.0)
    assert set(atoms.symbols) == {"Sn"}
    assert atoms.get_volume() / len(atoms) == pytest.approx(27.0)
    with pytest.raises(PhonsmithError, match="'sc' is unknown; known: bc8"):
        prototype("sc")
