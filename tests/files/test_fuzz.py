"""Whatever stands in a file, one clear error or the truth comes out; what is written comes back."""

import copy
import json
import string
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from phonsmith.benchmarks.comparison import Benchmarks
from phonsmith.benchmarks.mechanics import MechanicsResult
from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.conductivity.kappa import KappaResult
from phonsmith.datasets.sets import Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, count_frames, read_frames, write_frames
from phonsmith.files.json_records import StoredRecord
from phonsmith.fits.record import TrainingRecord
from phonsmith.generations.verdict import GenerationVerdict
from phonsmith.labels.checks import labelled
from phonsmith.labels.provenance import Provenance
from phonsmith.labels.store import LabelStore
from phonsmith.phonons.spectra import Spectrum
from phonsmith.potentials.calculators import Potential, load_potential, save_potential
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.verdicts import Verdict
from phonsmith.thermodynamics import results as thermodynamics
from phonsmith.transitions import results as transitions
from phonsmith.transitions.results import Enthalpies

REPOSITORY = Path(__file__).resolve().parents[2]

quick = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,12}\Z")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NUMBERS = st.floats(-1e6, 1e6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def written(content: bytes | str, name: str) -> Path:
    """A file of its own for every example: readers may remember what they have read."""
    path = Path(tempfile.mkdtemp()) / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture(autouse=True, scope="module")
def _scratch(tmp_path_factory: pytest.TempPathFactory) -> Any:
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("fuzz"))
    yield
    tempfile.tempdir = before


def one_line(read: Callable[[Path], Any], path: Path) -> Any:
    """What a reader gives, or None where it refuses the file in its words."""
    try:
        return read(path)
    except PhonsmithError as error:
        lines = str(error).splitlines()  # a line for each problem
        assert lines and all(str(path) in line for line in lines), repr(str(error))
        assert len(set(lines)) == len(lines), repr(str(error))
        return None


# --- labelled cells -----------------------------------------------------------------------------


@st.composite
def frames(draw: st.DrawFn) -> Atoms:
    count = draw(st.integers(1, 4))
    vectors = st.lists(NUMBERS, min_size=3 * count, max_size=3 * count)
    cell = np.diag(draw(st.lists(st.floats(1, 50), min_size=3, max_size=3)))
    numbers = draw(st.lists(st.integers(1, 94), min_size=count, max_size=count))
    atoms = Atoms(numbers, np.reshape(draw(vectors), (count, 3)), cell=cell, pbc=True)
    stress = draw(st.none() | st.lists(NUMBERS, min_size=9, max_size=9))
    label = labelled(
        atoms,
        draw(TEXTS),
        draw(st.none() | NUMBERS),
        np.reshape(draw(vectors), (count, 3)),
        None if stress is None else np.reshape(stress, (3, 3)),
    )
    label.info |= {
        "structure": draw(NAMES),
        "kind": draw(st.sampled_from(["displaced", "rattled", "recorded"])),
        "generation": draw(st.integers(0, 99)),
        "index": draw(st.integers(0, 10**6)),
        "seed": draw(st.integers(-1, 2**31)),
    }
    return label


@settings(quick, max_examples=60)
@given(st.lists(frames(), max_size=3))
def test_cells_come_back_as_they_were_written(cells: list[Atoms]) -> None:
    path = written("", "a.extxyz")
    write_frames(path, cells)
    assert count_frames(path) == len(cells)
    for cell, found in zip(cells, read_frames(path), strict=True):
        assert np.array_equal(cell.numbers, found.numbers)
        assert np.allclose(cell.positions, found.positions, rtol=1e-12, atol=1e-8)
        assert np.allclose(cell.arrays[FORCES], found.arrays[FORCES], rtol=1e-12, atol=1e-8)
        for key in (ENERGY, STRESS, "structure", "kind", "generation", "index", "seed", "method"):
            first, second = cell.info.get(key), found.info.get(key)
            if isinstance(first, str):
                assert first == second
                assert isinstance(second, str)
            elif first is None:
                assert second is None
            else:
                assert np.array_equal(first, second)


@quick
@given(st.text("0123456789TFtrue.eE-_+", min_size=1, max_size=8))
@example("T")
@example("1e5")
@example("2025_09_25")
@example("007")
@example(",")
@example("_JSON ")
def test_names_that_look_like_numbers_stay_names(name: str) -> None:
    path = written("", "a.extxyz")
    write_frames(path, [Atoms("Si", info={"structure": name})])
    assert read_frames(path)[0].info["structure"] == name


