"""Crystals that change or are lost under relaxation, and what follows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.reference_crystal import reference_crystal
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.reading import read_structure
from phonsmith.structures.relaxation import (
    FREE,
    Load,
    RelaxationResult,
    crystal_as_given,
    relaxed_crystal,
)
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.verdicts import Verdict, refuse, require_accepted, why_left_out
from tests.structures.databases.examples import silicon


def test_stillinger_weber_turns_r8_into_bc8(repository: Path) -> None:
    """What the word of the choice, and of on_change, stands for: R8 is BC8 after relaxation."""
    folder = repository / "config/structures/silicon"
    calculator = make_calculator(PotentialSource(calculator="stillinger-weber"))
    start = {id: read_structure(folder / f"{id}.vasp") for id in ("mp-571520", "mp-168")}
    end = {id: relaxed_crystal(one, calculator, Relaxation()) for id, one in start.items()}
    assert end["mp-571520"][1].lost
    assert not end["mp-168"][1].lost
    matcher = StructureMatcher(ltol=0.05, stol=0.05, angle_tol=2)
    to_pymatgen = AseAtomsAdaptor.get_structure
    assert not matcher.fit(*(to_pymatgen(one) for one in start.values()))
    assert matcher.fit(*(to_pymatgen(one) for one, _ in end.values()))


class Failing:
    """A reference method whose relaxation ends as it is told."""

    name = "failing"

    def __init__(self, outcome: Exception | RelaxationResult) -> None:
        self.outcome = outcome

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (RelaxationResult(silicon(), False, 7, 0.2, -1.0), "not converged after 7 steps"),
        (LabelFailed("SCF does not converge"), "SCF does not converge"),
        (UnusablePotential("flies apart"), "flies apart"),
    ],
)
def test_what_the_reference_cannot_relax_is_lost(outcome: Any, reason: str) -> None:
    verdict = reference_crystal("si", silicon(), Failing(outcome), Relaxation())[1]  # type: ignore[arg-type]
    assert verdict.lost
    assert reason in verdict.reason
    require_accepted("si", verdict, "leave_out")
    assert reason in why_left_out(verdict, "leave_out")
    for policy in ("report", "stop"):
        assert not why_left_out(verdict, policy)
        with pytest.raises(PhonsmithError, match=f"structure si: .*{reason}.*leave_out"):
            require_accepted("si", verdict, policy)


def verdict_on(**changes: Any) -> Verdict:
    return replace(crystal_as_given(silicon(), Relaxation())[1], **changes)


@pytest.mark.parametrize(
    ("changes", "stopped_by"),
    [
        ({}, set()),
        ({"symmetry_kept": False, "reason": "space group changed"}, {"stop"}),
        ({"same_structure": False, "reason": "became another"}, {"stop"}),
        ({"converged": False, "reason": "not converged"}, {"stop", "report"}),
        ({"converged": False, "computed": False, "reason": "no SCF"}, {"stop", "report"}),
    ],
)
def test_one_gate_applies_the_policy(changes: dict[str, Any], stopped_by: set[str]) -> None:
    verdict = verdict_on(**changes)
    policies = ("stop", "report", "leave_out")
    assert {one for one in policies if refuse("si", verdict, one)} == stopped_by
    lost = not (verdict.converged and verdict.same_structure)
    assert {one for one in policies if why_left_out(verdict, one)} == (
        {"leave_out"} if lost else set()
    )


@pytest.mark.parametrize(
    ("changes", "max_steps", "policy", "again"),
    [
        ({}, 1000, "report", 0),  # converged: the limit does not matter
        ({"again": 2}, 1000, "stop", 2),
        ({"converged": False}, 500, "report", 0),
        ({"converged": False}, 400, "report", 0),
        ({"converged": False}, 501, "report", 1),
        ({"converged": False}, 501, "leave_out", 1),
        ({"converged": False, "computed": False}, 500, "report", 1),
        ({"converged": False, "computed": False, "again": 1}, 500, "stop", 2),
        ({"converged": False, "computed": False}, 500, "leave_out", 0),
        ({"converged": False, "computed": False}, 501, "leave_out", 1),
    ],
)
def test_when_a_relaxation_is_tried_again(
    changes: dict[str, Any], max_steps: int, policy: Any, again: int
) -> None:
    assert verdict_on(max_steps=500, **changes).tries_again(max_steps, policy) == again


def test_a_run_short_of_memory_fails_its_job_rather_than_leaving_the_crystal_out() -> None:
    short = Failing(LabelFailed("killed for memory", wants="memory"))
    with pytest.raises(PhonsmithError, match="structure si: killed for memory"):
        reference_crystal("si", silicon(), short, Relaxation(on_change="leave_out"))  # type: ignore[arg-type]
