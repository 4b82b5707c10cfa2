"""A campaign: all of its settings, consistent with each other, read from one YAML file.

The models here, in :mod:`phonsmith.settings` and in :mod:`phonsmith.recipes` are the only source
of settings: the JSON schema in ``config/`` and the settings page of the docs are made from them.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from phonsmith.applications import Conductivity, Thermodynamics, Transition
from phonsmith.errors import PhonsmithError
from phonsmith.problems import listed, nearest, problems_of
from phonsmith.recipes import Fit, RecordedFit, TrainedFit
from phonsmith.references import HOLDS_CRYSTAL, MagneticReference, RecordedReference, Reference
from phonsmith.settings import (
    AnyPropertyGoal,
    Benchmarks,
    ConductivityGoal,
    Datasets,
    Figures,
    Files,
    Goal,
    Labels,
    Loop,
    Model,
    Name,
    Phonons,
    Relaxation,
    Selection,
    Structure,
    Supercells,
    TransitionGoal,
    why_no_path,
)
from phonsmith.sweeps import Sweep, Value
from phonsmith.yaml_files import load_yaml

RESERVED_FIT_NAMES = {"reference"}
RESERVED_STRUCTURE_NAMES = {"all"}


# --- the campaign ----------------------------------------------------------------------------


class Campaign(Model):
    """One campaign: the file ``config/campaigns/NAME.yaml``."""

    description: str = Field("", description="One line for tables and reports.")
    seed: NonNegativeInt = Field(0, description="Seed of every random choice.")
    structures_from: Files = Field(
        default_factory=list,
        description="Files with further `structures`, as the choice of candidates writes them; "
        "relative to the project. An entry in `structures` goes before one of the same id there.",
    )
    structures: dict[Name, Structure] = Field(
        default_factory=dict, description="The crystals, by id."
    )
    reference: Reference
    relaxation: Relaxation = Relaxation()
    supercells: Supercells = Supercells()
    labels: Labels = Labels()
    datasets: Datasets = Datasets()
    recipes: dict[Name, Fit] = Field(
        default_factory=dict, alias="fits", description="The potentials, by name."
    )
    sweeps: dict[Name, Sweep] = Field(
        default_factory=dict, description="Further potentials: recipes over lists of settings."
    )
    phonons: Phonons = Phonons()
    benchmarks: Benchmarks = Benchmarks()
    thermodynamics: Thermodynamics | None = Field(
        None, description="Equations of state and free energies; without it, none."
    )
    transitions: dict[Name, Transition] = Field(
        default_factory=dict, description="Phase transitions, by name."
    )
    conductivity: Conductivity | None = Field(
        None, description="Lattice thermal conductivity; without it, none."
    )
    loop: Loop | None = Field(None, description="Generations until a goal is met; without it, one.")
    figures: Figures = Figures()

    @property
    def recorded(self) -> RecordedReference | None:
        """The recorded reference, or none where labels are computed."""
        return self.reference if isinstance(self.reference, RecordedReference) else None

    @cached_property
    def benchmarked(self) -> list[str]:
        """Ids of the crystals whose phonons are compared."""
        return [name for name, one in self.structures.items() if one.role != "test"]

    @cached_property
    def learnt(self) -> list[str]:
        """Ids of the crystals that fits may learn from."""
        return [name for name, one in self.structures.items() if one.role == "train"]

    @cached_property
    def at_rest(self) -> list[str]:
        """Those of them that are at the volume of no pressure."""
        return [name for name in self.benchmarked if self.structures[name].scaled is None]

    @cached_property
    def fits(self) -> dict[str, Fit]:
        """All potentials by name: those of `fits` and of the sweeps, with their repeats."""
        return {name: fit for repeats in self._repeats.values() for name, fit in repeats.items()}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Names of all potentials by the first of their repeats."""
        return {name: list(repeats) for name, repeats in self._repeats.items()}

    @cached_property
    def _repeats(self) -> dict[str, dict[str, Fit]]:
        recipes: dict[str, Fit] = dict(self.recipes)
        for name, sweep in self.sweeps.items():
            recipes |= sweep.fits(name)
        return {name: repeats_of(name, fit) for name, fit in recipes.items()}

    def swept(self, sweep: str) -> dict[str, dict[str, Value]]:
        """The values of every fit of a sweep by title; repeats have those of their first."""
        combinations = self.sweeps[sweep].combinations(sweep)
        return {fit: values for one, values in combinations.items() for fit in self.groups[one]}

    @property
    def judges(self) -> list[str]:
        """The fits that help to choose the cells of the next generation."""
        if self.loop is None:
            return []
        repeats = self.groups[self.loop.judges or self.trained[0]]
        selection = self.loop.selection
        if selection.method == "committee":
            return repeats
        features = selection.method == "farthest" and selection.descriptor == "mace"
        return repeats[:1] if selection.dynamics or features else []

    @cached_property
    def trained(self) -> list[str]:
        """Names of the fits that are trained on labels."""
        return [name for name, fit in self.fits.items() if isinstance(fit, TrainedFit)]

    @property
    def has_third_order(self) -> bool:
        """Whether the recorded data of the crystals that conduct are of third order."""
        return self.recorded is not None and all(
            (self.structures[name].recorded_format or self.recorded.format) == "phono3py"
            for name in self.conducting
        )

    @cached_property
    def tested(self) -> list[str]:
        """Names of the fits that give energies and forces of any cell, and so errors on labels."""
        return [name for name in self.fits if name in self.trained or self.exists(name)]

    @cached_property
    def with_errors(self) -> list[str]:
        """Those, and fits that are recorded forces: they may be of the reference's very cells."""
        recorded = [name for name, fit in self.fits.items() if isinstance(fit, RecordedFit)]
        return [*self.tested, *recorded]

    @property
    def is_test_alone(self) -> bool:
        """Whether existing potentials are only tested on the cells of data sets."""
        fits = bool(self.recipes) and all(self.exists(name) for name in self.fits)
        return not self.structures and bool(self.datasets.databases) and fits

    def exists(self, name: str) -> bool:
        """Whether the fit is a potential that was not trained here."""
        return self.fits[name].kind == "existing"

    def as_written(self) -> dict[str, Any]:
        """What differs from the defaults, as in the file, without the resources of fits."""
        resources = {"resources": True}
        return self.model_dump(
            mode="json",
            exclude_defaults=True,
            by_alias=True,
            exclude={
                "recipes": {"__all__": resources},
                "sweeps": {"__all__": {"recipe": resources}},
            },
        )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        # first what the others take for granted
        for checks in (
            [self._check_structures(), self._check_scaled(), self._check_fit_names()],
            [
                self._check_loop(),
                self._check_labels(),
                self._check_moments(),
                self._check_fits(),
                self._check_supercells(),
                self._check_methods(),
                self._check_constraints(),
                self._check_databases(),
                self._check_thermodynamics(),
                self._check_transitions(),
                self._check_conductivity(),
            ],
        ):
            if problems := [problem for check in checks for problem in check]:
                raise ValueError("\n".join(dict.fromkeys(problems)))
        return self

    def _check_structures(self) -> Iterator[str]:
        computing = [self.thermodynamics, self.transitions, self.conductivity, self.loop]
        if not self.structures and (not self.is_test_alone or any(computing)):
            yield (
                "structures: give at least one, here or in `structures_from`; only errors of "
                "existing fits on datasets.databases need none"
            )
            return
        for name, structure in self.structures.items():
            if self.recorded:
                yield from _check_recorded(name, structure, self.recorded)
                form = structure.recorded_format or self.recorded.format
                if form == "force_constants" and structure.role != "benchmark" and self.trained:
                    yield (
                        f"structures.{name}.role: force constants hold no labels that a fit could "
                        "learn from or be tested on; set `role: benchmark`"
                    )
            elif structure.recorded or structure.recorded_volumes:
                yield (
                    f"structures.{name}.recorded needs `reference: method: recorded`; "
                    "give a crystal `file` alone instead"
                )
        for name in RESERVED_STRUCTURE_NAMES & self.structures.keys():
            yield f"structures.{name}: this name is taken; choose another"
        if self.structures and not self.benchmarked:
            yield "structures: at least one needs `role: train` or `role: benchmark`"

    def _check_labels(self) -> Iterator[str]:
        limit = getattr(self.reference, "time_limit_minutes", 0)
        if self.labels.runtime_minutes is not None and self.labels.runtime_minutes <= limit:
            yield (
                f"labels.runtime_minutes: {self.labels.runtime_minutes} has to be more than "
                f"reference.time_limit_minutes, {limit:g}: a job outlives its runs"
            )
        if self.benchmarks.mechanics and self.reference.method != "calculator":
            yield "benchmarks.mechanics: needs a reference that is a calculator; set false"

    def _check_moments(self) -> Iterator[str]:
        """Magnetic moments need a code that starts from them, and magnetism needs moments."""
        reference = self.reference
        magnetic = isinstance(reference, MagneticReference) and reference.magnetic
        for name, structure in self.structures.items():
            if structure.magnetic_moments_bohr is None:
                continue
            key = f"structures.{name}.magnetic_moments_bohr"
            if structure.scaled:
                yield f"{key}: are those of {structure.scaled.of}; give them there"
            elif not isinstance(reference, MagneticReference):
                yield (
                    f"{key}: the reference method {reference.method} does not start from magnetic "
                    "moments, vasp and espresso do; leave them out"
                )
            elif not magnetic:
                yield f"{key}: needs reference.magnetism: true"
        if (
            isinstance(reference, MagneticReference)
            and magnetic
            and not any(reference.moments_by_element.values())
        ):
            yield from self._check_all_have_moments(reference)

    def _check_all_have_moments(self, reference: MagneticReference) -> Iterator[str]:
        without = [
            f"structures.{name}"
            for name, one in self.structures.items()
            if one.magnetic_moments_bohr is None and not one.scaled
        ]
        without += [
            f"datasets.databases.{name}"
            for name, one in self.datasets.databases.items()
            if one.relabel
        ]
        if without:
            yield (
                f"reference.magnetism: {listed(without)} would start without moments and stay at "
                f"zero; give reference.{reference.MOMENTS_KEY} by element, or "
                "magnetic_moments_bohr to structures"
            )

    def _check_recorded_fit(self, name: str, fit: RecordedFit) -> Iterator[str]:
        """A fit of recorded forces is of structures that are compared, and computes nothing."""
        for structure in fit.files:
            if structure not in self.benchmarked:
                yield (
                    f"fits.{name}.files.{structure}: no such structure is benchmarked; they are "
                    f"{listed(self.benchmarked)}"
                )
        computing = ("loop", "thermodynamics", "transitions", "conductivity")
        asked = [key for key in computing if getattr(self, key)]
        asked += ["benchmarks.mechanics"] if self.benchmarks.mechanics else []
        if asked:
            yield (
                f"fits.{name}: recorded forces compute nothing, but the campaign has "
                f"{listed(asked)}; compare recorded forces in a campaign without"
            )

    def _check_fits(self) -> Iterator[str]:
        for name in RESERVED_FIT_NAMES & self.fits.keys():
            yield f"fits.{name}: this name is taken; choose another"
        for name, fit in self.fits.items():
            if isinstance(fit, RecordedFit):
                yield from self._check_recorded_fit(name, fit)
            if isinstance(fit, TrainedFit) and not self._taught & set(fit.learn_from):
                yield (
                    f"fits.{name}.learn_from: this campaign has no such cells; it has "
                    f"{', '.join(sorted(self._taught))}"
                )
        if self.trained and not self.learnt:
            yield "structures: at least one needs `role: train`"

    def _check_scaled(self) -> Iterator[str]:
        for name, structure in self.structures.items():
            if structure.scaled is None:
                continue
            if self.recorded:
                yield f"structures.{name}.scaled: recorded crystals cannot be rescaled"
                continue
            of = self.structures.get(structure.scaled.of)
            if of is None or of.scaled:
                yield (
                    f"structures.{name}.scaled.of: '{structure.scaled.of}' is no crystal of this "
                    "campaign with an origin of its own"
                    f"{nearest(structure.scaled.of, self.structures)}"
                )

    @property
    def warmed(self) -> list[str]:
        """Ids of the crystals whose thermodynamics is computed."""
        if self.thermodynamics is None:
            return []
        wanted = self.thermodynamics.structures
        return self.at_rest if wanted == "all" else wanted

    @property
    def has_volumes(self) -> bool:
        """Whether the recorded data give the thermodynamics of a crystal."""
        known = [self.structures[name] for name in self.warmed if name in self.structures]
        return any(one.recorded_volumes for one in known)

    def _check_thermodynamics(self) -> Iterator[str]:
        for name, structure in self.structures.items():
            if structure.recorded_volumes and name not in self.warmed:
                yield (
                    f"structures.{name}.recorded_volumes: only `thermodynamics` uses them; add "
                    "this section, or the crystal to its `structures`"
                )
        for name in self.warmed:
            if name not in self.at_rest:
                yield (
                    f"thermodynamics.structures: '{name}' is no crystal at its own volume whose "
                    f"phonons are compared{nearest(name, self.at_rest)}"
                )

    def _check_transitions(self) -> Iterator[str]:
        for name, one in self.transitions.items():
            for structure in one.structures:
                if structure not in self.at_rest:
                    yield (
                        f"transitions.{name}.structures: '{structure}' is no crystal at its own "
                        f"volume whose phonons are compared{nearest(structure, self.at_rest)}"
                    )
            if one.driven_by == "temperature" or one.temperatures_kelvin:
                yield from self._check_thermodynamics_of(name, one)
            if one.driven_by == "pressure" and getattr(self.reference, "volume", "") == "fixed":
                yield (
                    f"transitions.{name}: relaxation under pressure needs reference.volume: relaxed"
                )

    def _check_thermodynamics_of(self, name: str, one: Transition) -> Iterator[str]:
        """Whether the free energies that a transition compares are computed."""
        where = f"transitions.{name}"
        if self.thermodynamics is None:
            yield f"{where}: needs `thermodynamics`, but the campaign has no such section"
            return
        for structure in one.structures:
            if structure not in self.warmed:
                yield (f"{where}.structures: '{structure}' is none of thermodynamics.structures")
        thermal = self.thermodynamics
        if one.driven_by == "temperature":
            known = thermal.pressures_gpa if thermal.quasi_harmonic else [0.0]
            if one.pressure_gpa not in known:
                told = ", ".join(f"{pressure:g}" for pressure in known)
                yield (
                    f"{where}.pressure_gpa: thermodynamics has {told} GPa, not {one.pressure_gpa:g}"
                )
            return
        if not thermal.quasi_harmonic or len(thermal.pressures_gpa) < 2:
            yield (
                f"{where}.temperatures_kelvin: needs quasi-harmonic thermodynamics at several "
                "pressures"
            )
        for kelvin in one.temperatures_kelvin:
            steps = kelvin / thermal.temperature_step_kelvin
            if kelvin > thermal.max_temperature_kelvin or abs(steps - round(steps)) > 1e-6:
                yield (f"{where}.temperatures_kelvin: {kelvin:g} is none of thermodynamics'")

    @property
    def transitions_in_loop(self) -> list[str]:
        """Names of the transitions that are computed with the fits of every generation."""
        if self.loop is None:
            return []
        goals = self.loop.goal.properties.values()
        asked = {goal.transition for goal in goals if goal.of == "transition"}
        return [key for key, one in self.transitions.items() if one.all_generations or key in asked]

    @property
    def conducting(self) -> list[str]:
        """Ids of the crystals whose thermal conductivity is computed."""
        if self.conductivity is None:
            return []
        wanted = self.conductivity.structures
        return self.benchmarked if wanted == "all" else wanted

    def _check_methods(self) -> Iterator[str]:
        """Whether something can compute the applications."""
        if self.recorded is None or self.fits:
            return
        asked = []
        if self.thermodynamics is not None and not self.has_volumes:
            asked.append("thermodynamics")
        if any(
            one.driven_by == "pressure" or not self.has_volumes for one in self.transitions.values()
        ):
            asked.append("transitions")
        if self.conductivity is not None and not self.has_third_order:
            asked.append("conductivity")
        if asked:
            more = "; give recorded_volumes of a crystal" * (asked[0] == "thermodynamics")
            yield (
                f"{asked[0]}: recorded data cannot compute it, and this campaign has no fits{more}"
            )

    def _check_supercells(self) -> Iterator[str]:
        for name in self.supercells.multiples:
            if name not in self.structures:
                yield (
                    f"supercells.multiples: there is no structure '{name}'"
                    f"{nearest(name, self.structures)}"
                )

    @property
    def conducting_in_loop(self) -> list[str]:
        """Those of them whose conductivity is computed with the fits of every generation."""
        if self.loop is None or self.conductivity is None:
            return []
        goals = self.loop.goal.properties.values()
        asked = {goal.structure for goal in goals if goal.of == "conductivity"}
        everyone = self.conductivity.all_generations
        return [one for one in self.conducting if everyone or one in asked]

    def _check_conductivity(self) -> Iterator[str]:
        if self.conductivity is None:
            return
        for name in self.conducting:
            if name not in self.benchmarked:
                yield (
                    f"conductivity.structures: '{name}' is no crystal whose phonons are compared"
                    f"{nearest(name, self.benchmarked)}"
                )
        for name in self.conducting:
            own = name in self.structures and self.structures[name].masses
            if own and True in self.conductivity.isotopes:
                yield (
                    f"conductivity.isotopes: natural isotopes do not scatter in '{name}', which "
                    "has masses of its own; set [false]"
                )
        for one in self.conductivity.published:
            if one.structure not in self.conducting:
                yield (
                    f"conductivity.published: there is no κ of '{one.structure}' here"
                    f"{nearest(one.structure, self.conducting)}"
                )

    def _check_loop(self) -> Iterator[str]:
        if self.loop is None:
            return
        if self.recorded:
            yield "loop: recorded data cannot label new cells"
        if "rattled" not in self.supercells.kinds:
            yield "loop: new cells are rattled ones; supercells.kinds lacks `rattled`"
        if not self.trained:
            yield "loop: no fit learns from new cells"
            return
        judges = self.loop.judges or self.trained[0]
        if judges not in self.groups or judges not in self.trained:
            trained = [name for name in self.groups if name in self.trained]
            yield (
                f"loop.judges: there is no trained fit '{judges}'; this campaign has "
                f"{', '.join(trained)}{nearest(judges, trained)}"
            )
            return
        repeats, judge = len(self.groups[judges]), self.fits[judges]
        resampled = isinstance(judge, TrainedFit) and judge.resampled
        if self.loop.selection.method == "committee" and (repeats < 2 or not resampled):
            yield (
                f"loop.selection: a committee needs `repeats: 3` (2 at least) and `resampled: "
                f"true` of '{judges}': repeats of the same labels agree even where they are wrong"
            )
        yield from self._check_selection(self.loop.selection, judges)
        yield from self._check_goal(self.loop.goal)
        if not any("rattled" in self.fits[name].learn_from for name in self.trained):
            yield (
                "loop: new cells are rattled ones, and no fit learns from them; add `rattled` to "
                "its learn_from"
            )

    def _check_selection(self, selection: Selection, judges: str) -> Iterator[str]:
        """Whether the cells of later generations can be chosen."""
        assert self.loop is not None
        wanted, candidates = self.loop.cells_per_structure, selection.pool_size
        if selection.dynamics:
            candidates += selection.dynamics.runs * selection.dynamics.snapshots
        if wanted > candidates:
            yield (
                f"loop.cells_per_structure: {wanted} cells cannot be chosen from {candidates} "
                "candidates; raise loop.selection.pool_size"
            )
        by_features = selection.method != "random" and selection.descriptor == "mace"
        if by_features and self.fits[judges].kind != "mace":
            yield (
                f"loop.selection.descriptor: mace needs a fit of kind mace, and '{judges}' is none;"
                " name one in loop.judges, or use soap"
            )

    def _check_goal(self, goal: Goal) -> Iterator[str]:
        """Whether the goal can be judged and met."""
        assert self.loop is not None
        for name, one in goal.properties.items():
            yield from self._check_property(f"loop.goal.properties.{name}", one)
        if goal.properties and self.loop.max_generations < 2:
            yield (
                "loop.goal.properties: the second generation is the first to show whether a "
                "property has settled; raise loop.max_generations"
            )
        if goal.cell not in self.phonons.cells:
            yield (
                f"loop.goal.cell: phonons.cells has no '{goal.cell}', it has "
                f"{', '.join(self.phonons.cells)}"
            )
        # the default limit is for campaigns that relax; there alone it can be judged
        default = Goal.model_fields["max_volume_error_percent"].default
        if (
            goal.max_volume_error_percent not in (None, default)
            and "relaxed" not in self.phonons.cells
        ):
            yield (
                "loop.goal.max_volume_error_percent: no fit relaxes its cell; add `relaxed` to "
                "phonons.cells, or set it to null"
            )
        tested = (
            self.datasets.test_fraction > 0
            or len(self.learnt) < len(self.structures)
            or "displaced" not in self.supercells.kinds
            or any(one.test_files for one in self.datasets.databases.values())
        )
        if goal.max_force_rmse_ev_per_angstrom is not None and not tested:
            yield (
                "loop.goal.max_force_rmse_ev_per_angstrom: there are no cells to test on; raise "
                "datasets.test_fraction"
            )

    def _check_property(self, where: str, goal: AnyPropertyGoal) -> Iterator[str]:
        match goal:
            case ConductivityGoal():
                if goal.structure not in self.conducting:
                    yield (
                        f"{where}: the campaign computes no κ of '{goal.structure}'"
                        f"{nearest(goal.structure, self.conducting)}"
                    )
                    return
                assert self.conductivity is not None
                known = self.conductivity.temperatures_kelvin
                if goal.temperature_kelvin not in known:
                    yield (
                        f"{where}: {goal.temperature_kelvin:g} is none of "
                        "conductivity.temperatures_kelvin"
                    )
            case TransitionGoal():
                if goal.transition not in self.transitions:
                    yield (
                        f"{where}: there is no transition '{goal.transition}'"
                        f"{nearest(goal.transition, self.transitions)}"
                    )
                    return
                driven_by = self.transitions[goal.transition].driven_by
                limit = {"temperature": "within_kelvin", "pressure": "within_gpa"}[driven_by]
                if getattr(goal, limit) is None:
                    yield (f"{where}: '{goal.transition}' is driven by {driven_by}: give {limit}")

    def _check_fit_names(self) -> Iterator[str]:
        taken: set[str] = set()
        for name, fit in self.recipes.items():
            repeats = repeats_of(name, fit).keys()
            if taken & repeats:
                yield f"fits.{name}.repeats: there is a fit {min(taken & repeats)}"
            taken |= repeats
        for name, sweep in self.sweeps.items():
            try:
                recipes = sweep.fits(name)
            except ValueError as error:
                yield from (f"sweeps.{name}.{line}" for line in str(error).splitlines())
                continue
            for key, fit in recipes.items():
                fits = repeats_of(key, fit).keys()
                if taken & fits:
                    yield f"sweeps.{name}: there is a fit {min(taken & fits)} already"
                taken |= fits
        if not taken and not (self.thermodynamics or self.transitions or self.conductivity):
            yield (
                "fits: give at least one, here or in `sweeps`; an application (thermodynamics, "
                "transitions, conductivity) can do with the reference alone"
            )

    @property
    def _taught(self) -> set[str]:
        """Kinds of labelled cells that fits can learn from."""
        if self.recorded:
            return {"displaced", "rattled", "recorded"}
        recorded = any(one.train_files for one in self.datasets.databases.values())
        return {*self.supercells.kinds, *(["recorded"] if recorded else [])}

    def _check_constraints(self) -> Iterator[str]:
        constraints = self.datasets.constraints
        if constraints is None:
            return
        for name in [] if constraints.structures == "all" else constraints.structures:
            if name not in self.structures:
                yield (
                    f"datasets.constraints.structures: no structure '{name}'"
                    f"{nearest(name, self.structures)}"
                )
                continue
            if name not in self.learnt:
                yield (
                    f"datasets.constraints.structures: '{name}' has `role: "
                    f"{self.structures[name].role}`, no fit may learn from it"
                )
            if self.structures[name].scaled:
                yield (
                    f"datasets.constraints.structures: '{name}' is held at its volume, its stress "
                    "is not zero"
                )
        if not self.recorded and not self.relaxation.reference:
            yield (
                "datasets.constraints: zero stress would be stated on crystals that the reference "
                "has not relaxed; set relaxation.reference: true or drop the constraints"
            )

    def _check_databases(self) -> Iterator[str]:
        for name, database in self.datasets.databases.items():
            if name in self.structures:
                yield f"datasets.databases.{name}: a structure has this name"
            for file in (*database.train_files, *database.test_files):
                if not database.source.may_hold(file):
                    yield (f"datasets.databases.{name}: '{file}' is not among its source.files")
            if set(database.train_files) & set(database.test_files):
                yield (f"datasets.databases.{name}: a file is in train_files and test_files")
            if database.relabel and self.recorded:
                yield (f"datasets.databases.{name}.relabel: recorded data cannot label new cells")
            if (
                not database.relabel
                and not self.datasets.allow_mixed_levels_of_theory
                and database.level_of_theory != self.level_of_theory
            ):
                yield (
                    f"datasets.databases.{name}: level of theory '{database.level_of_theory}' is "
                    f"not the reference's '{self.level_of_theory}'; set `relabel: true`, or "
                    "`datasets.allow_mixed_levels_of_theory: true` if you want the mixture"
                )

    @property
    def level_of_theory(self) -> str:
        """What the labels are: code and functional, or the name of the calculator."""
        return self.reference.level_of_theory