def a_file() -> bytes:
    path = written("", "a.extxyz")
    cell = labelled(
        Atoms("Si2", [[0, 0, 0], [1, 1, 1]], cell=[4] * 3, pbc=True), "SW", 1.5, [[0] * 3] * 2
    )
    cell.info |= {"structure": "mp-1", STRESS: np.eye(3), "index": 3}
    write_frames(path, [cell, cell])
    return path.read_bytes()


def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with pieces cut out, exchanged, doubled or written over."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 40)))
        other = draw(st.binary(max_size=10) | st.sampled_from([b"nan", b"-1", b"[", b'"', b"="]))
        content = content[:start] + other + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


@quick
@given(st.data())
def test_damaged_cells_are_refused_or_read(data: st.DataObject) -> None:
    path = written(damaged(data.draw, a_file()), "a.extxyz")
    for frame in one_line(read_frames, path) or []:
        if FORCES in frame.arrays:
            assert frame.arrays[FORCES].shape == (len(frame), 3)
        assert isinstance(frame.info.get(ENERGY, 0.0), float)
        assert np.shape(frame.info.get(STRESS, np.eye(3))) == (3, 3)


@quick
@given(st.data())
def test_a_damaged_label_of_the_store_is_a_miss_or_whole(data: st.DataObject) -> None:
    store = LabelStore(Path(tempfile.mkdtemp()))
    cell = labelled(Atoms("Si", cell=[4] * 3, pbc=True), "SW", 1.5, [[0.0] * 3], np.eye(3))
    Provenance("code", "1", "x", 1.0).write(cell)
    key = LabelStore.key(cell, "a")
    store.put(key, cell)
    (path,) = store.folder.rglob("*.npz")
    path.write_bytes(damaged(data.draw, path.read_bytes()))
    assert is_label(store.get(key), cell)


def is_label(found: Atoms | None, cell: Atoms) -> bool:
    """None, or all of the label."""
    return found is None or (
        found.info.keys() == cell.info.keys()
        and all(np.array_equal(found.info[key], cell.info[key]) for key in cell.info)
        and np.array_equal(found.arrays[FORCES], cell.arrays[FORCES])
        and np.array_equal(found.positions, cell.positions)
    )


def test_a_flipped_bit_costs_no_more_than_the_label() -> None:
    """In the lists of contents above all, which the checksums of zip archives leave out."""
    store = LabelStore(Path(tempfile.mkdtemp()))
    cell = labelled(Atoms("Si", cell=[4] * 3, pbc=True), "SW", 1.5, [[0.0] * 3], np.eye(3))
    key = LabelStore.key(cell, "a")
    store.put(key, cell)
    (path,) = store.folder.rglob("*.npz")
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 5):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert is_label(store.get(key), cell), bit


# --- records -----------------------------------------------------------------------------

STORED: list[type[StoredRecord]] = [
    Benchmarks,
    Enthalpies,
    GenerationVerdict,
    KappaResult,
    MechanicsResult,
    thermodynamics.Result,
    transitions.Result,
]
READERS: dict[str, Callable[[Path], Any]] = {
    "potential": load_potential,
    "verdict on a crystal": Verdict.load,
    "training": TrainingRecord.load_if_trained,
    "energy zero": Baseline.load,
    "spectrum": Spectrum.load,
    **{record.IN_WORDS: record.load for record in STORED},
}
VERDICT = {
    "space_group_before": 227,
    "space_group_after": 227,
    "symbol_before": "Fd-3m",
    "symbol_after": "Fd-3m",
    "same_structure": True,
    "symmetry_kept": True,
    "converged": True,
    "volume_change_percent": 0.1,
    "reason": "",
}
POTENTIAL = {
    "source": {"calculator": "gap", "model": "model/gap.xml", "sha256": "0" * 64},
    "has_energies": True,
    "level_of_theory": "x",
    "fit": "gap",
}


