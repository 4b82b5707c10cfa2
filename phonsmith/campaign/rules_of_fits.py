"""Consistency of fits and of the loop. Each rule yields a line for each problem."""

from collections.abc import Iterator

from phonsmith.campaign.data import CampaignData, repeats_of
from phonsmith.files.problems import listed, nearest
from phonsmith.fits.registry import Fit, computes, kind_of
from phonsmith.fits.settings import TrainedFit
from phonsmith.generations.settings import (
    AnyPropertyGoal,
    ConductivityGoal,
    Goal,
    Loop,
    TransitionGoal,
)
from phonsmith.supercells.settings import Selection

RESERVED_FIT_NAMES = {"reference"}


def names_of_fits(campaign: CampaignData) -> Iterator[str]:
    """Names of fits, sweeps and repeats are unique."""
    taken: set[str] = set()
    for name, fit in campaign.recipes.items():
        repeats = repeats_of(name, fit).keys()
        if taken & repeats:
            yield f"fits.{name}.repeats: fit {min(taken & repeats)} already exists; rename it"
        taken |= repeats
    for name, sweep in campaign.sweeps.items():
        try:
            recipes = sweep.fits(name)
        except ValueError as error:
            yield from (f"sweeps.{name}.{line}" for line in str(error).splitlines())
            continue
        for key, fit in recipes.items():
            fits = repeats_of(key, fit).keys()
            if taken & fits:
                yield (
                    f"sweeps.{name}: fit {min(taken & fits)} already exists; rename the fit or the "
                    "sweep"
                )
            taken |= fits
    if not taken and not (campaign.thermodynamics or campaign.transitions or campaign.conductivity):
        yield (
            "fits: give at least one fit, here or in `sweeps`; without fits, request an "
            "application of the reference (thermodynamics, transitions, conductivity)"
        )


def fits(campaign: CampaignData) -> Iterator[str]:
    """Names are free, and there are cells to learn from."""
    for name in RESERVED_FIT_NAMES & campaign.fits.keys():
        yield f"fits.{name}: reserved name; choose another"
    for name, fit in campaign.fits.items():
        if not computes(fit) and name not in campaign.trained:
            yield from _finished_fit(campaign, name, fit)
        elif not computes(fit) and "reference" not in campaign.phonons.cells:
            yield (
                f"fits.{name}: a fit of kind {fit.kind} cannot relax a crystal and has phonons "
                "only in the reference's cell; add `reference` to phonons.cells"
            )
        if isinstance(fit, TrainedFit) and not campaign.taught & set(fit.learn_from):
            yield (
                f"fits.{name}.learn_from: the campaign has no such cells; available are "
                f"{', '.join(sorted(campaign.taught))}"
            )
    if campaign.trained and not campaign.learnt:
        yield "structures: at least one crystal needs `role: train`"


def _finished_fit(campaign: CampaignData, name: str, fit: Fit) -> Iterator[str]:
    """A fit that computes nothing has data of structures that are compared."""
    for structure in kind_of(fit).structures(fit) or []:
        if structure not in campaign.benchmarked:
            yield (
                f"fits.{name}.files.{structure}: not a benchmarked structure; allowed are "
                f"{listed(campaign.benchmarked)}"
            )
    computing = ("loop", "thermodynamics", "transitions", "conductivity")
    asked = [key for key in computing if getattr(campaign, key)]
    asked += ["benchmarks.mechanics"] if campaign.benchmarks.mechanics else []
    if asked:
        yield (
            f"fits.{name}: {listed(asked)} cannot be computed from recorded forces; compare "
            "recorded forces in a campaign without these keys"
        )


def loop(campaign: CampaignData) -> Iterator[str]:
    """A loop labels new cells, learns from them, and can judge."""
    if campaign.loop is None:
        return
    if campaign.recorded:
        yield "loop: recorded data cannot label new cells; remove the loop"
    if "rattled" not in campaign.supercells.kinds:
        yield "loop: new cells are rattled; add `rattled` to supercells.kinds"
    if not campaign.trained:
        yield "loop: no trained fit could use new cells; remove the loop or add a fit to train"
        return
    yield from _judges(campaign, campaign.loop)
    yield from _deciding(campaign, campaign.loop)
    yield from _goal(campaign, campaign.loop.goal)


def _judges(campaign: CampaignData, loop: Loop) -> Iterator[str]:
    """Whether a trained potential can select cells, if one takes part."""
    potentials = campaign.selecting
    if loop.selection.needs_potential and not potentials:
        yield (
            "loop.selection: cells are selected by a trained potential; add one, or set `method: "
            "random` without `dynamics`"
        )
        return
    if loop.judges is not None and loop.judges not in potentials:
        yield (
            f"loop.judges: '{loop.judges}' is not a trained potential; allowed are "
            f"{', '.join(potentials)}{nearest(loop.judges, potentials)}"
        )
        return
    judges = loop.judges or (potentials or campaign.trained)[0]
    repeats, judge = len(campaign.groups[judges]), campaign.fits[judges]
    resampled = isinstance(judge, TrainedFit) and judge.resampled
    if loop.selection.method == "committee" and (repeats < 2 or not resampled):
        yield (
            "loop.selection: a committee requires `repeats: 3` (at least 2) and `resampled: true` "
            f"of '{judges}'; repeats trained on identical labels agree even where they are wrong"
        )
    yield from _selection(campaign, loop.selection, judges)


