"""Splits, outliers, pseudo-observations and the energy zero."""

from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from phonsmith.datasets.sets import (
    constraint_frames,
    isolated_energies,
    make_dataset,
    outliers,
    split,
    summary,
)
from phonsmith.datasets.settings import ConstraintCells, Datasets
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames, write_frames


def frame(structure="a", kind="rattled", index=0, generation=0, *, energy=None, force=0.0):
    name = f"{structure}/{kind}/{generation}/{index}"
    random = np.random.default_rng(abs(hash_of(name)))
    atoms = bulk("Si", cubic=True)
    atoms.positions += random.normal(scale=0.05, size=(8, 3))
    forces = np.zeros((8, 3))
    forces[3, 1] = force
    atoms.set_array(FORCES, forces)
    atoms.info.update(structure=structure, kind=kind, generation=generation, index=index)
    if energy is not None:
        atoms.info[ENERGY] = energy
    return atoms


def hash_of(text):
    return int.from_bytes(text.encode(), "big") % 2**63


def cells(structure, number, kind="rattled", generation=0, start=0):
    return [frame(structure, kind, i, generation) for i in range(start, start + number)]


def names(frames):
    return [
        tuple(a.info[key] for key in ("structure", "kind", "generation", "index")) for a in frames
    ]


# --- split -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    numbers=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 23), min_size=1),
    fraction=st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.9]),
    smallest=st.integers(2, 8),
    seed=st.integers(0, 5),
)
def test_split_is_disjoint_complete_and_stratified(numbers, fraction, smallest, seed):
    frames = [a for name, number in numbers.items() for a in cells(name, number)]
    options = Datasets(test_fraction=fraction, min_group_to_split=smallest)
    train, test = split(frames, options, seed)
    assert not set(names(train)) & set(names(test))
    assert sorted(names(train) + names(test)) == sorted(names(frames))
    for name, number in numbers.items():
        held = sum(a.info["structure"] == name for a in test)
        if number < smallest or fraction == 0:
            assert held == 0
        else:
            assert held == max(1, int(fraction * number + 1e-9))


def test_split_is_the_same_again_and_in_any_order_and_another_with_another_seed():
    frames = cells("a", 30) + cells("b", 30)
    options = Datasets(test_fraction=0.3)
    once = set(names(split(frames, options, 1)[1]))
    assert once == set(names(split(frames, options, 1)[1]))
    assert once == set(names(split(frames[::-1], options, 1)[1]))
    assert once != set(names(split(frames, options, 2)[1]))


def test_other_structures_do_not_change_the_split_of_one():
    options = Datasets(test_fraction=0.3)
    alone = names(split(cells("a", 20), options, 0)[1])
    both = names(split(cells("0", 7) + cells("a", 20) + cells("z", 40), options, 0)[1])
    assert alone == [name for name in both if name[0] == "a"]


def test_later_generations_leave_cells_where_they_are():
    options = Datasets(test_fraction=0.25, min_group_to_split=5)
    first = cells("a", 3)
    second = first + cells("a", 9, generation=1)
    third = second + cells("a", 12, generation=2)
    sets = [split(frames, options, 0) for frames in (first, second, third)]
    assert [len(test) for _, test in sets] == [0, 3, 6]
    for (train, test), (later_train, later_test) in pairwise(sets):
        assert set(names(train)) <= set(names(later_train))
        assert set(names(test)) <= set(names(later_test))


def test_displaced_isolated_and_constraint_cells_train():
    frames = [
        a
        for kind in ("displaced", "isolated_atom", "constraint", "rattled")
        for a in cells("a", 10, kind)
    ]
    _, test = split(frames, Datasets(test_fraction=0.5), 0)
    assert {a.info["kind"] for a in test} == {"rattled"}
    _, test = split(frames, Datasets(test_fraction=0.5, split_displaced=True), 0)
    assert {a.info["kind"] for a in test} == {"rattled", "displaced"}


def test_diamond_with_one_displaced_cell_and_bc8_with_two_are_never_split():
    frames = cells("mp-149", 1, "displaced") + cells("mp-168", 2, "displaced")
    _, test = split(frames, Datasets(test_fraction=0.5, split_displaced=True), 0)
    assert test == []