@pytest.mark.parametrize("name", READERS)
@settings(quick, max_examples=60)
@given(
    st.binary(max_size=60)
    | JSON.map(lambda content: json.dumps(content).encode())
    | st.sampled_from([b"[" * 10000, b"PK\x03\x04", b'{"a": 1e999}', b"null", b"\xff\xfe"])
)
def test_other_content_is_no_record(name: str, content: bytes) -> None:
    one_line(READERS[name], written(content, "record"))


def mutated(draw: st.DrawFn, content: Any) -> Any:
    """JSON with something else somewhere in it."""
    if not isinstance(content, dict | list) or not content or draw(st.integers(0, 3)) == 0:
        return draw(JSON)
    changed = copy.copy(content)
    if isinstance(changed, list):
        place = draw(st.integers(0, len(changed) - 1))
        changed[place] = mutated(draw, changed[place])
        return changed
    key = draw(st.sampled_from(sorted(changed)))
    action = draw(st.sampled_from(["change", "change", "change", "drop", "add"]))
    if action == "drop":
        del changed[key]
    elif action == "add":
        changed[draw(TEXTS)] = draw(JSON)
    else:
        changed[key] = mutated(draw, changed[key])
    return changed


@pytest.mark.parametrize("name", ["verdict on a crystal", "potential"])
@quick
@given(st.data())
def test_changed_records_are_refused_or_read(name: str, data: st.DataObject) -> None:
    content = VERDICT if name == "verdict on a crystal" else POTENTIAL
    one_line(READERS[name], written(json.dumps(mutated(data.draw, content)), "record.json"))


@quick
@given(
    NAMES,
    TEXTS,
    st.booleans(),
    st.none() | st.text(string.hexdigits[:16], min_size=64, max_size=64),
)
def test_potentials_come_back(fit: str, level: str, energies: bool, sha256: str | None) -> None:
    path = written("", "potential.json")
    model = path.parent / "model" / "gap.xml"
    source = PotentialSource(calculator="gap", model=str(model), sha256=sha256)
    potential = Potential(source=source, has_energies=energies, level_of_theory=level, fit=fit)
    save_potential(path, potential)
    assert load_potential(path) == potential


# --- campaigns -----------------------------------------------------------------------------

SHIPPED = [
    yaml.safe_load(path.read_text())
    for path in sorted((REPOSITORY / "config/campaigns").glob("*.yaml"))
]
for _one in SHIPPED:
    _one.pop("structures_from", None)
SHIPPED = [one for one in SHIPPED if one.get("structures")]


def read_campaign(path: Path) -> Campaign | None:
    campaign = one_line(load_campaign, path)
    if campaign is not None:
        again = Campaign.model_validate(campaign.model_dump(mode="json", by_alias=True))
        assert again == campaign
        assert again.fits.keys() == campaign.fits.keys()
    return campaign


@pytest.mark.parametrize("number", range(len(SHIPPED)))
def test_shipped_campaigns_come_back(number: int) -> None:
    assert read_campaign(written(yaml.safe_dump(SHIPPED[number]), "c.yaml")) is not None


@quick
@given(st.data())
def test_changed_campaigns_are_refused_or_read(data: st.DataObject) -> None:
    settings = mutated(data.draw, data.draw(st.sampled_from(SHIPPED)))
    read_campaign(written(yaml.safe_dump(settings), "c.yaml"))


@quick
@given(st.data())
def test_damaged_campaign_files_are_refused_or_read(data: st.DataObject) -> None:
    content = yaml.safe_dump(data.draw(st.sampled_from(SHIPPED))).encode()
    read_campaign(written(damaged(data.draw, content), "c.yaml"))


@quick
@given(st.binary(max_size=80) | st.text("{}[]:-?&*!|>'\"%@ \n#,ab1<", max_size=40).map(str.encode))
@example(b"2001-99-99: 1")
@example(b"? [a]\n: 1")
@example(b"? {a: 1}\n: 1")
@example(b"<<: 5")
@example(b"a: &a [*a]")
@example(b"a: &a {b: *a}")
@example(b"seed: 1" + b"0" * 5000)
@example(b"[" * 3000)
@example(b"a: " + b"{a: " * 3000)
@example(b"\x00")
@example(b"structures: {1: {file: a}, 2.5: {file: b}, null: {file: c}}")
@example(b"structures_from: [{a: 1}, 3]")
def test_no_text_gets_through_as_another_error(content: bytes) -> None:
    read_campaign(written(content, "c.yaml"))
