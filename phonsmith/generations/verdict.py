"""The loop: judge the potentials of a generation and request cells for the next."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from phonsmith.datasets.sets import ALWAYS_TRAIN
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.json_records import Record, StoredRecord
from phonsmith.generations.properties import Property, PropertyVerdict, judge_property
from phonsmith.generations.repeats import Sample, difference_in_words
from phonsmith.generations.settings import Goal, Loop
from phonsmith.structures.verdicts import LEFT_OUT

if TYPE_CHECKING:
    from ase import Atoms


Stop = Literal["goal", "goal_in_part", "max_generations"]


class StructureVerdict(Record):
    """One structure of one recipe; numbers are means over its repeats.

    ``noise_thz`` is the training noise of the RMSE, its standard deviation over the repeats; None
    for a single fit. ``reason`` lists the criteria that are not met, and is empty if all are.
    """

    structure: str
    rmse_thz: float | None
    noise_thz: float | None
    volume_error_percent: float | None
    false_imaginary: bool
    reason: str

    @property
    def meets(self) -> bool:
        """Whether the structure meets all criteria."""
        return not self.reason


class FitVerdict(Record):
    """One recipe with its repeats, against the goal.

    ``change_thz`` is the change of the mean RMSE since the last generation, ``significant`` the
    answer of :meth:`phonsmith.generations.repeats.Sample.differs_from`: None, not assessed, below
    three repeats in either. ``repeats_before`` counts those of the last generation.
    """

    fit: str
    repeats: list[str]
    structures: list[StructureVerdict]
    mean_rmse_thz: float | None
    noise_thz: float | None
    force_rmse_ev_per_angstrom: float | None
    change_thz: float | None
    significant: bool | None
    repeats_before: int | None
    reasons: list[str]
    properties: tuple[PropertyVerdict, ...] = ()

    @property
    def mean_rmse(self) -> Sample | None:
        """The mean RMSE (THz) as a sample over the repeats; None where a repeat has none."""
        if self.mean_rmse_thz is None:
            return None
        return Sample(self.mean_rmse_thz, self.noise_thz, len(self.repeats))

    @property
    def meets(self) -> bool:
        """Whether the recipe meets the goal, as far as it can be judged."""
        return not self.reasons

    @property
    def not_judged(self) -> list[str]:
        """The criteria that cannot be judged, and why."""
        return [one.reason for one in self.properties if not one.judged]

    @property
    def share_percent(self) -> float:
        """Share of the structures that meet the criteria."""
        return 100 * float(np.mean([one.meets for one in self.structures]))


class GenerationVerdict(StoredRecord):
    """Verdict on one generation: the file ``generations/gen{g}.json``.

    ``stop`` is "goal", "goal_in_part" (met but for criteria that cannot be judged) or
    "max_generations", or None if the loop continues; then ``next_cells`` is the number of new
    cells of which structures the next generation labels. ``labels`` counts the labels so far.
    """

    IN_WORDS = "a verdict on a generation"

    campaign: str
    generation: int
    stop: Stop | None
    best: str
    fits: list[FitVerdict]
    labels: dict[str, int]
    next_cells: dict[str, int]

    def in_words(self) -> str:
        """Return what was found, a line for each recipe, and what follows from it."""
        total = sum(self.labels.values())
        lines = [f"{self.campaign}, generation {self.generation}: {total} labels"]
        for one in self.fits:
            mean = "no mean RMSE" if one.mean_rmse_thz is None else f"mean {one.mean_rmse_thz:.3f}"
            noise = "" if one.noise_thz is None else f" ± {one.noise_thz:.3f}"
            counts = [len(one.repeats), one.repeats_before or 0]
            change = change_in_words(one.change_thz, one.significant, counts, " THz")
            change = f", since the last generation {change}" if change else ""
            verdict = "; ".join([*one.reasons, *one.not_judged]) or "meets the goal"
            lines.append(f"  {one.fit}: {mean}{noise} THz{change}; {verdict}")
        if self.stop:
            lines.append(f"  the loop ends with {self.best}: {STOP_IN_WORDS[self.stop]}")
        else:
            cells = ", ".join(f"{number} of {name}" for name, number in self.next_cells.items())
            lines.append(f"  generation {self.generation + 1} adds cells: {cells}")
        return "\n".join(lines)


def change_in_words(
    change_thz: float | None, significant: bool | None, counts: Sequence[int], unit: str = ""
) -> str:
    """Describe a change of the mean RMSE and its significance.

    Parameters
    ----------
    change_thz
        Change in THz; None for an empty text.
    significant
        Whether the change is significant; None if unknown.
    counts
        Numbers of repeats of this generation and of the previous one.
    unit
        Text appended to the number.

    Examples
    --------
    >>> change_in_words(-0.02, False, [3, 3])
    '-0.020 (not significant, n = 3)'
    """
    if change_thz is None:
        return ""
    return f"{change_thz:+.3f}{unit} ({difference_in_words(significant, counts)})"


STOP_IN_WORDS = {
    "goal": "the goal is met",
    "goal_in_part": "the goal is met for all criteria that can be evaluated",
    "max_generations": "max_generations is reached",
}


def judge(
    campaign: str,
    generation: int,
    loop: Loop,
    *,
    rmse: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    deciding: Collection[str] | None = None,
    without_potential: Collection[str] = (),
    learnt: Sequence[str],
    labels: Mapping[str, int],
    force_rmse: Mapping[str, float | None] | None = None,
    properties: Mapping[str, Mapping[str, Property]] | None = None,
    before: GenerationVerdict | None = None,
) -> GenerationVerdict:
    """Judge one generation.

    Parameters
    ----------
    campaign
        Name of the campaign.
    generation
        Number of the generation.
    loop
        Settings of the loop, which hold its goal.
    rmse
        Table of this generation, see :func:`phonsmith.benchmarks.tables.rmse_table`.
    groups
        Fits by the first of their repeats.
    deciding
        Recipes that can end the loop; None for all.
    without_potential
        Fits of force constants alone, which cannot relax a crystal: their volumes are not judged.
    learnt
        Structures from which new cells may be made.
    labels
        Number of labels of each structure up to this generation.
    force_rmse
        Force RMSE on the test set (eV/Å) of each fit, if the goal requires it; None if the fit
        gives no finite forces.
    properties
        Property of each fit by name of the criterion, if the goal requires any.
    before
        Verdict on the previous generation.

    Raises
    ------
    PhonsmithError
        All crystals are omitted.
    """
    kept = rmse[~rmse["reason"].str.startswith(LEFT_OUT)]
    rows = kept[kept["cell"] == loop.goal.cell]
    lost = set(rmse["structure"]) - set(rows["structure"])
    if rows.empty:
        raise PhonsmithError(
            f"{campaign}: all crystals are omitted, so the generation cannot be judged; see "
            "tables/structures.csv"
        )
    earlier = {one.fit: one for one in before.fits} if before else {}
    fits = [
        _judge_fit(
            name,
            repeats,
            kept,
            loop.goal,
            force_rmse=force_rmse or {},
            properties=properties or {},
            before=earlier.get(name),
            with_volumes=name not in without_potential,
        )
        for name, repeats in groups.items()
    ]
    best = max((one for one in fits if deciding is None or one.fit in deciding), key=_rank)
    stop: Stop | None = None
    if best.meets:
        stop = "goal_in_part" if best.not_judged else "goal"
    elif generation + 1 >= loop.max_generations:
        stop = "max_generations"
    failing = {one.structure for one in best.structures if not one.meets}
    there = [name for name in learnt if name not in lost]
    wanted = [name for name in there if name in failing] or there
    return GenerationVerdict(
        campaign=campaign,
        generation=generation,
        stop=stop,
        best=best.fit,
        fits=fits,
        labels=dict(labels),
        next_cells={} if stop else dict.fromkeys(wanted, loop.cells_per_structure),
    )


def _rank(fit: FitVerdict) -> tuple[bool, float, float]:
    mean = np.inf if fit.mean_rmse_thz is None else fit.mean_rmse_thz
    return fit.meets, fit.share_percent, -mean


def _judge_fit(
    name: str,
    repeats: Sequence[str],
    rmse: pd.DataFrame,
    goal: Goal,
    *,
    force_rmse: Mapping[str, float | None],
    properties: Mapping[str, Mapping[str, Property]],
    before: FitVerdict | None,
    with_volumes: bool,
) -> FitVerdict:
    own = rmse[rmse["fit"].isin(repeats)]
    rows = own[own["cell"] == goal.cell]
    structures = [
        _judge_structure(str(structure), part, goal, with_volumes)
        for structure, part in own.groupby("structure", sort=False)
    ]
    # the mean over structures of each repeat, then over repeats
    complete = rows["rmse_thz"].notna().all()
    mean = Sample.of(rows.groupby("fit")["rmse_thz"].mean()) if complete else None
    last_mean = before.mean_rmse if before else None
    # unknown of one repeat is unknown of the recipe: no mean over those that happen to work
    forces = [one for one in map(force_rmse.get, repeats) if one is not None]
    force = float(np.mean(forces)) if len(forces) == len(repeats) else None
    last = {one.name: one for one in before.properties} if before else {}
    judged = [
        judge_property(key, goal.properties[key], [found[one] for one in repeats], last)
        for key, found in properties.items()
    ]
    unsettled = [one.reason for one in judged if one.reason and one.judged]
    return FitVerdict(
        fit=name,
        repeats=list(repeats),
        structures=structures,
        mean_rmse_thz=mean.mean if mean else None,
        noise_thz=mean.deviation if mean else None,
        force_rmse_ev_per_angstrom=force,
        change_thz=mean.mean - last_mean.mean if mean and last_mean else None,
        significant=mean.differs_from(last_mean) if mean and last_mean else None,
        repeats_before=len(before.repeats) if before else None,
        reasons=[*_shortcomings(structures, force, goal), *unsettled],
        properties=tuple(judged),
    )


def _judge_structure(
    structure: str, rows: pd.DataFrame, goal: Goal, with_volume: bool
) -> StructureVerdict:
    """``rows``: one for each repeat and cell."""
    # the volume is always compared in the relaxed cell
    relaxed = rows[rows["cell"] == "relaxed"]
    rows = rows[rows["cell"] == goal.cell]
    lost = [str(reason) for reason in rows.loc[rows["rmse_thz"].isna(), "reason"]]
    sample = None if lost else Sample.of(rows["rmse_thz"])
    rmse = sample.mean if sample else None
    errors = relaxed["volume_error_percent"].dropna().to_numpy(dtype=float)
    volume = float(errors[np.abs(errors).argmax()]) if len(errors) else None
    imaginary = bool(rows["false_imaginary"].fillna(False).any())
    reasons = lost[:1]
    if rmse is not None and rmse > goal.rmse_thz:
        reasons.append(f"RMSE {rmse:.3f} THz above {goal.rmse_thz:g} THz")
    limit = goal.max_volume_error_percent
    if limit is not None and volume is not None and abs(volume) > limit:
        reasons.append(f"volume error {volume:+.2f} % beyond {limit:g} %")
    unknown = relaxed.loc[relaxed["volume_error_percent"].isna(), "reason"].tolist()
    if limit is not None and unknown and not lost and with_volume:
        reasons.append(f"volume unknown: {unknown[0]}")
    if imaginary and goal.no_false_imaginary:
        reasons.append("false imaginary modes (the reference has none)")
    return StructureVerdict(
        structure=structure,
        rmse_thz=rmse,
        noise_thz=sample.deviation if sample else None,
        volume_error_percent=volume,
        false_imaginary=imaginary,
        reason="; ".join(reasons),
    )


def _shortcomings(
    structures: Sequence[StructureVerdict], force_rmse: float | None, goal: Goal
) -> list[str]:
    reasons = []
    met = 100 * float(np.mean([one.meets for one in structures]))
    if met < goal.structures_percent:
        failing = ", ".join(one.structure for one in structures if not one.meets)
        reasons.append(
            f"{met:.0f} % of the structures meet the criteria, {goal.structures_percent:g} % are "
            f"required; failing: {failing}"
        )
    limit = goal.max_force_rmse_ev_per_angstrom
    if limit is not None and (force_rmse is None or force_rmse > limit):
        found = "unknown" if force_rmse is None else f"{force_rmse:.3g} eV/Å"
        reasons.append(f"force RMSE on the test set is {found}, {limit:g} eV/Å is required")
    return reasons


# --- tables ----------------------------------------------------------------------------------


def test_set_force_rmse(errors: Mapping[str, pd.DataFrame]) -> dict[str, float | None]:
    """RMSE of force components (eV/Å) on the test set, from the errors of each fit.

    Fits without test cells are omitted; None for a fit that has diverged. See
    :func:`phonsmith.fits.errors.errors_of`.
    """
    found: dict[str, float | None] = {}
    for fit, table in errors.items():
        rows = table.query(
            "set == 'test' and kind == 'all' and structure == 'all' and quantity == 'force'"
        )
        if len(rows):
            rmse = float(rows["rmse"].iloc[0])
            found[fit] = rmse if np.isfinite(rmse) else None
    return found


def generations_table(verdicts: Sequence[GenerationVerdict]) -> pd.DataFrame:
    """Return one row per generation, recipe and structure.

    Columns: campaign, generation, labels (so far, of all structures), fit, structure, rmse_thz
    (mean of the repeats), noise_thz, volume_error_percent, false_imaginary, meets, reason; and,
    equal for all structures of a fit, mean_rmse_thz (over structures and repeats, empty where one
    has none), mean_noise_thz (standard deviation of that mean over the repeats), change_thz (of the
    mean since the last generation), significant, repeats and repeats_before (in this and in the
    last generation), fit_meets, stop.
    """
    table = pd.DataFrame(
        [
            {
                "campaign": verdict.campaign,
                "generation": verdict.generation,
                "labels": sum(verdict.labels.values()),
                "fit": fit.fit,
                "structure": one.structure,
                **one.model_dump(exclude={"structure", "reason"}),
                "meets": one.meets,
                "reason": one.reason,
                "mean_rmse_thz": fit.mean_rmse_thz,
                "mean_noise_thz": fit.noise_thz,
                "change_thz": fit.change_thz,
                "significant": fit.significant,
                "repeats": len(fit.repeats),
                "repeats_before": fit.repeats_before,
                "fit_meets": fit.meets,
                "stop": verdict.stop,
            }
            for verdict in verdicts
            for fit in verdict.fits
            for one in fit.structures
        ]
    )
    numbers = ["rmse_thz", "noise_thz", "mean_rmse_thz", "mean_noise_thz", "change_thz"]
    types = {"significant": "boolean", "repeats": "Int64", "repeats_before": "Int64"}
    return table.astype({**dict.fromkeys(numbers, float), **types})


def properties_table(verdicts: Sequence[GenerationVerdict]) -> pd.DataFrame:
    """Return one row per generation, recipe and property of the goal.

    Columns: campaign, generation, labels (so far), fit, and those of
    :class:`phonsmith.generations.properties.PropertyVerdict` with its name as ``property``.
    """
    rows = [
        {
            "campaign": verdict.campaign,
            "generation": verdict.generation,
            "labels": sum(verdict.labels.values()),
            "fit": fit.fit,
            "property": one.name,
            **one.model_dump(exclude={"name"}),
        }
        for verdict in verdicts
        for fit in verdict.fits
        for one in fit.properties
    ]
    columns = ["campaign", "generation", "labels", "fit", "property", "value", "noise"]
    columns += ["uncertainty", "repeats", "unit"]
    return pd.DataFrame(rows, columns=[*columns, "change", "change_unit", "reason", "judged"])


def data_per_generation(train: Sequence["Atoms"], test: Sequence["Atoms"]) -> pd.DataFrame:
    """Cells of the final data set up to each generation (SI of Ertural et al. 2025, table 4).

    Columns: generation, train, test (numbers of labelled cells of this generation and all before;
    isolated atoms and constraints are not counted), share_of_final_training_set_percent.
    """

    def count(frames: Sequence["Atoms"], generation: int) -> int:
        return sum(
            one.info.get("kind") not in ALWAYS_TRAIN
            and int(one.info.get("generation", 0)) <= generation
            for one in frames
        )

    last = max((int(one.info.get("generation", 0)) for one in (*train, *test)), default=0)
    rows = [
        {"generation": g, "train": count(train, g), "test": count(test, g)} for g in range(last + 1)
    ]
    table = pd.DataFrame(rows)
    share = 100 * table["train"] / max(1, int(table["train"].iloc[-1]))
    return table.assign(share_of_final_training_set_percent=share)
