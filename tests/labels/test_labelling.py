"""Labels: what becomes one, what must not, and that none is lost."""

import multiprocessing
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.checks import check_label, gather, labelled
from phonsmith.labels.factory import reference_method
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.versions import VERSIONS
from phonsmith.structures.settings import Relaxation
from tests.cells import rattled_cells

SETTINGS = Labels()


def calculator(name: str, **settings: object) -> CalculatorReference:
    return CalculatorReference(
        method="calculator", potential=PotentialSource(calculator=name), **settings
    )


SW = calculator("stillinger-weber")
EMT = calculator("ase.calculators.emt:EMT")


def same(one: Atoms, other: Atoms) -> bool:
    return (
        one == other
        and one.info[ENERGY] == other.info[ENERGY]
        and np.array_equal(one.arrays[FORCES], other.arrays[FORCES])
        and np.array_equal(one.info[STRESS], other.info[STRESS])
    )


# --- labels of a calculator -----------------------------------------------------------------------


def test_a_label_is_the_calculators_word_on_the_cell() -> None:
    (cell,) = rattled_cells(1)
    label = reference_method(SW).label(cell)
    (expected,) = evaluate([cell], SW.potential)
    assert label.info[ENERGY] == expected.energy
    assert np.array_equal(label.arrays[FORCES], expected.forces)
    assert np.array_equal(label.info[STRESS], expected.stress)
    assert label.info["method"] == "stillinger-weber"
    assert label.info["structure"] == "mp-1"
    assert ENERGY not in cell.info
    check_label(label, cell, SETTINGS)


def test_methods_come_from_plain_settings_too() -> None:
    plain, typed = reference_method(SW.model_dump()), reference_method(SW)
    assert plain.fingerprint(["Si"]) == typed.fingerprint(["Si"])


def test_the_isolated_atom_of_a_pair_potential_has_no_energy() -> None:
    atom = reference_method(SW).isolated_atom("Si")
    assert atom is not None
    assert atom.info[ENERGY] == 0
    assert atom.info["kind"] == "isolated_atom"
    assert atom.info["config_type"] == "IsolatedAtom"
    assert np.allclose(atom.cell.lengths(), 20)
    off = calculator("stillinger-weber", isolated_atoms=False)
    assert reference_method(off).isolated_atom("Si") is None
    assert reference_method(calculator("chgnet")).isolated_atom("Si") is None


def test_a_method_relaxes() -> None:
    result = reference_method(SW).relax(bulk("Si", a=5.5), Relaxation())
    assert result.converged
    assert result.atoms.cell.lengths()[0] * np.sqrt(2) == pytest.approx(5.431, abs=2e-3)


def test_the_fingerprint_knows_arguments_and_not_where_a_model_stands(tmp_path: Path) -> None:
    prints = {reference_method(SW).fingerprint("Si"), reference_method(EMT).fingerprint("Si")}
    for lambda1 in (21.0, 31.5):
        source = PotentialSource(calculator="stillinger-weber", arguments={"lambda1": lambda1})
        reference = CalculatorReference(method="calculator", potential=source)
        prints.add(reference_method(reference).fingerprint("Si"))
    assert len(prints) == 4
    gaps = []
    for folder, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "gap.xml").write_text(text)
        source = PotentialSource(calculator="gap", model=str(tmp_path / folder / "gap.xml"))
        reference = CalculatorReference(method="calculator", potential=source)
        gaps.append(reference_method(reference).fingerprint("Si"))
    assert gaps[0] == gaps[1] != gaps[2]


def test_the_fingerprint_of_a_ready_calculator_is_that_of_earlier_versions() -> None:
    """Labels that exist stay readable: another text is another key for each label."""
    expected = (
        '{"arguments":{},"calculator":"stillinger-weber","method":"calculator","model":null,'
        f'"package":"matscipy {metadata.version("matscipy")}","version":{VERSIONS["labels"]}}}'
    )
    assert reference_method(SW).fingerprint("Si") == expected


def test_the_fingerprint_knows_files_that_arguments_name(tmp_path: Path) -> None:
    table = tmp_path / "table"
    source = PotentialSource(calculator="a.b:C", arguments={"deep": [{"x": str(table)}]})
    reference = CalculatorReference(method="calculator", potential=source)
    prints = {reference_method(reference).fingerprint("Si")}
    for text in ("x", "y", "x"):
        table.write_text(text)
        prints.add(reference_method(reference).fingerprint("Si"))
    assert len(prints) == 3


# --- the check ------------------------------------------------------------------------------------


