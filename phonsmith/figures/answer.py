"""The answer at the top of the report: which fits are good enough, and for what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from phonsmith.benchmarks.tables import mean_rmse
from phonsmith.campaign.model import Campaign
from phonsmith.figures.results_read import counted, few, label_of, rows_of, with_minus
from phonsmith.figures.style import CELLS, short
from phonsmith.files.settings import CellChoice
from phonsmith.labels.registry import potential_of

USUAL_GOAL_THZ = 0.1
"""Goal for the phonon RMSE of a crystal where a campaign has none: that of the campaigns that
determine phase transitions and thermal conductivities."""


@dataclass(frozen=True)
class Judged:
    """A fit against the goal.

    Attributes
    ----------
    label
        Label of the fit.
    good
        Crystals that meet the goal.
    bad
        Other crystals, the worst first.
    mean_thz
        Mean RMSE; NaN without any.
    largest_thz
        Largest RMSE; NaN without any.
    known
        Number of crystals with an RMSE.
    unstable
        Number of crystals with imaginary modes that the reference does not have.
    imaginary
        Comparison of the lowest frequencies, if reference and fit have imaginary modes: of the
        crystal where they differ most; else empty.
    in_sample
        Crystals on whose displaced cells the fit was trained.
    """

    label: str
    good: Sequence[str]
    bad: Sequence[str]
    mean_thz: float
    largest_thz: float
    known: int
    unstable: int
    imaginary: str
    in_sample: Sequence[str]

    @property
    def mark(self) -> str:
        """Verdict in one word, and its class in the page."""
        return "yes" if not self.bad else "in part" if self.good else "no"

    @property
    def in_words(self) -> str:
        """Numbers behind the verdict, without a full stop."""
        total = len(self.good) + len(self.bad)
        words = [] if total == 1 else [f"{len(self.good)} of {total} crystals"]
        if self.known:
            words.append(self._rmse_in_words(total))
        if self.known < total:
            words.append(f"no RMSE for {total - self.known}" if total > 1 else "no RMSE")
        if self.unstable:
            there = f" in {counted(self.unstable, 'crystal')}" if total > 1 else ""
            words.append(f"false imaginary modes{there}")
        if self.imaginary:
            words.append(self.imaginary)
        if self.good and self.bad:
            words.append(f"not for {few(self.bad)}")
        if self.in_sample:
            which = "these phonons" if self.all_in_sample else f"phonons of {few(self.in_sample)}"
            words.append(f"in-sample: {which} were part of the training data")
        return "; ".join(words)

    @property
    def all_in_sample(self) -> bool:
        """Whether the fit was trained on the displaced cells of every crystal."""
        return {*self.in_sample} >= {*self.good, *self.bad}

    def _rmse_in_words(self, total: int) -> str:
        if total == 1:
            return f"RMSE {self.mean_thz:.3f} THz"
        over = "" if self.known == total else f" over {self.known}"
        return f"mean RMSE {self.mean_thz:.3f} THz{over}, largest {self.largest_thz:.3f} THz"


@dataclass(frozen=True)
class Answer:
    """Content of the first section of the report.

    Attributes
    ----------
    mark
        ``yes``, ``in part``, ``no``, or empty where nothing is judged.
    headline
        The answer in one sentence.
    lines
        A verdict on each fit, the best first.
    goal
        Explanation of the goal.
    used
        What the potentials were used for in this campaign; empty without applications.
    untested
        What this campaign did not test.
    """

    mark: str
    headline: str
    lines: Sequence[tuple[str, str, str]]
    goal: str
    used: str
    untested: str


def answer(campaign: Campaign, rmse: pd.DataFrame) -> Answer:
    """Judge the fits by their phonons.

    Parameters
    ----------
    campaign
        The campaign; without a loop, the goal is :data:`USUAL_GOAL_THZ`.
    rmse
        Table of phonon RMSE.
    """
    used, untested = applications(campaign)
    if not campaign.fits:
        headline = "This campaign has no potentials: it computes phonons of the reference method."
        return Answer("", headline, [], "", used, "")
    if not campaign.benchmarked:
        headline = (
            "Phonons are not compared in this campaign: the errors of energies and forces below "
            "are the only measure of the potentials."
        )
        return Answer("", headline, [], "", used, untested)
    judged = sorted(
        (judge(campaign, rmse, fit) for fit in campaign.fits),
        key=lambda one: (-len(one.good), one.mean_thz if one.mean_thz >= 0 else float("inf")),
    )
    return Answer(
        mark=judged[0].mark,
        headline=_headline(judged[0], len(campaign.benchmarked), _goal(campaign)[0]),
        lines=[(one.mark, one.label, one.in_words) for one in judged],
        goal=goal_in_words(campaign),
        used=used,
        untested=untested,
    )


def _goal(campaign: Campaign) -> tuple[float, CellChoice]:
    """Return the largest RMSE allowed, in THz, and the cell for which it holds."""
    if campaign.loop is None:
        return USUAL_GOAL_THZ, campaign.phonons.cells[0]
    return campaign.loop.goal.rmse_thz, campaign.loop.goal.cell


def judge(campaign: Campaign, rmse: pd.DataFrame, fit: str) -> Judged:
    """Judge one fit by its phonons.

    Parameters
    ----------
    campaign
        The campaign, which compares phonons.
    rmse
        Table of phonon RMSE.
    fit
        Id of the fit.
    """
    limit, cell = _goal(campaign)
    part = rmse[(rmse["fit"] == fit) & (rmse["cell"] == cell)]
    part = part.sort_values("rmse_thz", ascending=False, na_position="first")
    false = part["false_imaginary"].fillna(False).astype(bool)
    meets = (part["rmse_thz"] <= limit) & ~false
    return Judged(
        label=label_of(campaign, fit),
        good=part.loc[meets, "structure"].tolist(),
        bad=part.loc[~meets, "structure"].tolist(),
        mean_thz=mean_rmse(rmse, fit, cell).rmse_thz,
        largest_thz=float(part["rmse_thz"].max()),
        known=int(part["rmse_thz"].notna().sum()),
        unstable=int(false.sum()),
        imaginary=_imaginary_in_words(part),
        in_sample=sorted(part.loc[part["in_sample"].astype(bool), "structure"]),
    )


def _imaginary_in_words(rmse: pd.DataFrame) -> str:
    """Compare the lowest frequencies of the crystal of a fit where both methods are unstable."""
    both = rmse[(rmse["imaginary_fit"] > 0) & (rmse["imaginary_reference"] > 0)]
    if both.empty:
        return ""
    fit, reference = "minimum_frequency_fit_thz", "minimum_frequency_reference_thz"
    worst = max(rows_of(both), key=lambda row: abs(row[fit] - row[reference]))
    lowest, known = (with_minus(f"{worst[key]:.2f}") for key in (fit, reference))
    return (
        f"imaginary modes of {worst['structure']}, as in the reference: lowest {lowest} "
        f"THz, reference {known} THz"
    )


def _headline(best: Judged, total: int, limit: float) -> str:
    name = short(best.label, 40)
    name = f"“{name}”" if "," in name else name
    if not best.bad:
        learnt = ", which it was trained on" if best.all_in_sample else ""
        crystals = {1: "the crystal", 2: "both crystals"}.get(total, f"all {total} crystals")
        return (
            f"Yes, for harmonic phonons of {crystals} of this campaign{learnt}: with {name}, the "
            f"largest phonon RMSE is {best.largest_thz:.3f} THz (goal: {limit:g} THz)."
        )
    if best.good:
        return (
            f"In part: with {name}, {len(best.good)} of {total} crystals meet the goal for "
            f"harmonic phonons (RMSE of at most {limit:g} THz)."
        )
    rmse = "an RMSE" if total == 1 else "a mean RMSE"
    nearest = f" The best, {name}, has {rmse} of {best.mean_thz:.3f} THz." if best.known else ""
    return (
        f"Not yet: no potential meets the goal for harmonic phonons (RMSE of at most {limit:g} "
        f"THz) for any crystal.{nearest}"
    )


def goal_in_words(campaign: Campaign) -> str:
    """Explain when a crystal meets the goal, and what the reference is."""
    limit, cell = _goal(campaign)
    origin = (
        "the goal of this campaign"
        if campaign.loop
        else "a usual limit; the campaign states no goal"
    )
    words = (
        f"A crystal meets the goal if its phonon RMSE against {campaign.level_of_theory} "
        f"({CELLS[cell]}) is at most {limit:g} THz ({origin}) and the fit has no imaginary modes "
        "where the reference has none."
    )
    if potential_of(campaign.reference):
        words += (
            f" The reference, {campaign.level_of_theory}, is itself an interatomic potential: its "
            "errors against DFT or experiment are not part of this answer."
        )
    return words


def applications(campaign: Campaign) -> tuple[str, str]:
    """Return what the campaign computed with its potentials, and what it did not test."""
    known = {
        "thermal expansion and free energies": campaign.thermodynamics is not None,
        "phase transitions": bool(campaign.transitions),
        "thermal conductivity": campaign.conductivity is not None,
        "liquid and amorphous phases": campaign.disorder is not None,
    }
    done = [name for name, there in known.items() if there]
    missing = [name for name, there in known.items() if not there]
    used = f"Applied to {', '.join(done)}: see “Applications”." if done else ""
    others = ["other crystals and compositions", "defects and surfaces"]
    return used, f"Not tested by this campaign: {', '.join([*missing, *others])}."


def kappa_in_words(campaign: Campaign, tables: Iterable[pd.DataFrame]) -> str:
    """Summarise the errors of the thermal conductivity of the fits; empty without any.

    Parameters
    ----------
    campaign
        The campaign.
    tables
        Tables of the applications, see :func:`phonsmith.conductivity.tables.errors_table`.
    """
    needed = ["method", "temperature_kelvin", "kappa_w_per_m_k", "reference_w_per_m_k"]
    known = [one.dropna(subset=needed) for one in tables if {*needed} <= {*one.columns}]
    if not known or known[0].empty:
        return ""
    distance = (known[0]["temperature_kelvin"] - ROOM_KELVIN).abs()
    near = known[0][distance == distance.min()]
    errors = 100 * (near["kappa_w_per_m_k"] / near["reference_w_per_m_k"] - 1)
    found = {method: part.tolist() for method, part in errors.groupby(near["method"], sort=False)}
    ranked = sorted(found, key=lambda method: max(map(abs, found[method])))
    words = [
        f"{label_of(campaign, str(method).partition('/')[0])} {_range_in_words(found[method])}"
        for method in ranked[:MOST_KAPPA]
    ]
    more = f"; {len(ranked) - MOST_KAPPA} more fits below" if len(ranked) > MOST_KAPPA else ""
    kelvin = near["temperature_kelvin"].iloc[0]
    return f"Error of κ at {kelvin:g} K: {'; '.join(words)}{more}."


ROOM_KELVIN = 300
MOST_KAPPA = 3
"""Largest number of fits whose thermal conductivity is in the answer."""


def _range_in_words(percent: Sequence[float]) -> str:
    """Format errors in percent: the only one, or the range over the crystals."""
    low, high = (with_minus(f"{value:+.0f}") for value in (min(percent), max(percent)))
    return f"{low} %" if len(percent) == 1 else f"{low} to {high} % ({len(percent)} crystals)"
