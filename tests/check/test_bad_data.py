"""Bad recorded data are refused in one line, and leave nothing behind."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, write_frames
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, sha256_of
from phonsmith.labels.checks import labelled
from phonsmith.labels.recorded.reading import load_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from tests.check.bad_files import content_of, told
from tests.project import Project


def frames(count: int = 6) -> list[Any]:
    """Cells of silicon, every atom moved a little, with labels of Stillinger-Weber."""
    random = np.random.default_rng(3)
    cells = [bulk("Si", cubic=True) for _ in range(count)]
    for cell in cells:
        cell.positions += random.normal(0, 0.02, cell.positions.shape)
    results = evaluate(cells, PotentialSource(calculator="stillinger-weber"))
    pairs = zip(cells, results, strict=True)
    return [labelled(cell, "SW", one.energy, one.forces, one.stress) for cell, one in pairs]


def times(key: str, factor: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        labels = frames()
        for atoms in labels:
            place = atoms.arrays if key == FORCES else atoms.info
            place[key] = place[key] * factor
        write_frames(path, labels)

    return write


def text(content: str) -> Callable[[Path], None]:
    return lambda path: (path.write_text(content), None)[1]


def edited(old: str, new: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_frames(path, frames(2))
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new))

    return write


def without_forces(path: Path) -> None:
    labels = frames(2)
    for atoms in labels:
        del atoms.arrays[FORCES]
    write_frames(path, labels)


def not_finite(path: Path) -> None:
    labels = frames(2)
    for atoms in labels:
        atoms.arrays[FORCES][0, 0] = np.nan
    write_frames(path, labels)


def net_force(path: Path) -> None:
    labels = frames(2)
    for atoms in labels:
        atoms.arrays[FORCES] += 0.1
    write_frames(path, labels)


VASPRUN = '<?xml version="1.0"?>\n<modeling>\n <generator><i name="program">vasp</i></generator>\n'

RECORDED: list[tuple[str, str, Callable[[Path], None], list[str]]] = [
    ("extxyz", "a.xyz", times(ENERGY, 1 / 27.2114), ["energies change by 0.03", "27.2 eV"]),
    ("extxyz", "a.xyz", times(ENERGY, 27.2114), ["energies change by 27", "convert"]),
    ("extxyz", "a.xyz", times(FORCES, 27.2114), ["energies change by 0.03", "convert"]),
    ("extxyz", "a.xyz", without_forces, ["has no REF_forces", "REF_energy"]),
    ("extxyz", "a.xyz", not_finite, ["not finite"]),
    ("extxyz", "a.xyz", net_force, ["forces sum to"]),
    ("extxyz", "a.xyz", edited("REF_forces:R:3", "REF_forces:R:2"), ["a.xyz"]),
    ("extxyz", "a.xyz", edited("REF_stress=", "REF_stress=1 "), ["a.xyz"]),
    ("extxyz", "a.xyz", edited("REF_energy=", "REF_energy=abc"), ["a.xyz"]),
    ("extxyz", "a.xyz", text("not a number\n"), ["frame 0 begins with 'not a number'"]),
    ("extxyz", "a.xyz", text(""), ["contains no labelled cell"]),
    ("extxyz", "a.xyz", lambda path: (path.write_bytes(bytes(range(256))), None)[1], ["a.xyz"]),
    ("vasprun", "vasprun.xml", text(VASPRUN), ["not a complete vasprun.xml"]),
    ("vasprun", "vasprun.xml", text(VASPRUN + "</modeling>\n"), ["vasprun.xml"]),
    ("vasprun", "vasprun.xml", text("{}"), ["not a complete vasprun.xml"]),
    ("vasprun", "vasprun.xml.gz", text("not packed"), ["vasprun.xml.gz"]),
    ("outcar", "OUTCAR", text("vasp.6.4.2\n"), ["OUTCAR"]),
    ("phonopy", "a.yaml", text("a: [1\n"), ["a.yaml"]),
    ("phonopy", "a.yaml", text("phonopy: {}\n"), ["a.yaml"]),
    ("phonopy", "a.yaml", text(""), ["a.yaml"]),
    ("phono3py", "a.yaml", text("phono3py: {}\n"), ["a.yaml"]),
]


@pytest.mark.parametrize(("format", "name", "write", "words"), RECORDED)
def test_bad_recorded_data_are_refused(
    here: Path, format: Any, name: str, write: Callable[[Path], None], words: list[str]
) -> None:
    write(here / "set" / name)
    source = Source(name="set", files={name: sha256_of(here / "set" / name)})
    reference = RecordedReference(
        method="recorded", level_of_theory="x", source=source, format=format
    )
    before = content_of(here)
    with pytest.raises(PhonsmithError) as caught:
        load_recorded(reference, name, Places([here], here / "cache"))
    told(caught.value, name, *words)
    assert content_of(here) == before


def test_good_recorded_data_are_read(here: Path) -> None:
    write_frames(here / "set/a.xyz", frames())
    source = Source(name="set", files={"a.xyz": sha256_of(here / "set/a.xyz")})
    reference = RecordedReference(
        method="recorded", level_of_theory="x", source=source, format="extxyz"
    )
    read = load_recorded(reference, "a.xyz", Places([here], here / "cache"))
    assert len(read.frames) == 6
    assert all(STRESS in atoms.info for atoms in read.frames)


@pytest.mark.parametrize("content", ["[", "{}", '[{"group": 1}]', "null", "[1]"])
def test_other_json_is_no_data_set(here: Path, content: str) -> None:
    from phonsmith.labels.recorded.reading import read_recorded

    (here / "t.json").write_text(content)
    with pytest.raises(PhonsmithError) as caught:
        read_recorded(here / "t.json", "mlearn", "x")
    told(caught.value, "t.json")


def test_broken_recorded_data_leave_nothing_behind(here: Path, repository: Path) -> None:
    (here / "set/vasprun.xml").write_text(VASPRUN)
    digest = hashlib.sha256(VASPRUN.encode()).hexdigest()
    recorded = {
        "structures": {"si": {"file": "si.vasp", "recorded": "vasprun.xml"}},
        "reference": {
            "method": "recorded",
            "level_of_theory": "VASP PBE",
            "format": "vasprun",
            "source": {"name": "set", "files": {"vasprun.xml": digest}},
        },
        "fits": {"gap": {"kind": "gap"}},
    }
    project = Project(here, repository, c=recorded)
    project.configure(campaigns=["c"], mirrors=["."])
    run = project.run("results/c/tables/labels.csv")
    assert run.returncode != 0
    said = {line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")}
    assert len(said) == 1, run.stderr
    told(Exception(said.pop()), "set/vasprun.xml", "not a complete vasprun.xml")
    assert "Traceback" not in run.stdout + run.stderr
    made = {path.name for path in project.results("c").iterdir()}
    assert {"structures", "relaxed", "logs"} <= made  # of the crystal file, which is good
    assert not {"labels", "datasets", "fits", "phonons", "tables"} & made
    supercells = project.results("c") / "supercells"
    assert not any(path.is_file() for path in supercells.rglob("*"))