def broken(change: str) -> Atoms:
    (cell,) = rattled_cells(1)
    label = reference_method(SW).label(cell)
    match change:
        case "order":
            label.numbers[0] = 32
        case "count":
            del label[0]
        case "moved":
            label.positions[2, 0] += 0.01
        case "lattice":
            label.set_cell(label.cell[:] * 1.001)
        case "energy":
            label.info[ENERGY] = float("nan")
        case "forces":
            label.arrays[FORCES][0, 0] = np.inf
        case "stress":
            label.info[STRESS] = np.zeros(6)
        case "net":
            label.arrays[FORCES] += 0.01
        case "none":
            del label.arrays[FORCES]
    return label


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("order", "elements or order of its atoms differ"),
        ("count", "has 7 atoms, but the cell has 8"),
        ("moved", "moved by up to 0.01"),
        ("lattice", "lattice"),
        ("energy", "energy is not finite"),
        ("forces", "forces is not finite"),
        ("stress", "stress has shape"),
        ("net", "forces sum to 0.08"),
        ("none", "no forces"),
    ],
)
def test_what_is_no_label(change: str, message: str) -> None:
    with pytest.raises(LabelFailed, match=message):
        check_label(broken(change), rattled_cells(1)[0], SETTINGS)


def test_wrapped_atoms_are_where_they_were() -> None:
    (cell,) = rattled_cells(1)
    label = reference_method(SW).label(cell)
    label.positions += label.cell[0] - label.cell[2]
    check_label(label, cell, SETTINGS)


# --- the store ------------------------------------------------------------------------------------


def test_a_label_put_by_one_is_got_by_another(tmp_path: Path) -> None:
    (cell,) = rattled_cells(1)
    method = reference_method(SW)
    label = method.label(cell)
    key = LabelStore.key(cell, method.fingerprint("Si"))
    LabelStore(tmp_path / "store").put(key, label)
    got = LabelStore(tmp_path / "store").get(key)
    assert got is not None
    assert same(got, label)  # to the last bit
    assert got.info["method"] == "stillinger-weber"


def test_labels_without_energy_and_stress_stay_without(tmp_path: Path) -> None:
    label = labelled(bulk("Si"), "PW91", None, np.zeros((2, 3)))
    store = LabelStore(tmp_path)
    store.put("ab", label)
    got = store.get("ab")
    assert got is not None
    assert ENERGY not in got.info
    assert STRESS not in got.info


def test_the_key_depends_on_cell_and_method_and_not_on_names() -> None:
    first, second = rattled_cells(2)
    renamed = first.copy()
    renamed.info["structure"] = "another"
    negative = first.copy()
    negative.positions[np.abs(negative.positions) < 1e-12] = -0.0
    assert LabelStore.key(first, "a") == LabelStore.key(renamed, "a")
    keys = {LabelStore.key(cell, name) for cell in (first, second) for name in "ab"}
    assert len(keys) == 4
    pristine = bulk("Si", cubic=True)
    signed = pristine.copy()
    signed.positions[signed.positions == 0] = -0.0
    assert LabelStore.key(pristine, "a") == LabelStore.key(signed, "a")


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text"])
def test_a_broken_file_is_a_miss(tmp_path: Path, damage: str) -> None:
    (cell,) = rattled_cells(1)
    store = LabelStore(tmp_path)
    store.put("abc", reference_method(SW).label(cell))
    (file,) = tmp_path.rglob("*.npz")
    content = bytearray(file.read_bytes())
    if damage == "empty":
        content = bytearray()
    elif damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[content.index(b"forces.npy") + 200] ^= 0xFF
    else:
        content = bytearray(b"no archive at all")
    file.write_bytes(content)
    assert store.get("abc") is None
    store.put("abc", reference_method(SW).label(cell))
    assert store.get("abc") is not None


def _put_often(folder: Path, energy: float) -> None:
    store = LabelStore(folder)
    label = labelled(bulk("Si") * (4, 4, 4), "m", energy, np.full((128, 3), energy))
    for _ in range(100):
        store.put("ab", label)


def test_a_reader_sees_whole_labels_while_others_write_and_are_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_put_often, args=(tmp_path, float(i))) for i in (1, 2)]
    for writer in writers:
        writer.start()
    store = LabelStore(tmp_path)
    seen = 0
    while any(writer.is_alive() for writer in writers):
        label = store.get("ab")
        if label is not None:
            seen += 1
            assert np.all(label.arrays[FORCES] == label.info[ENERGY])
        if seen == 20:
            writers[0].kill()
    for writer in writers:
        writer.join()
    assert store.get("ab") is not None


# --- many cells -----------------------------------------------------------------------------------


