"""One run of any protocol."""

from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from phonsmith.distillation.runs import Outcome, Run, perform_from
from phonsmith.distillation.searches import SearchOutcome, search
from phonsmith.distillation.settings import RandomSearch
from phonsmith.structures.settings import Relaxation


def made(
    run: Run[Any],
    crystal: Atoms | None,
    calculator: BaseCalculator,
    relaxation: Relaxation,
    work: Path,
    *,
    left_out: str = "",
) -> tuple[list[Atoms], Outcome | SearchOutcome]:
    """Make a run: molecular dynamics or a random structure search.

    The parameters are those of :func:`phonsmith.distillation.runs.perform_from`. A search starts
    from no crystal and has tolerances of its own.
    """
    if isinstance(run.protocol, RandomSearch):
        return search(run, calculator, work)
    return perform_from(run, crystal, calculator, relaxation, work, left_out=left_out)
