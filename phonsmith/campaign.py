"""A campaign: all of its settings, consistent with each other, read from one YAML file.

The models here, in :mod:`phonsmith.settings` and in :mod:`phonsmith.recipes` are the only source
of settings: the JSON schema in ``config/`` and the settings page of the docs are made from them.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from phonsmith.applications import Conductivity, Thermodynamics, Transition
from phonsmith.errors import PhonsmithError
from phonsmith.recipes import ExistingFit, Fit
from phonsmith.references import RecordedReference, Reference
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
        return [name for name, fit in self.fits.items() if fit.kind != "existing"]

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
        if not self.structures:
            raise ValueError("structures: give at least one, here or in `structures_from`")
        for name, structure in self.structures.items():
            if self.recorded:
                _check_recorded(name, structure, self.recorded)
            elif structure.recorded:
                raise ValueError(
                    f"structures.{name}.recorded needs `reference: method: recorded`; "
                    "give a crystal `file` alone instead"
                )
        self._check_scaled()
        for name in RESERVED_STRUCTURE_NAMES & self.structures.keys():
            raise ValueError(f"structures.{name}: this name is taken; choose another")
        self._check_fit_names()
        self._check_loop()
        limit = getattr(self.reference, "time_limit_minutes", 0)
        if self.labels.runtime_minutes is not None and self.labels.runtime_minutes <= limit:
            raise ValueError(
                f"labels.runtime_minutes: {self.labels.runtime_minutes} has to be more than "
                f"reference.time_limit_minutes, {limit:g}: a job outlives its runs"
            )
        for name in RESERVED_FIT_NAMES & self.fits.keys():
            raise ValueError(f"fits.{name}: this name is taken; choose another")
        for name, fit in self.fits.items():
            if fit.kind != "existing" and not self._taught & set(fit.learn_from):
                raise ValueError(
                    f"fits.{name}.learn_from: this campaign has no such cells; it has "
                    f"{', '.join(sorted(self._taught))}"
                )
        if self.trained and not self.learnt:
            raise ValueError("structures: at least one needs `role: train`")
        if not self.benchmarked:
            raise ValueError("structures: at least one needs `role: train` or `role: benchmark`")
        self._check_supercells()
        self._check_methods()
        self._check_datasets()
        self._check_thermodynamics()
        self._check_transitions()
        self._check_conductivity()
        if self.benchmarks.mechanics and self.reference.method != "calculator":
            raise ValueError(
                "benchmarks.mechanics: needs a reference that is a calculator; set false"
            )
        return self

    def _check_scaled(self) -> None:
        for name, structure in self.structures.items():
            if structure.scaled is None:
                continue
            if self.recorded:
                raise ValueError(f"structures.{name}.scaled: recorded crystals are as they are")
            of = self.structures.get(structure.scaled.of)
            if of is None or of.scaled:
                raise ValueError(
                    f"structures.{name}.scaled.of: '{structure.scaled.of}' is no crystal of this "
                    "campaign with an origin of its own"
                )

    @property
    def warmed(self) -> list[str]:
        """Ids of the crystals whose thermodynamics is computed."""
        if self.thermodynamics is None:
            return []
        wanted = self.thermodynamics.structures
        return self.at_rest if wanted == "all" else wanted

    def _check_thermodynamics(self) -> None:
        for name in self.warmed:
            if name not in self.at_rest:
                raise ValueError(
                    f"thermodynamics.structures: '{name}' is no crystal at its own volume whose "
                    "phonons are compared"
                )

    def _check_transitions(self) -> None:
        for name, one in self.transitions.items():
            for structure in one.structures:
                if structure not in self.at_rest:
                    raise ValueError(
                        f"transitions.{name}.structures: '{structure}' is no crystal at its own "
                        "volume whose phonons are compared"
                    )
            if one.driven_by == "temperature" or one.temperatures_kelvin:
                self._check_thermodynamics_of(name, one)
            if one.driven_by == "pressure" and getattr(self.reference, "volume", "") == "fixed":
                raise ValueError(
                    f"transitions.{name}: relaxation under pressure needs reference.volume: relaxed"
                )

    def _check_thermodynamics_of(self, name: str, one: Transition) -> None:
        """Whether the free energies that a transition compares are computed."""
        where = f"transitions.{name}"
        if self.thermodynamics is None:
            raise ValueError(f"{where}: needs `thermodynamics`, which this campaign has not")
        for structure in one.structures:
            if structure not in self.warmed:
                raise ValueError(
                    f"{where}.structures: '{structure}' is none of thermodynamics.structures"
                )
        thermal = self.thermodynamics
        if one.driven_by == "temperature":
            known = thermal.pressures_gpa if thermal.quasi_harmonic else [0.0]
            if one.pressure_gpa not in known:
                told = ", ".join(f"{pressure:g}" for pressure in known)
                raise ValueError(
                    f"{where}.pressure_gpa: thermodynamics has {told} GPa, not {one.pressure_gpa:g}"
                )
            return
        if not thermal.quasi_harmonic or len(thermal.pressures_gpa) < 2:
            raise ValueError(
                f"{where}.temperatures_kelvin: needs quasi-harmonic thermodynamics at several "
                "pressures"
            )
        for kelvin in one.temperatures_kelvin:
            steps = kelvin / thermal.temperature_step_kelvin
            if kelvin > thermal.max_temperature_kelvin or abs(steps - round(steps)) > 1e-6:
                raise ValueError(
                    f"{where}.temperatures_kelvin: {kelvin:g} is none of thermodynamics'"
                )

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

    def _check_methods(self) -> None:
        """Whether something can compute the applications."""
        if self.recorded is None or self.fits:
            return
        asked = [key for key in ("thermodynamics", "transitions") if getattr(self, key)]
        if self.conductivity is not None and self.recorded.format != "phono3py":
            asked.append("conductivity")
        if asked:
            raise ValueError(
                f"{asked[0]}: recorded data cannot compute it, and this campaign has no fits"
            )

    def _check_supercells(self) -> None:
        for name in self.supercells.multiples:
            if name not in self.structures:
                raise ValueError(f"supercells.multiples: there is no structure '{name}'")

    @property
    def conducting_in_loop(self) -> list[str]:
        """Those of them whose conductivity is computed with the fits of every generation."""
        if self.loop is None or self.conductivity is None:
            return []
        goals = self.loop.goal.properties.values()
        asked = {goal.structure for goal in goals if goal.of == "conductivity"}
        everyone = self.conductivity.all_generations
        return [one for one in self.conducting if everyone or one in asked]

    def _check_conductivity(self) -> None:
        if self.conductivity is None:
            return
        for name in self.conducting:
            if name not in self.benchmarked:
                raise ValueError(
                    f"conductivity.structures: '{name}' is no crystal whose phonons are compared"
                )
        for one in self.conductivity.published:
            if one.structure not in self.conducting:
                raise ValueError(f"conductivity.published: there is no κ of '{one.structure}' here")

    def _check_loop(self) -> None:
        if self.loop is None:
            return
        if self.recorded:
            raise ValueError("loop: recorded data cannot label new cells")
        if "rattled" not in self.supercells.kinds:
            raise ValueError("loop: new cells are rattled ones; supercells.kinds lacks `rattled`")
        if not self.trained:
            raise ValueError("loop: no fit learns from new cells")
        judges = self.loop.judges or self.trained[0]
        if judges not in self.groups or judges not in self.trained:
            raise ValueError(f"loop.judges: there is no trained fit '{judges}'")
        if self.loop.selection.method == "committee" and len(self.groups[judges]) < 2:
            raise ValueError(
                f"loop.selection: a committee needs `repeats: 2` or more of '{judges}'"
            )
        self._check_selection(self.loop.selection, judges)
        self._check_goal(self.loop.goal)
        if not any("rattled" in self.fits[name].learn_from for name in self.trained):
            raise ValueError(
                "loop: new cells are rattled ones, and no fit learns from them; add `rattled` to "
                "its learn_from"
            )

    def _check_selection(self, selection: Selection, judges: str) -> None:
        """Whether the cells of later generations can be chosen."""
        assert self.loop is not None
        wanted, candidates = self.loop.cells_per_structure, selection.pool_size
        if selection.dynamics:
            candidates += selection.dynamics.runs * selection.dynamics.snapshots
        if wanted > candidates:
            raise ValueError(
                f"loop.cells_per_structure: {wanted} cells cannot be chosen from {candidates} "
                "candidates; raise loop.selection.pool_size"
            )
        by_features = selection.method != "random" and selection.descriptor == "mace"
        if by_features and self.fits[judges].kind != "mace":
            raise ValueError(
                f"loop.selection.descriptor: mace needs a fit of kind mace, and '{judges}' is none;"
                " name one in loop.judges, or use soap"
            )

    def _check_goal(self, goal: Goal) -> None:
        """Whether the goal can be judged and met."""
        assert self.loop is not None
        for name, one in goal.properties.items():
            self._check_property(f"loop.goal.properties.{name}", one)
        if goal.properties and self.loop.max_generations < 2:
            raise ValueError(
                "loop.goal.properties: the second generation is the first to show whether a "
                "property has settled; raise loop.max_generations"
            )
        if goal.cell not in self.phonons.cells:
            raise ValueError(
                f"loop.goal.cell: phonons.cells has no '{goal.cell}', it has "
                f"{', '.join(self.phonons.cells)}"
            )
        # the default limit is for campaigns that relax; there alone it can be judged
        default = Goal.model_fields["max_volume_error_percent"].default
        if (
            goal.max_volume_error_percent not in (None, default)
            and "relaxed" not in self.phonons.cells
        ):
            raise ValueError(
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
            raise ValueError(
                "loop.goal.max_force_rmse_ev_per_angstrom: there are no cells to test on; raise "
                "datasets.test_fraction"
            )

    def _check_property(self, where: str, goal: AnyPropertyGoal) -> None:
        match goal:
            case ConductivityGoal():
                if goal.structure not in self.conducting:
                    raise ValueError(f"{where}: the campaign computes no κ of '{goal.structure}'")
                assert self.conductivity is not None
                known = self.conductivity.temperatures_kelvin
                if goal.temperature_kelvin not in known:
                    raise ValueError(
                        f"{where}: {goal.temperature_kelvin:g} is none of "
                        "conductivity.temperatures_kelvin"
                    )
            case TransitionGoal():
                if goal.transition not in self.transitions:
                    raise ValueError(f"{where}: there is no transition '{goal.transition}'")
                driven_by = self.transitions[goal.transition].driven_by
                limit = {"temperature": "within_kelvin", "pressure": "within_gpa"}[driven_by]
                if getattr(goal, limit) is None:
                    raise ValueError(
                        f"{where}: '{goal.transition}' is driven by {driven_by}: give {limit}"
                    )

    def _check_fit_names(self) -> None:
        taken: set[str] = set()
        for name, fit in self.recipes.items():
            repeats = repeats_of(name, fit).keys()
            if taken & repeats:
                raise ValueError(f"fits.{name}.repeats: there is a fit {min(taken & repeats)}")
            taken |= repeats
        for name, sweep in self.sweeps.items():
            try:
                recipes = sweep.fits(name)
            except ValueError as error:
                raise ValueError(f"sweeps.{name}.{error}") from None
            for key, fit in recipes.items():
                fits = repeats_of(key, fit).keys()
                if taken & fits:
                    raise ValueError(f"sweeps.{name}: there is a fit {min(taken & fits)} already")
                taken |= fits
        if not taken and not (self.thermodynamics or self.transitions or self.conductivity):
            raise ValueError(
                "fits: give at least one, here or in `sweeps`; an application (thermodynamics, "
                "transitions, conductivity) can do with the reference alone"
            )

    @property
    def _taught(self) -> set[str]:
        """Kinds of labelled cells that fits can learn from."""
        if self.recorded:
            return {"displaced", "rattled", "recorded"}
        return {*self.supercells.kinds, *(["recorded"] if self.datasets.databases else [])}

    def _check_constraints(self) -> None:
        constraints = self.datasets.constraints
        if constraints is None:
            return
        for name in [] if constraints.structures == "all" else constraints.structures:
            if name not in self.structures:
                raise ValueError(f"datasets.constraints.structures: no structure '{name}'")
            if name not in self.learnt:
                raise ValueError(
                    f"datasets.constraints.structures: '{name}' has `role: "
                    f"{self.structures[name].role}`, no fit may learn from it"
                )
            if self.structures[name].scaled:
                raise ValueError(
                    f"datasets.constraints.structures: '{name}' is held at its volume, its stress "
                    "is not zero"
                )
        if not self.recorded and not self.relaxation.reference:
            raise ValueError(
                "datasets.constraints: zero stress would be stated on crystals that the reference "
                "has not relaxed; set relaxation.reference: true or drop the constraints"
            )

    def _check_datasets(self) -> None:
        self._check_constraints()
        for name, database in self.datasets.databases.items():
            if name in self.structures:
                raise ValueError(f"datasets.databases.{name}: a structure has this name")
            for file in (*database.train_files, *database.test_files):
                if not _covers(database.source.files, file):
                    raise ValueError(
                        f"datasets.databases.{name}: '{file}' is not among its source.files"
                    )
            if set(database.train_files) & set(database.test_files):
                raise ValueError(
                    f"datasets.databases.{name}: a file is in train_files and test_files"
                )
            if database.relabel and self.recorded:
                raise ValueError(
                    f"datasets.databases.{name}.relabel: recorded data cannot label new cells"
                )
            if (
                not database.relabel
                and not self.datasets.allow_mixed_levels_of_theory
                and database.level_of_theory != self.level_of_theory
            ):
                raise ValueError(
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
    if isinstance(fit, ExistingFit):
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


def _check_recorded(name: str, structure: Structure, reference: RecordedReference) -> None:
    if structure.recorded is None:
        raise ValueError(f"structures.{name}: a recorded reference needs `recorded`")
    holds_crystal = reference.format in ("phonopy", "phono3py")
    if holds_crystal and structure.file:
        raise ValueError(
            f"structures.{name}.file: {reference.format} data hold the crystal; drop `file`"
        )
    if holds_crystal and not isinstance(structure.recorded, str):
        raise ValueError(f"structures.{name}.recorded: has to be one {reference.format} file")
    if not holds_crystal and structure.file is None:
        raise ValueError(
            f"structures.{name}.file: {reference.format} data do not tell the crystal; give its "
            "`file` (POSCAR, CIF or extxyz) beside `recorded`"
        )
    recorded = structure.recorded
    for path in [recorded] if isinstance(recorded, str) else recorded:
        if not _covers(reference.source.files, path):
            raise ValueError(
                f"structures.{name}.recorded: '{path}' is not among reference.source.files"
            )


def _covers(files: dict[str, str], wanted: str) -> bool:
    """Whether ``wanted`` is one of the files or a folder that holds some of them."""
    return wanted in files or any(name.startswith(wanted.rstrip("/") + "/") for name in files)


# --- reading ---------------------------------------------------------------------------------


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key may stand once only, and no number to the base 60."""