def _deciding(campaign: CampaignData, loop: Loop) -> Iterator[str]:
    """Whether the recipes that end the loop exist, and can meet the goal."""
    trained = [name for name in campaign.groups if name in campaign.trained]
    for name in loop.decided_by or ():
        if name not in trained:
            yield (
                f"loop.decided_by: '{name}' is not a trained recipe; allowed are "
                f"{', '.join(trained)}{nearest(name, trained)}"
            )
            return
    if set(campaign.deciding) <= set(campaign.without_potential) and loop.goal.cell != "reference":
        yield (
            f"loop.goal.cell: force constants have phonons only in the reference's cell; set "
            f"`cell: reference` for {listed(campaign.deciding)}"
        )
    if not any("rattled" in campaign.fits[name].learn_from for name in campaign.deciding):
        yield (
            "loop: new cells are rattled, but no fit learns from rattled cells; add `rattled` to "
            "learn_from"
        )


def _selection(campaign: CampaignData, selection: Selection, judges: str) -> Iterator[str]:
    """Whether the cells of later generations can be chosen."""
    assert campaign.loop is not None
    wanted, candidates = campaign.loop.cells_per_structure, selection.pool_size
    if selection.dynamics:
        candidates += selection.dynamics.runs * selection.dynamics.snapshots
    if wanted > candidates:
        yield (
            f"loop.cells_per_structure: {wanted} cells cannot be selected from {candidates} "
            "candidates; raise loop.selection.pool_size"
        )
    by_features = selection.method != "random" and selection.descriptor == "mace"
    if by_features and campaign.fits[judges].kind != "mace":
        yield (
            f"loop.selection.descriptor: mace requires a fit of kind mace, which '{judges}' is "
            "not; set loop.judges to a MACE fit, or use soap"
        )


def _goal(campaign: CampaignData, goal: Goal) -> Iterator[str]:
    """Whether the goal can be judged and met."""
    assert campaign.loop is not None
    for name, one in goal.properties.items():
        yield from _property(campaign, f"loop.goal.properties.{name}", one)
    if goal.properties and campaign.loop.max_generations < 2:
        yield (
            "loop.goal.properties: convergence of a property requires at least two generations; "
            "raise loop.max_generations"
        )
    if goal.cell not in campaign.phonons.cells:
        yield (
            f"loop.goal.cell: '{goal.cell}' is not in phonons.cells "
            f"({', '.join(campaign.phonons.cells)})"
        )
    # the default limit is for campaigns that relax; there alone it can be judged
    default = Goal.model_fields["max_volume_error_percent"].default
    if (
        goal.max_volume_error_percent not in (None, default)
        and "relaxed" not in campaign.phonons.cells
    ):
        yield (
            "loop.goal.max_volume_error_percent: requires cells relaxed with the fit; add "
            "`relaxed` to phonons.cells, or set null"
        )
    tested = (
        campaign.datasets.test_fraction > 0
        or len(campaign.learnt) < len(campaign.structures)
        or "displaced" not in campaign.supercells.kinds
        or any(one.test_files for one in campaign.datasets.databases.values())
    )
    if goal.max_force_rmse_ev_per_angstrom is not None and not tested:
        yield (
            "loop.goal.max_force_rmse_ev_per_angstrom: the campaign has no test cells; raise "
            "datasets.test_fraction"
        )


def _property(campaign: CampaignData, where: str, goal: AnyPropertyGoal) -> Iterator[str]:
    match goal:
        case ConductivityGoal():
            if goal.structure not in campaign.conducting:
                yield (
                    f"{where}: '{goal.structure}' is not in "
                    f"conductivity.structures{nearest(goal.structure, campaign.conducting)}"
                )
                return
            assert campaign.conductivity is not None
            known = campaign.conductivity.temperatures_kelvin
            if goal.temperature_kelvin not in known:
                yield (
                    f"{where}: {goal.temperature_kelvin:g} is not in "
                    "conductivity.temperatures_kelvin"
                )
            known_recipes = campaign.groups.keys() & campaign.deciding  # others are refused above
            repeated = all(len(campaign.groups[name]) > 1 for name in known_recipes)
            error_bars = campaign.conductivity.jackknife_groups is not None or repeated
            if goal.uncertainty_percent is not None and not error_bars:
                yield (
                    f"{where}.uncertainty_percent: there is no uncertainty; set "
                    "conductivity.jackknife_groups, or `repeats` with `resampled: true` of "
                    f"{listed(campaign.deciding)}"
                )
        case TransitionGoal():
            if goal.transition not in campaign.transitions:
                yield (
                    f"{where}: unknown transition "
                    f"'{goal.transition}'{nearest(goal.transition, campaign.transitions)}"
                )
                return
            driven_by = campaign.transitions[goal.transition].driven_by
            limit = {"temperature": "within_kelvin", "pressure": "within_gpa"}[driven_by]
            if getattr(goal, limit) is None:
                yield (f"{where}: '{goal.transition}' is driven by {driven_by}: give {limit}")