def repeats_of(name: str, fit: Fit) -> dict[str, Fit]:
    """The fit itself and its repeats, by name, each with a seed of its own."""
    if not isinstance(fit, TrainedFit):
        return {name: fit}
    repeats: dict[str, Fit] = {name: fit.model_copy(update={"repeats": 1})}
    for number in range(2, fit.repeats + 1):
        changes = {
            "repeats": 1,
            "seed": fit.seed + number - 1,
            "label": f"{fit.label or name}, repeat {number}",
        }
        repeats[f"{name}-r{number}"] = fit.model_copy(update=changes)
    return repeats


def _check_recorded(name: str, structure: Structure, reference: RecordedReference) -> Iterator[str]:
    if structure.recorded is None:
        yield f"structures.{name}: a recorded reference needs `recorded`"
        return
    form = structure.recorded_format or reference.format
    of_phonopy = form in ("force_sets", "force_constants")
    if structure.recorded_supercell and not of_phonopy:
        yield (
            f"structures.{name}.recorded_supercell: {form} data tell the supercell; only force_sets"
            " and force_constants need it"
        )
    where = f"structures.{name}"
    yield from _check_data(where, form, structure.recorded, structure.file, reference)
    for number, one in enumerate(structure.recorded_volumes):
        where = f"structures.{name}.recorded_volumes.{number}"
        yield from _check_data(where, form, one.recorded, one.file, reference)
    energies = structure.recorded_energies
    if energies and not reference.source.may_hold(energies):
        yield (
            f"structures.{name}.recorded_energies: '{energies}' is not among reference.source.files"
        )


