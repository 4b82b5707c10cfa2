"""What is tried when a run of pw.x fails, and for which failure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phonsmith.labels.espresso.inputs import Namelists, merged
from phonsmith.labels.recorded.readers.pw import Kind


@dataclass(frozen=True)
class Start:
    """How a run starts: its namelists, its pools, and whether from an earlier density.

    With ``insulator`` occupations stay fixed, as ph.x requires for Born charges.
    """

    settings: Namelists
    pools: int = 1
    from_density: bool = False
    insulator: bool = False

    def changed(self, changes: Namelists) -> "Start":
        """Return a copy with other keys in the namelists."""
        return replace(self, settings=merged(self.settings, changes))


@dataclass(frozen=True)
class Remedy:
    """One rung: the failures it may mend, what it is in words, and what it makes of a start."""

    kinds: tuple[Kind, ...]
    words: str
    change: Callable[[Start], Start]
    suits: Callable[[Start], bool] = lambda _: True


def _electrons(**keys: Any) -> Callable[[Start], Start]:
    return lambda start: start.changed({"electrons": keys})


def _mixing(beta: float, **keys: Any) -> Callable[[Start], Start]:
    def change(start: Start) -> Start:
        before = start.settings["electrons"]
        return start.changed(
            {
                "electrons": {
                    "mixing_beta": min(beta, before["mixing_beta"]),
                    "electron_maxstep": max(200, before["electron_maxstep"]),
                    **keys,
                }
            }
        )

    return change


_NARROW = {"occupations": "smearing", "smearing": "gaussian", "degauss": 1e-3}

LADDER: tuple[Remedy, ...] = (
    Remedy(
        ("not converged", "diagonalisation", "crashed", "incomplete"),
        "start from the density of free atoms",
        lambda start: replace(start, from_density=False),
        suits=lambda start: start.from_density,
    ),
    Remedy(("not converged",), "mixing_beta 0.3 and 200 SCF steps", _mixing(0.3)),
    Remedy(
        ("not converged",),
        "mixing_beta 0.1 with a history of 12 steps",
        _mixing(0.1, mixing_ndim=12),
    ),
    Remedy(
        ("not converged",),
        "gaussian smearing of 0.001 Ry for fixed occupations",
        lambda start: start.changed({"system": _NARROW}),
        suits=lambda start: (
            start.settings["system"]["occupations"] == "fixed" and not start.insulator
        ),
    ),
    Remedy(
        ("not converged", "diagonalisation"),
        "diagonalisation by conjugate gradients",
        _electrons(diagonalization="cg"),
    ),
    Remedy(
        ("memory", "pools"),
        "one pool",
        lambda start: replace(start, pools=1),
        suits=lambda start: start.pools > 1,
    ),
    Remedy(("crashed", "incomplete"), "a second try", lambda start: start),
)
"""In this order. What they cannot mend fails; out of memory or time, the job is tried again with
more of it. Pseudopotentials, input and a full disk are the user's to mend."""


def next_remedy(kind: Kind, tried: Sequence[Remedy], start: Start) -> Remedy | None:
    """Return the next remedy for a failure; None if none is left.

    Parameters
    ----------
    kind
        Kind of failure.
    tried
        Remedies that were tried already.
    start
        Settings with which the failed run started.
    """
    for remedy in LADDER:
        if kind in remedy.kinds and remedy not in tried and remedy.suits(start):
            return remedy
    return None
