"""Every kind of fit has what other stages ask for, before anything is trained."""

import inspect
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from ase.calculators.calculator import BaseCalculator

from phonsmith.fits.kind import TrainedKind
from phonsmith.fits.registry import KINDS
from phonsmith.fits.settings import FitBase, TrainedFit
from phonsmith.potentials.ready import READY

DOCS = Path(__file__).parents[2] / "docs/lammps.md"
TRAINED = {name: kind for name, kind in KINDS.items() if isinstance(kind, TrainedKind)}


@pytest.mark.parametrize("name", KINDS)
def test_the_settings_of_a_kind_bear_its_name(name):
    settings = KINDS[name].settings
    assert issubclass(settings, FitBase)
    assert settings.model_fields["kind"].annotation.__args__ == (name,)
    assert issubclass(settings, TrainedFit) == isinstance(KINDS[name], TrainedKind)


@pytest.mark.parametrize("name", TRAINED)
def test_packages_of_an_architecture_are_installed(name):
    assert all(version(package) for package in TRAINED[name].packages)


@pytest.mark.parametrize("name", TRAINED)
def test_the_calculator_of_an_architecture_takes_a_model_and_can_be_cited(name):
    kind = TRAINED[name]
    if not kind.computes:
        assert kind.citation
        return
    if kind.calculator in READY:
        ready = READY[kind.calculator]
        assert ready.has_model and ready.citation
        assert hasattr(import_module(f"phonsmith.potentials.{ready.module}"), "build")
        return
    module, _, calculator = kind.calculator.partition(":")
    found = getattr(import_module(module), calculator)
    assert issubclass(found, BaseCalculator)
    assert "model" in inspect.signature(found).parameters
    assert kind.citation


@pytest.mark.parametrize("name", [name for name, kind in TRAINED.items() if kind.computes])
def test_the_docs_have_the_lines_of_lammps_of_an_architecture(name, tmp_path):
    model = tmp_path / {"mace": "mace.model", "polymlp": "polymlp.yaml"}.get(name, "model")
    model.write_text('<Potential label="GAP_1"/>')
    lines = TRAINED[name].in_lammps(model, ["Na", "Cl"]).splitlines()
    assert any("# needs" in line for line in lines)
    (style,) = [line for line in lines if line.startswith("pair_style")]
    assert f"`{style}`" in DOCS.read_text()
    assert lines[-1].startswith("pair_coeff * *")