def _check_data(
    where: str,
    form: str,
    recorded: str | list[str],
    file: str | None,
    reference: RecordedReference,
) -> Iterator[str]:
    """Whether recorded data come with the crystal's file where they need it, and are named."""
    holds_crystal = form in HOLDS_CRYSTAL
    one_file = holds_crystal or form in ("force_sets", "force_constants")
    if holds_crystal and file:
        yield f"{where}.file: {form} data hold the crystal; drop `file`"
    if one_file and not isinstance(recorded, str):
        yield f"{where}.recorded: has to be one {form} file"
    if not holds_crystal and file is None:
        yield (
            f"{where}.file: {form} data do not tell the crystal; give its "
            "`file` (POSCAR, CIF or extxyz) beside `recorded`; cells to test on that are of no "
            "crystal are `test_files` of `datasets.databases`"
        )
    for path in [recorded] if isinstance(recorded, str) else recorded:
        if not reference.source.may_hold(path):
            yield f"{where}.recorded: '{path}' is not among reference.source.files"


# --- reading ---------------------------------------------------------------------------------


def load_campaign(path: str | Path) -> Campaign:
    """Read and check one campaign file, and the lists of structures it names.

    Raises
    ------
    PhonsmithError
        All problems, a line each: the file, the key's path, what was found, what is allowed.
    """
    path = Path(path)
    settings = load_yaml(path, "campaign file")
    try:
        lists = _paths(settings.get("structures_from"))
        found = {name: one for file in lists for name, one in _structures_in(file).items()}
        own = settings.get("structures") or {}
        if found and isinstance(own, dict):
            settings["structures"] = found | own
        return Campaign.model_validate(settings)
    except PhonsmithError as error:
        raise PhonsmithError(f"{path}: structures_from: {error}") from None
    except ValidationError as error:
        problems = problems_of(error, Campaign)
        raise PhonsmithError("\n".join(f"{path}: {one}" for one in problems)) from None


def _paths(given: Any) -> list[str]:
    """The files of ``structures_from``; what is none is left to the validation."""
    paths = [given] if isinstance(given, str) else given
    texts = [one for one in paths if isinstance(one, str)] if isinstance(paths, list) else []
    return [one for one in texts if not why_no_path(one)]


def _structures_in(file: str) -> dict[str, Any]:
    content = load_yaml(file, "list of structures")
    structures = content.get("structures")
    if set(content) != {"structures"} or not isinstance(structures, dict):
        raise PhonsmithError(f"{file}: has to hold `structures`, a mapping of ids, and no more")
    return structures
