"""A raised step limit computes anew what did not converge under the old one, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.benchmarks.mechanics import equation_of_state, mechanics_of_fit
from phonsmith.files.errors import NotRelaxed, PhonsmithError
from phonsmith.labels.calculator.method import CalculatorMethod
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.verdicts import Effort
from phonsmith.thermodynamics.crystals import Crystal
from phonsmith.thermodynamics.free_energies import thermodynamics
from phonsmith.thermodynamics.settings import Thermodynamics
from phonsmith.transitions.enthalpies import enthalpies
from phonsmith.transitions.settings import Pressing
from tests.project import Project
from tests.thermodynamics.test_free_energies import crystal

SW = {"calculator": "stillinger-weber"}
SHORT, LONG = Relaxation(max_steps=1), Relaxation()

RELAXING_RULES = {"fit_phonons", "fit_mechanics", "thermodynamics", "enthalpies"}
RESULTS = [
    f"results/c/{name}.json"
    for name in (
        "phonons/longer/gen0/relaxed",
        "benchmarks/longer/gen0/mechanics",
        "thermodynamics/longer/gen0/diamond",
        "transitions/longer/gen0/squeezed/diamond",
    )
]

CAMPAIGN: dict[str, Any] = {
    "structures": {"diamond": {"file": "config/structures/silicon/mp-149.vasp"}},
    "reference": {"method": "calculator", "potential": SW},
    "supercells": {"kinds": ["displaced"], "min_length_angstrom": 7, "max_atoms": 64},
    # 2 % longer bonds: the fit needs three steps, the reference two
    "fits": {
        "longer": {"kind": "existing", "potential": {**SW, "arguments": {"sigma": 2.137}}},
    },
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["relaxed"]},
    "benchmarks": {"mechanics": True},
    "thermodynamics": {
        **{"max_temperature_kelvin": 300, "mesh_length_angstrom": 15, "volumes": 5},
        "imaginary": "report",
    },
    "transitions": {
        "squeezed": {
            **{"driven_by": "pressure", "structures": ["diamond", "same"], "volumes": 6},
            "pressures_gpa": [0, 1, 2],
        }
    },
    "figures": {"formats": ["svg"]},
}
CAMPAIGN["structures"]["same"] = CAMPAIGN["structures"]["diamond"]


def within(max_steps: int) -> dict[str, Any]:
    return {**CAMPAIGN, "relaxation": {"max_steps": max_steps}}


@pytest.mark.slow
def test_a_larger_limit_reruns_what_did_not_converge_alone(
    tmp_path: Path, repository: Path
) -> None:
    project = Project(tmp_path, repository, c=within(2))

    def run() -> list[dict[str, Any]]:
        done = project.run(*RESULTS)
        assert done.returncode == 0, done.stdout + done.stderr
        assert project.planned(*RESULTS) == {}
        found = [json.loads((project.folder / name).read_text()) for name in RESULTS]
        return [result.get("diamond", result) for result in found]

    # the reference converges within the limit, the fit does not
    for found in run():
        assert (found["converged"], found["max_steps"], found["again"]) == (False, 2, 0)

    project.write("c", within(500))
    assert project.planned(*RESULTS) == dict.fromkeys(RELAXING_RULES, 1)
    for found in run():
        assert (found["converged"], found["max_steps"], found["again"]) == (True, 500, 1)

    # all has converged: no limit matters any more, a tolerance does
    for limit in (900, 2):
        assert project.planned_with(within(limit), *RESULTS, name="c") == {}
    finer = {"relaxation": {"max_steps": 500, "fmax_ev_per_angstrom": 5e-5}}
    assert project.planned_with(finer, *RESULTS, name="c").keys() >= RELAXING_RULES


# --- who knows whether all relaxations converged --------------------------------------------


def longer() -> PotentialSource:
    return PotentialSource(calculator="stillinger-weber", arguments={"sigma": 2.2})


def method() -> CalculatorMethod:
    reference = {"method": "calculator", "potential": longer().model_dump(exclude_defaults=True)}
    return CalculatorMethod(CalculatorReference.model_validate(reference))


def compressed() -> Atoms:
    return bulk("Si", a=5.43)


@pytest.mark.parametrize(("relaxation", "converged"), [(SHORT, False), (LONG, True)])
def test_results_know_whether_their_relaxations_converged(
    repository: Path, relaxation: Relaxation, converged: bool
) -> None:
    found = mechanics_of_fit(compressed(), longer(), relaxation)
    assert (found.converged, found.mechanics is not None) == (converged, converged)

    pressing = Pressing(pressures_gpa=[0, 1, 2], volumes=6)
    pressed = enthalpies("si", compressed(), method(), pressing, relaxation, name="reference")
    assert pressed.converged is converged

    one = crystal(repository / "config/structures/silicon", "mp-149")
    one = Crystal(**{**vars(one), "atoms": compressed(), "method": method()})
    one = Crystal(**{**vars(one), "relaxation": relaxation})
    settings = Thermodynamics(
        **{"volumes": 5, "max_temperature_kelvin": 300, "mesh_length_angstrom": 15},
        imaginary="report",
    )
    warmed = thermodynamics(one, settings, method="reference", tolerance_thz=0.1)
    assert (warmed.converged, not warmed.reason) == (converged, converged)


def test_an_unrelaxed_volume_of_the_equation_of_state_is_one_of_effort() -> None:
    atoms = compressed()
    atoms.rattle(0.02, seed=1)
    with pytest.raises(NotRelaxed, match=r"does not relax to 0\.0001 eV/Å within 1 steps"):
        equation_of_state(atoms, make_calculator(longer()), SHORT)


@pytest.mark.parametrize(
    ("content", "limit", "again"),
    [
        ({}, 900, 0),  # a result of another kind, or of an earlier version
        ({"converged": True, "max_steps": 500, "again": 2}, 900, 2),
        ({"converged": False, "max_steps": 500, "again": 2}, 900, 3),
        ({"converged": False, "max_steps": 500, "again": 2}, 500, 2),
        ({"converged": False, "max_steps": 500, "again": 2}, 100, 2),
    ],
)
def test_how_often_a_result_is_tried(
    tmp_path: Path, content: dict[str, Any], limit: int, again: int
) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    assert Effort.load(path).tries_again(limit) == again


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("[1]")
    with pytest.raises(PhonsmithError, match=r"result.json: not a result .*; delete the file"):
        Effort.load(path)
