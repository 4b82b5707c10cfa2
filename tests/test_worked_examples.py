"""The code in docs/extending.md works, and the files that the recipes name exist."""

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones

from phonsmith import fits, labels
from phonsmith.datasets.sets import Baseline
from phonsmith.files.extxyz import FORCES
from phonsmith.fits.task import TrainingTask
from phonsmith.labels.checks import labelled
from phonsmith.labels.kind import Occasion
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.settings import Labels
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from tests.test_documented_commands import fences

MYCODE = """
lines = open("in.extxyz").read().splitlines()
lines[1] = lines[1].replace("pos:R:3", "pos:R:3:forces:R:3")
lines[1] += ' energy=-3.5 stress="0 0 0 0 0 0 0 0 0"'
open("out.extxyz", "w").write("\\n".join(lines[:2] + [f"{line} 0 0 0" for line in lines[2:]]))
"""
"""A code without forces and stress, in pure Python: it starts fast."""

BLOCK = re.compile(r'^```python title="(?P<path>[^"]+)"\n(?P<code>.*?)^```$', re.M | re.S)


def example(text: str, folder: Path) -> None:
    for block in BLOCK.finditer(text):
        path = folder / block["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block["code"])
        (path.parent / "__init__.py").write_text('"""An example."""\n')


@pytest.fixture
def examples(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The packages of the page, as if they were in phonsmith."""
    example((repository / "docs/extending.md").read_text(), tmp_path)
    for package in (fits, labels):
        folder = tmp_path / package.__name__.replace(".", "/")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    yield
    for name in [name for name in sys.modules if re.search(r"\.(lennard_jones|mycode)\b", name)]:
        del sys.modules[name]


def test_the_architecture_finds_the_depth_of_its_labels(examples: None, tmp_path: Path) -> None:
    kind = importlib.import_module("phonsmith.fits.lennard_jones.kind").KIND
    fit = kind.settings(kind="lennard-jones", sigma_angstrom=2.3)
    cell = bulk("Ar", "fcc", 3.6, cubic=True)
    cell.rattle(0.1, seed=1)
    truth = LennardJones(sigma=2.3, epsilon=0.25, rc=8.0, smooth=True)
    frames = [labelled(cell, "lj", truth.get_potential_energy(cell), truth.get_forces(cell))]
    baseline = Baseline({"Ar": 0.0}, "least_squares")
    record = kind.train(fit, TrainingTask(frames, baseline, folder=tmp_path, work=tmp_path))
    assert record.details["epsilon_ev"] == pytest.approx(0.25, rel=1e-10)
    source = PotentialSource(
        calculator=kind.calculator, arguments={"model": str(tmp_path / record.model)}, trust=True
    )
    found = make_calculator(source).get_forces(cell)
    np.testing.assert_allclose(found, frames[0].arrays[FORCES], atol=1e-12)


def test_the_code_labels_relaxes_and_fails(examples: None, tmp_path: Path) -> None:
    kind = importlib.import_module("phonsmith.labels.mycode.kind").KIND
    command = shlex.join([sys.executable, "-S", "-c", MYCODE])
    occasion = Occasion(allocation=Allocation(work=tmp_path))
    method = kind.make(kind.settings(method="mycode", command=command), occasion)
    copper = bulk("Cu", a=3.7)
    (label,), failures = label_cells([copper], method, Labels())
    assert not failures
    assert label.info["REF_energy"] == -3.5
    assert label.info["method"] == "mycode PBE"
    broken = kind.make(kind.settings(method="mycode", command="false"), occasion)
    _, (failure,) = label_cells([copper], broken, Labels())
    assert "mycode: exit status 1" in failure.reason
    assert method.fingerprint(["Cu"]) == broken.fingerprint(["Cu"])
    relaxed = method.relax(copper, Relaxation())
    assert (relaxed.converged, relaxed.steps, relaxed.energy_ev) == (True, 0, -3.5)


def test_files_and_names_of_the_recipes_exist(repository: Path) -> None:
    text = (repository / "docs/extending.md").read_text()
    made = {block["path"] for block in BLOCK.finditer(text)}
    text += (repository / "CONTRIBUTING.md").read_text()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    folders = ("phonsmith", "tests", "rules", "docs", "config", "benchmarks")
    named = re.findall(rf"`((?:{'|'.join(folders)})/[\w./-]+\.\w+)`", prose)
    # short forms of CONTRIBUTING: fits/NAME/kind.py, labels/protocol.py
    named += [f"phonsmith/{path}" for path in re.findall(r"`((?:fits|labels)/[\w./]+\.py)`", prose)]
    for path in named:
        if "NAME" not in path:
            assert (repository / path).exists() or path in made, path
    assert len(named) > 20
    classes = "".join(path.read_text() for path in (repository / "phonsmith").rglob("*.py"))
    for name in re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", prose):
        assert re.search(rf"^ *class {name}\b", classes, re.M), name
    assert len(fences(text)) >= 7