def test_copies_of_one_geometry_do_not_leak_into_the_test_set():
    frames = cells("a", 10)
    copies = [atoms.copy() for atoms in frames[:4]]
    for i, copy in enumerate(copies):
        copy.info["index"] = 100 + i
    train, test = split(frames + copies, Datasets(test_fraction=0.5), 0)
    assert len(test) == 4  # of seven that are drawn, three have copies that train
    for one in test:
        assert not any(np.allclose(one.positions, other.positions) for other in train)


# --- outliers ----------------------------------------------------------------------------------


def test_outliers_are_named_with_their_reason():
    frames = [frame(index=i, energy=8 * -4.0) for i in range(5)]
    frames += [frame(index=5, energy=8 * 2.0), frame(index=6, energy=8 * -4.0, force=-41.0)]
    kept, left_out = outliers(frames, Datasets())
    assert [a.info["index"] for a in kept] == [0, 1, 2, 3, 4]
    assert [(one["index"], one["structure"], one["kind"]) for one in left_out] == [
        (5, "a", "rattled"),
        (6, "a", "rattled"),
    ]
    assert "6 eV/atom above the median" in left_out[0]["reason"]
    assert "41" in left_out[1]["reason"]


def test_not_a_number_is_an_outlier():
    kept, left_out = outliers([frame(force=np.nan), frame(energy=np.nan)], Datasets())
    assert kept == []
    assert len(left_out) == 2


def test_isolated_atoms_are_no_outliers_though_their_energy_is_high():
    atom = Atoms("Si", cell=[20] * 3)
    atom.info.update(structure="a", kind="isolated_atom", **{ENERGY: 0.0})
    frames = [frame(index=i, energy=8 * -9.0) for i in range(3)]
    kept, left_out = outliers([*frames, atom], Datasets())
    assert len(kept) == 4
    assert left_out == []


def isolated(energy, structure="a"):
    atom = Atoms("Si", cell=[20] * 3)
    atom.set_array(FORCES, np.zeros((1, 3)))
    atom.info.update(structure=structure, kind="isolated_atom", **{ENERGY: energy})
    return atom


def test_recorded_isolated_atoms_train_once_whatever_the_role_of_their_structure():
    frames = [frame(index=i, energy=8 * -5.0) for i in range(4)]
    atoms = [isolated(-0.3), isolated(-0.3, "b")]
    for labels, held_out in (([*frames, *atoms], []), (frames, atoms), (atoms[:1], atoms[1:])):
        made = make_dataset(Datasets(), 0, labels=labels, test_labels=held_out, kinds=["rattled"])
        kinds = [atoms.info["kind"] for atoms in made.train]
        assert kinds.count("isolated_atom") == 1
        assert all(atoms.info["kind"] == "rattled" for atoms in made.test)
        assert made.baseline.e0s == {"Si": -0.3}
        assert made.baseline.origin == "isolated_atoms"
    with pytest.raises(
        PhonsmithError, match=r"Si have different energies, -0.3 eV \(a\) and 0 eV \(b\)"
    ):
        make_dataset(Datasets(), 0, labels=[*frames, isolated(-0.3), isolated(0.0, "b")])


def test_isolated_atoms_of_databases_agree_with_all_others():
    frames = [frame(index=i, energy=8 * -5.0) for i in range(4)]
    made = make_dataset(
        Datasets(),
        0,
        labels=frames,
        database_train=[isolated(-0.3, "db"), isolated(-0.3, "other")],
        isolated_atoms=[isolated(-0.3, "Si")],
    )
    kinds = [atoms.info["kind"] for atoms in made.train]
    assert kinds.count("isolated_atom") == 1
    for database, computed in (
        ([isolated(-0.3, "db"), isolated(-0.9, "db")], []),
        ([isolated(-0.9, "db")], [isolated(-0.3, "Si")]),
    ):
        given = {"labels": frames, "database_train": database, "isolated_atoms": computed}
        with pytest.raises(PhonsmithError, match="isolated atoms of Si have different energies"):
            make_dataset(Datasets(), 0, **given)
        made = make_dataset(Datasets(allow_mixed_levels_of_theory=True), 0, **given)
        assert made.baseline.e0s == {"Si": -0.3}