def test_parallel_equals_serial(tmp_path: Path) -> None:
    serial, none = label_cells(rattled_cells(4), reference_method(SW), SETTINGS)
    store = LabelStore(tmp_path)
    parallel, _ = label_cells(rattled_cells(4), reference_method(SW), SETTINGS, store, cores=2)
    again, _ = label_cells(rattled_cells(4), reference_method(SW), SETTINGS, store)
    assert none == []
    assert [label.info["index"] for label in parallel] == [0, 1, 2, 3]
    assert all(map(same, serial, parallel))
    assert all(map(same, serial, again))


@pytest.mark.parametrize("processes", [1, 2])
def test_one_failing_cell_is_recorded_and_stops_nobody(tmp_path: Path, processes: int) -> None:
    mixed = rattled_cells(3, "Cu")
    mixed[1].numbers[0] = 14  # EMT knows no silicon
    store = LabelStore(tmp_path)
    labels, failures = label_cells(mixed, reference_method(EMT), SETTINGS, store, processes)
    assert [label.info["index"] for label in labels] == [0, 2]
    (failure,) = failures
    record = failure.as_dict()
    assert "EMT" in record.pop("reason")
    assert "NotImplementedError" in record.pop("output")
    assert record == {"structure": "mp-1", "kind": "rattled", "generation": 0, "index": 1}
    assert len(list(tmp_path.rglob("*.npz"))) == 2


class Interrupted:
    """A method that is interrupted at its third cell."""

    name = "interrupted"
    cores = 1
    done = 0

    def __init__(self) -> None:
        self.inner = reference_method(SW)

    def fingerprint(self, elements: Iterable[str]) -> str:
        return self.inner.fingerprint(elements)

    def elements(self) -> None:
        return None

    def label(self, cell: Atoms) -> Atoms:
        self.done += 1
        if self.done == 3:
            raise KeyboardInterrupt
        return self.inner.label(cell)


def test_an_interruption_loses_no_finished_label(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)
    method = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        label_cells(rattled_cells(4), method, SETTINGS, store)  # type: ignore[arg-type]
    assert len(list(tmp_path.rglob("*.npz"))) == 2
    labels, _ = label_cells(rattled_cells(4), method, SETTINGS, store)  # type: ignore[arg-type]
    assert len(labels) == 4
    assert method.done == 3 + 2  # the two finished ones were not computed again


def test_labels_from_the_store_carry_the_name_they_are_asked_for(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)
    label_cells(rattled_cells(1), reference_method(SW), SETTINGS, store)
    (asked,) = rattled_cells(1)
    asked.info.update(structure="mp-2", index=7, generation=3)
    (label,), _ = label_cells([asked], reference_method(SW), SETTINGS, store)
    assert (label.info["structure"], label.info["index"], label.info["generation"]) == (
        "mp-2",
        7,
        3,
    )


def test_a_bad_label_is_not_kept(tmp_path: Path) -> None:
    class Drifting(Interrupted):
        def label(self, cell: Atoms) -> Atoms:
            label = self.inner.label(cell)
            label.arrays[FORCES] += 1.0
            return label

    labels, failures = label_cells(
        rattled_cells(2),
        Drifting(),  # type: ignore[arg-type]
        SETTINGS,
        LabelStore(tmp_path),
    )
    assert labels == []
    assert ["forces sum" in failure.reason for failure in failures] == [True, True]
    assert list(tmp_path.rglob("*.npz")) == []


def test_what_the_method_cannot_do_at_all_is_an_error() -> None:
    with pytest.raises(PhonsmithError, match="does not support Cu"):
        label_cells(rattled_cells(1, "Cu"), reference_method(SW), SETTINGS)
    absent = calculator("no.such:Thing")
    with pytest.raises(PhonsmithError, match="cannot be imported"):
        label_cells(rattled_cells(1), reference_method(absent), SETTINGS)


def test_gather_restores_the_order_and_finds_stray_energies() -> None:
    labels, _ = label_cells(rattled_cells(5), reference_method(SW), SETTINGS)
    labels[3].info[ENERGY] += 8 * 11.0
    earlier = [{"structure": "mp-1", "kind": "rattled", "generation": 0, "index": 9, "reason": "x"}]
    kept, failures = gather(labels[1::2] + labels[::2], earlier, SETTINGS)
    assert [label.info["index"] for label in kept] == [0, 1, 2, 4]
    assert [failure["index"] for failure in failures] == [9, 3]
    assert "differs by 11 eV/atom from the median" in failures[1]["reason"]
    assert gather([], earlier, SETTINGS) == ([], earlier)
