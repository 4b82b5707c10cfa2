"""Bad models are refused in one line, and run no code."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import sha256_of
from phonsmith.potentials.calculators import Potential as FittedPotential
from phonsmith.potentials.calculators import load_potential, make_calculator, save_potential
from phonsmith.potentials.settings import PotentialSource
from tests.check.bad_files import SHA, content_of, told


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"calculator": "gap", "model": "cut.xml"}, ["cut.xml", "cut off or damaged", "again"]),
        ({"calculator": "gap", "model": "other.xml"}, ["other.xml", "not a GAP"]),
        ({"calculator": "gap", "model": "lonely.xml"}, ["gap.sparse", "lonely.xml refers to it"]),
        ({"calculator": "gap", "model": "gap.xml", "sha256": SHA}, ["gap.xml", "checksum"]),
        ({"calculator": "mace", "model": "noise.model", "trust": True}, ["noise.model", "cut off"]),
        ({"calculator": "mace", "model": "trap.model"}, ["trap.model: not loaded", "sha256: "]),
        (
            {"calculator": "os:system", "arguments": {"command": "touch sprung"}},
            ["touch sprung: not loaded", "os:system", "trust: true"],
        ),
        ({"calculator": "os:getcwd"}, ["os:getcwd", "not a class", "trust: true"]),
        (
            {"calculator": "os:getcwd", "trust": True},
            ["os:getcwd", "does not return an ASE calculator"],
        ),
        (
            {
                "calculator": "mace.calculators:MACECalculator",
                "arguments": {"model_paths": ["trap.model"]},
            },
            ["trap.model: not loaded", "trust"],
        ),
        ({"calculator": "no.such:Thing"}, ["no.such:Thing", "cannot be imported"]),
        ({"calculator": "stillinger-weber", "arguments": {"x": 1}}, ["unknown argument x"]),
    ],
)
def test_bad_models_are_refused(here: Path, settings: dict[str, Any], words: list[str]) -> None:
    before = content_of(here)
    with pytest.raises(PhonsmithError) as caught:
        make_calculator(PotentialSource.model_validate(settings))
    told(caught.value, *words)
    assert content_of(here) == before  # the trap was not sprung


def test_the_trap_is_one_and_its_user_may_spring_it(here: Path) -> None:
    for ways in ({"trust": True}, {"sha256": sha256_of(here / "trap.model")}):
        source = PotentialSource(calculator="mace", model="trap.model", **ways)
        with pytest.raises(PhonsmithError, match="cannot be built"):
            make_calculator(source)
        (here / "sprung").unlink()


def test_a_model_of_this_pipeline_is_known_by_its_record(here: Path) -> None:
    folder = here / "results/c/fits/fit/gen0"
    model = folder / "model/mace.model"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"\x80 not a model, but on record")
    made = FittedPotential(
        source=PotentialSource(calculator="mace", model=str(model), sha256=sha256_of(model)),
        has_energies=True,
        level_of_theory="x",
        fit="mace",
    )
    save_potential(folder / "potential.json", made)
    for source in (
        load_potential(folder / "potential.json").source,
        PotentialSource(calculator="mace", model=str(model)),
    ):
        with pytest.raises(PhonsmithError, match="cannot be built"):  # known, so it is tried
            make_calculator(source)
    foreign = here / "elsewhere/results/c/fits/fit/gen0"  # with a record that anybody can write
    shutil.copytree(folder, foreign)
    with pytest.raises(PhonsmithError, match="not loaded, since"):
        make_calculator(PotentialSource(calculator="mace", model=str(foreign / "model/mace.model")))
    model.write_bytes(b"changed since")
    with pytest.raises(PhonsmithError, match=r"not loaded, checksum differs"):
        make_calculator(PotentialSource(calculator="mace", model=str(model)))
    record = json.loads((folder / "potential.json").read_text())
    record["source"]["sha256"] = None
    (folder / "potential.json").write_text(json.dumps(record))
    with pytest.raises(PhonsmithError, match="not loaded, since"):
        make_calculator(PotentialSource(calculator="mace", model=str(model)))
