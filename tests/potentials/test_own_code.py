"""A label depends on the source of a calculator of the user's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.factory import reference_method
from phonsmith.potentials.own_code import code_of
from phonsmith.potentials.settings import PotentialSource
from tests.project import Project

FILES = {
    "own/__init__.py": "",
    "own/calculator.py": (
        "import numpy\nfrom ase.calculators.emt import EMT\nfrom . import numbers_of\n"
        "from .deep.er import f\n\nclass Own(EMT):\n    pass\n"
    ),
    "own/numbers_of.py": "def late():\n    import beside\n",
    "own/deep/__init__.py": "",
    "own/deep/er.py": "f = 1\n",
    "own/unused.py": "",
    "beside.py": "import own.calculator  # a circle\n",
}
USED = {"own", "own.calculator", "own.numbers_of", "own.deep", "own.deep.er", "beside"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def fingerprint(**settings: object) -> str:
    source = PotentialSource(calculator="own.calculator:Own", **settings)
    reference = CalculatorReference(method="calculator", potential=source)
    return reference_method(reference).fingerprint(["Cu"])


def test_all_modules_of_ones_own_that_are_imported_count(project: Path) -> None:
    assert set(code_of("own.calculator:Own")) == USED
    assert "own" not in sys.modules  # nothing is imported
    before = fingerprint()
    for name, text in FILES.items():
        (project / name).write_text(f"{text}\n# changed\n")
        assert (fingerprint() == before) == (name == "own/unused.py"), name
        (project / name).write_text(text)


def test_the_same_code_elsewhere_is_the_same(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint()
    (tmp_path / "moved").mkdir()
    for name in ("own", "beside.py"):
        (project / name).rename(tmp_path / "moved" / name)
    monkeypatch.syspath_prepend(tmp_path / "moved")
    assert fingerprint() == before


@pytest.mark.parametrize(
    "calculator",
    ["ase.calculators.emt:EMT", "stillinger-weber", "no.such:Thing", "json:JSONDecoder"],
)
def test_installed_packages_count_by_their_version(calculator: str) -> None:
    assert code_of(calculator) == {}


@pytest.mark.parametrize("missing", [["own/deep"], ["own"], ["own", "own/deep"]])
def test_folders_without_init_are_packages_too(project: Path, missing: list[str]) -> None:
    """As Python has it; their files count as those of other packages do."""
    for folder in missing:
        (project / folder / "__init__.py").unlink()
    left_out = {folder.replace("/", ".") for folder in missing}
    assert set(code_of("own.calculator:Own")) == USED - left_out
    assert set(code_of("own.deep.er:f")) == {"own", "own.deep", "own.deep.er"} - left_out


def test_a_broken_module_is_no_traceback(project: Path) -> None:
    (project / "own/calculator.py").write_text("def (")
    assert set(code_of("own.calculator:Own")) == {"own", "own.calculator"}


def test_where_to_compute_is_not_what_is_computed(project: Path) -> None:
    plain = fingerprint()
    for arguments in ({"device": "cpu"}, {"device": "cuda:1"}, {"use_device": "mps"}):
        assert fingerprint(arguments=arguments) == plain
    other = [{"default_dtype": "float32"}, {"device": 3}, {"head": 1}]
    assert len({plain, *(fingerprint(arguments=one) for one in other)}) == 4


def test_a_changed_source_reruns_what_computes_with_it(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels and existing fits; a comment in another module does not."""
    potential = {"calculator": "own.calculator:Own"}
    campaign = {
        "structures": {"si": {"file": "config/structures/silicon/mp-149.vasp"}},
        "reference": {"method": "calculator", "potential": potential},
        "fits": {"own": {"kind": "existing", "potential": potential}},
    }
    project = Project(tmp_path, repository, c=campaign)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{repository}")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/__init__.py").touch()
    (tmp_path / "own/other.py").touch()
    source = tmp_path / "own/calculator.py"
    source.write_text(
        "from ase.calculators.lj import LennardJones\n\n\nclass Own(LennardJones):\n    x = 1\n"
    )
    wanted = ["results/c/fits/own/gen0/potential.json", "results/c/labels/isolated_atoms.extxyz"]
    run = project.run(*wanted)
    assert run.returncode == 0, run.stdout + run.stderr
    assert project.planned(*wanted) == {}
    (tmp_path / "own/other.py").write_text("x = 1")
    assert project.planned(*wanted) == {}
    source.write_text(source.read_text().replace("x = 1", "x = 2"))
    assert {"fit", "label_isolated_atoms"} <= project.planned(*wanted).keys()


def test_planning_stays_light(repository: Path) -> None:
    """Snakemake asks for the source: no numerical library is loaded for it."""
    command = (
        "import phonsmith.potentials.own_code, phonsmith.potentials.loaded_files, sys; "
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
