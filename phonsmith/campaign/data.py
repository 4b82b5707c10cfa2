"""The settings of a campaign.

The settings modules of the stages and this module are the only source of settings: the JSON schema
in ``config/`` and the settings page of the docs are generated from them."""

from functools import cached_property
from typing import Any

from pydantic import Field, NonNegativeInt, ValidationInfo, field_validator

from phonsmith.benchmarks.settings import Benchmarks
from phonsmith.campaign.sweeps import Sweep, Value, values_text
from phonsmith.conductivity.settings import Conductivity
from phonsmith.datasets.settings import Datasets
from phonsmith.disorder.settings import Disorder, SideBySide
from phonsmith.distillation.settings import Distilled
from phonsmith.figures.settings import Figures
from phonsmith.files.settings import Files, Model, Name
from phonsmith.fits.registry import Fit, computes
from phonsmith.fits.settings import TrainedFit
from phonsmith.generations.settings import Loop
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.registry import Reference
from phonsmith.labels.settings import Labels
from phonsmith.phonons.settings import Phonons
from phonsmith.structures.settings import Relaxation, Structure
from phonsmith.supercells.settings import Supercells
from phonsmith.thermodynamics.settings import Thermodynamics
from phonsmith.transitions.settings import Transition


class CampaignData(Model):
    """Settings of a campaign, and quantities derived from them alone."""

    description: str = Field("", description="One line for tables and reports.")
    seed: NonNegativeInt = Field(0, description="Seed of all random choices.")
    structures_from: Files = Field(
        default_factory=list,
        description="Files with further `structures`, as written by `python -m "
        "phonsmith.structures.candidates`; relative to the project. An entry in `structures` "
        "overrides an entry with equal id in these files.",
    )
    structures: dict[Name, Structure] = Field(default_factory=dict, description="Crystals, by id.")
    reference: Reference
    relaxation: Relaxation = Field(Relaxation(), validate_default=True)
    supercells: Supercells = Supercells()
    labels: Labels = Labels()
    distillation: dict[Name, Distilled] = Field(
        default_factory=dict,
        description="Further labelled cells, by name: of molecular dynamics or random structure "
        "searches by the reference method, if it is a `calculator` (the teacher), or snapshots of "
        "molecular dynamics by a `driver`.",
    )
    datasets: Datasets = Datasets()
    recipes: dict[Name, Fit] = Field(
        default_factory=dict, alias="fits", description="Potentials, by name."
    )
    sweeps: dict[Name, Sweep] = Field(
        default_factory=dict, description="Further potentials: recipes with lists of settings."
    )
    phonons: Phonons = Phonons()
    benchmarks: Benchmarks = Benchmarks()
    thermodynamics: Thermodynamics | None = Field(
        None, description="Equations of state and free energies; not computed by default."
    )
    transitions: dict[Name, Transition] = Field(
        default_factory=dict, description="Phase transitions, by name."
    )
    conductivity: Conductivity | None = Field(
        None, description="Lattice thermal conductivity; not computed by default."
    )
    disorder: Disorder | None = Field(
        None,
        description="Compression, melting and quenching by all potentials; not run by default.",
    )
    loop: Loop | None = Field(
        None, description="Generations until a goal is met; default: a single generation."
    )
    figures: Figures = Figures()

    @field_validator("relaxation")
    @classmethod
    def _as_the_method_relaxes(cls, relaxation: Relaxation, info: ValidationInfo) -> Relaxation:
        """Set the convergence criterion that the reference method reaches, if none is given."""
        key = "fmax_ev_per_angstrom"
        if key in relaxation.model_fields_set or "reference" not in info.data:
            return relaxation
        reached = info.data["reference"].RELAXES_TO_EV_PER_ANGSTROM
        return relaxation.model_copy(update={key: reached})

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
        """Ids of the compared crystals at zero pressure, without scaled ones."""
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
        """Return the values of each fit of a sweep by title; repeats share values."""
        combinations = self.sweeps[sweep].combinations(sweep)
        return {fit: values for one, values in combinations.items() for fit in self.groups[one]}

    @cached_property
    def sizes(self) -> dict[str, str]:
        """Series of each fit of the sweeps over `distilled_cells`: sweep and other settings."""
        found = {}
        for name, sweep in self.sweeps.items():
            if "distilled_cells" in sweep.settings:
                title = sweep.recipe.label or name
                for fit, values in self.swept(name).items():
                    others = {key: one for key, one in values.items() if key != "distilled_cells"}
                    found[fit] = ", ".join(filter(None, [title, values_text(others)]))
        return found

    @property
    def judges(self) -> list[str]:
        """Names of the fits used to select the cells of the next generation."""
        if self.loop is None:
            return []
        selection = self.loop.selection
        if not selection.needs_potential:
            return []
        repeats = self.groups[self.loop.judges or self.selecting[0]]
        return repeats if selection.method == "committee" else repeats[:1]

    @cached_property
    def trained(self) -> list[str]:
        """Names of the fits that are trained on labels."""
        return [name for name, fit in self.fits.items() if isinstance(fit, TrainedFit)]

    @cached_property
    def without_potential(self) -> list[str]:
        """Names of the trained fits that consist of force constants alone."""
        return [name for name in self.trained if not computes(self.fits[name])]

    @cached_property
    def trained_potentials(self) -> list[str]:
        """Names of the trained fits that give energies and forces of any cell."""
        return [name for name in self.trained if name not in self.without_potential]

    @cached_property
    def described(self) -> list[str]:
        """Names of the trained potentials that the report describes by a card.

        Repeats and the many fits of a sweep have cards on request.
        """
        return [name for name in self.recipes if name in self.trained_potentials]

    @cached_property
    def deciding(self) -> list[str]:
        """Names of the recipes that end the loop when they meet the goal.

        By default the potentials, if any is trained: force constants reproduce the displaced cells
        of which the reference phonons consist, so that they would end a loop of potentials early.
        """
        if self.loop and self.loop.decided_by is not None:
            return self.loop.decided_by
        trained = [name for name in self.groups if name in self.trained]
        return [name for name in trained if name in self.trained_potentials] or trained

    @property
    def selecting(self) -> list[str]:
        """Names of the recipes that can select cells: the trained potentials."""
        return [name for name in self.groups if name in self.trained_potentials]

    @property
    def has_third_order(self) -> bool:
        """Whether the recorded data of the crystals that conduct are of third order."""
        return self.recorded is not None and all(
            (self.structures[name].recorded_format or self.recorded.format) == "phono3py"
            for name in self.conducting
        )

    @cached_property
    def tested(self) -> list[str]:
        """Names of the fits that predict energies and forces of any cell, for errors on labels."""
        return [name for name, fit in self.fits.items() if computes(fit)]

    @property
    def disordering(self) -> list[str]:
        """Names of the fits that make the runs of disordered structures."""
        named = self.disorder.fits if self.disorder else []
        if named is None:
            return self.tested
        return [name for recipe in named for name in self.groups[recipe]]

    @cached_property
    def with_errors(self) -> list[str]:
        """Names of the fits with errors on labels, including recorded forces (on shared cells)."""
        return [*self.tested, *(name for name in self.fits if name not in self.tested)]

    @property
    def is_test_alone(self) -> bool:
        """Whether existing potentials are only tested on data sets."""
        fits = bool(self.recipes) and all(self.exists(name) for name in self.fits)
        return not self.structures and bool(self.datasets.databases) and fits

    def exists(self, name: str) -> bool:
        """Return whether the fit is a potential that was not trained here."""
        return computes(self.fits[name]) and name not in self.trained

    def as_written(self) -> dict[str, Any]:
        """Return the settings that differ from defaults, as in the file, without fit resources."""
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

    @property
    def warmed(self) -> list[str]:
        """Ids of the crystals whose thermodynamics is computed."""
        if self.thermodynamics is None:
            return []
        wanted = self.thermodynamics.structures
        return self.at_rest if wanted == "all" else wanted

    @property
    def protocol_runs(self) -> dict[str, Distilled | SideBySide]:
        """Runs of protocols, by the teacher or by all potentials, by their key in the file."""
        found: dict[str, Distilled | SideBySide] = {
            f"distillation.{name}": runs for name, runs in self.distillation.items()
        }
        if self.disorder:
            found |= {f"disorder.runs.{name}": runs for name, runs in self.disorder.runs.items()}
        return found

    @property
    def has_volumes(self) -> bool:
        """Whether the recorded data give the thermodynamics of a crystal."""
        known = [self.structures[name] for name in self.warmed if name in self.structures]
        return any(one.recorded_volumes for one in known)

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

    @property
    def conducting_in_loop(self) -> list[str]:
        """Ids of the crystals whose conductivity is computed with the fits of every generation."""
        if self.loop is None or self.conductivity is None:
            return []
        goals = self.loop.goal.properties.values()
        asked = {goal.structure for goal in goals if goal.of == "conductivity"}
        everyone = self.conductivity.all_generations
        return [one for one in self.conducting if everyone or one in asked]

    @property
    def taught(self) -> set[str]:
        """Kinds of labelled cells that fits can learn from."""
        if self.recorded:
            return {"displaced", "rattled", "recorded"}
        recorded = any(one.train_files for one in self.datasets.databases.values())
        return {
            *self.supercells.kinds,
            *(["recorded"] if recorded else []),
            *(["distilled"] if self.distilled("train") else []),
        }

    def distilled(self, use: str) -> list[tuple[str, int]]:
        """Return (name, number) of the teacher's runs for training (`train`) or tests (`test`)."""
        return [
            (name, number)
            for name, runs in self.distillation.items()
            if runs.use == use
            for number in range(runs.runs)
        ]

    @property
    def driven(self) -> list[tuple[str, int]]:
        """Return (name, number) of the runs of drivers, whose snapshots the reference labels."""
        return [
            (name, number)
            for name, runs in self.distillation.items()
            if runs.driver is not None
            for number in range(runs.runs)
        ]

    @property
    def timed(self) -> str:
        """Name of the runs of the teacher with whose cells the speed of potentials is measured.

        The last molecular dynamics: cells of searches are small, and of few atoms the time of a
        step is mostly fixed work.
        """
        dynamics = [name for name, runs in self.distillation.items() if not runs.searches]
        return (dynamics or list(self.distillation))[-1]

    @property
    def level_of_theory(self) -> str:
        """Level of theory of the labels: code and functional, or the name of the calculator."""
        return self.reference.level_of_theory


def repeats_of(name: str, fit: Fit) -> dict[str, Fit]:
    """Return the fit itself and its repeats, by name, each with its own seed."""
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