def test_compounds_of_one_database_have_medians_of_their_own():
    frames = []
    for symbols, energy in (("Na4", -1.0), ("Cl4", -20.0)):
        for i in range(4):
            atoms = Atoms(symbols, positions=np.random.default_rng(i).random((4, 3)) * 5)
            atoms.info.update(
                structure="database", kind="recorded", index=i, **{ENERGY: 4 * energy}
            )
            frames.append(atoms)
    assert outliers(frames, Datasets())[1] == []


# --- pseudo-observations -------------------------------------------------------------------------


def test_constraint_frames_are_pristine_and_hold_zeros(tmp_path):
    crystals = {"b": bulk("Si"), "a": bulk("Ge")}
    frames = constraint_frames(crystals, ConstraintCells(force_sigma_ev_per_angstrom=2e-4))
    assert [a.info["structure"] for a in frames] == ["a", "b"]
    write_frames(tmp_path / "frames.extxyz", frames)
    for atoms, name in zip(read_frames(tmp_path / "frames.extxyz"), ("a", "b"), strict=True):
        assert np.allclose(atoms.positions, crystals[name].positions)
        assert np.allclose(atoms.cell, crystals[name].cell, atol=1e-6)
        assert not atoms.arrays[FORCES].any()
        assert atoms.info[STRESS].shape == (3, 3)
        assert not atoms.info[STRESS].any()
        assert ENERGY not in atoms.info
        assert atoms.info["kind"] == "constraint"
        assert atoms.info["force_sigma_ev_per_angstrom"] == 2e-4


def test_constraint_on_an_unknown_crystal_is_refused():
    with pytest.raises(PhonsmithError, match="unknown crystal 'c'; available are a"):
        constraint_frames({"a": bulk("Si")}, ConstraintCells(structures=["c"]))


# --- energy zero ---------------------------------------------------------------------------------


def binary(numbers, energies):
    frame = Atoms("Na" * numbers[0] + "Cl" * numbers[1])
    frame.info.update(kind="rattled", structure="x")
    frame.info[ENERGY] = float(np.dot(numbers, energies))
    return frame


def test_least_squares_finds_the_energies_that_made_the_labels():
    frames = [binary(numbers, (-1.5, -4.25)) for numbers in ((1, 1), (3, 1), (2, 5), (8, 8))]
    baseline = isolated_energies(frames)
    assert baseline.origin == "least_squares"
    assert baseline.e0s == pytest.approx({"Na": -1.5, "Cl": -4.25})


def test_one_composition_gives_the_mean_energy_whatever_the_parting():
    baseline = isolated_energies([binary((4, 4), (-1.0, -3.0))])
    assert baseline.e0s["Na"] + baseline.e0s["Cl"] == pytest.approx(-4.0)


def test_isolated_atoms_win_where_all_elements_have_one():
    atoms = []
    for symbol, energy in (("Na", -0.5), ("Cl", -0.75)):
        atom = Atoms(symbol, cell=[20] * 3)
        atom.info.update(kind="isolated_atom", **{ENERGY: energy})
        atoms.append(atom)
    bound = [binary((1, 1), (-2.0, -2.0)), binary((2, 1), (-2.0, -2.0))]
    both = isolated_energies(bound + atoms)
    assert (both.origin, both.e0s) == ("isolated_atoms", {"Cl": -0.75, "Na": -0.5})
    one = isolated_energies(bound + atoms[:1])
    assert one.origin == "least_squares"
    assert one.e0s == pytest.approx({"Na": -2.0, "Cl": -2.0})


def test_without_energies_the_zero_is_zero():
    baseline = isolated_energies(cells("a", 2))
    assert (baseline.origin, baseline.e0s) == ("forces_only", {"Si": 0.0})


# --- overview ------------------------------------------------------------------------------------


def test_summary_counts_cells_atoms_and_labels():
    train = [*cells("b", 2), frame("a", energy=1.0), *cells("a", 1, "displaced")]
    table = summary(train, cells("a", 1, start=5))
    assert table.to_dict("list") == {
        "set": ["train", "train", "train", "test"],
        "structure": ["a", "a", "b", "a"],
        "kind": ["displaced", "rattled", "rattled", "rattled"],
        "cells": [1, 1, 2, 1],
        "atoms": [8, 8, 16, 8],
        "energies": [0, 1, 0, 0],
        "forces": [1, 1, 2, 1],
        "stresses": [0, 0, 0, 0],
    }