def _mapping_without_repetition(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{key}' stands here twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    if ":" in node.value:
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"YAML takes {node.value} for a number to the base 60; write a time as one number in "
            "the unit of its key (a day is 1440 minutes), and a text in quotes",
            node.start_mark,
        )
    kind = node.tag.rpartition(":")[2]
    make = loader.construct_yaml_int if kind == "int" else loader.construct_yaml_float
    return make(node)


for _tag in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _decimal)
_StrictLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repetition
)


def load_campaign(path: str | Path) -> Campaign:
    """Read and check one campaign file, and the lists of structures it names.

    Raises
    ------
    PhonsmithError
        One line: the file, the key's path, what was found and what is allowed.
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
        raise PhonsmithError(f"{path}: {in_words(error)}") from None


def _paths(given: Any) -> list[str]:
    """The files of ``structures_from``; what is none is left to the validation."""
    paths = [given] if isinstance(given, str) else given
    texts = [one for one in paths if isinstance(one, str)] if isinstance(paths, list) else []
    return [one for one in texts if not why_no_path(one)]


def _structures_in(file: str) -> dict[str, Any]:
    content = load_yaml(Path(file), "list of structures")
    structures = content.get("structures")
    if set(content) != {"structures"} or not isinstance(structures, dict):
        raise PhonsmithError(f"{file}: has to hold `structures`, a mapping of ids, and no more")
    return structures


def load_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file in which every key stands once; ``what`` names it in messages.

    Raises
    ------
    PhonsmithError
        One line: the file, the line in it, and what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PhonsmithError(f"{path}: no such {what}") from None
    except (OSError, ValueError) as error:
        raise PhonsmithError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    try:
        content = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None)
        raise PhonsmithError(f"{path}:{line} {problem or 'not valid YAML'}") from None
    except (ValueError, TypeError, RecursionError) as error:  # e.g. a date in month 13
        raise PhonsmithError(f"{path}: not valid YAML ({error})") from None
    if not isinstance(content, dict):
        raise PhonsmithError(f"{path}: has to be a mapping of keys to values")
    return content


def in_words(error: ValidationError) -> str:
    """The first error of a validation in one line, and how many more there are."""
    errors = error.errors()
    first = errors[0]
    # discriminated unions put the tag into the location; it is no key of the file
    tags = {"gap", "mace", "existing", "calculator", "recorded", "espresso", "vasp"}
    keys = [
        str(part)
        for i, part in enumerate(first["loc"])
        if part != "[key]" and not _is_tag(part, i, first, tags)
    ]
    where = ".".join("".join(c if c.isprintable() else repr(c)[1:-1] for c in key) for key in keys)
    if first["type"] == "extra_forbidden":
        message = "unknown key"
    elif first["type"] == "missing":
        message = "is missing"
    else:
        message = first["msg"].removeprefix("Value error, ")
        if not isinstance(first["input"], dict):
            found = repr(first["input"])
            message += f" (found {found if len(found) <= 200 else found[:200] + ' …'})"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {message}{more}" if where else f"{message}{more}"


def _is_tag(part: int | str, position: int, error: Any, tags: set[str]) -> bool:
    location = error["loc"]
    if part not in tags:
        return False
    after_fit = position == 2 and location[0] == "fits"
    after_reference = position == 1 and location[0] == "reference"
    return after_fit or after_reference
