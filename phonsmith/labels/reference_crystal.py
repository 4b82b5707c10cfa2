"""The crystal relaxed by the reference method."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ase import Atoms

from phonsmith.files.errors import UnusablePotential
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult, compare, judged
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.verdicts import Verdict

if TYPE_CHECKING:
    from phonsmith.labels.protocol import ReferenceMethod
    from phonsmith.labels.store import LabelStore


def reference_crystal(
    structure: str,
    crystal: Atoms,
    method: "ReferenceMethod",
    settings: Relaxation,
    load: Load = FREE,
    *,
    store: "LabelStore | None" = None,
) -> tuple[Atoms, Verdict]:
    """Relax a crystal with the reference method.

    A crystal that changes or does not relax is reported in the verdict;
    :mod:`phonsmith.structures.verdicts` defines how a campaign reacts.

    Parameters
    ----------
    structure
        Id of the structure, for messages.
    crystal
        Crystal before relaxation.
    method
        Reference method.
    settings
        Tolerances, largest number of steps, symmetry precision.
    load
        Pressure (GPa) or fixed volume; no load by default.
    store
        Label store that keeps the relaxation.

    Returns
    -------
    Relaxed crystal and verdict.

    Raises
    ------
    PhonsmithError
        The method cannot relax at all, such as without stresses.
    TryAgain
        The code was short of memory or time.
    """
    from phonsmith.labels.failed import LabelFailed
    from phonsmith.labels.relaxations import relaxed

    try:
        result = relaxed(crystal, method, settings, load, store)
    except (LabelFailed, UnusablePotential) as error:
        if isinstance(error, LabelFailed) and error.wants:
            raise error.for_good(f"structure {structure}") from error
        return crystal, _not_relaxed(crystal, str(error), settings)
    return judged(crystal, result, settings)


def _not_relaxed(crystal: Atoms, reason: str, settings: Relaxation) -> Verdict:
    """The verdict on a crystal that the reference method cannot even compute."""
    result = RelaxationResult(crystal, False, 0, math.inf, None)
    return replace(compare(crystal, result, settings), reason=reason, computed=False)
