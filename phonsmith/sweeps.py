"""Sweeps: one recipe of a fit over lists of settings."""

from itertools import product
from typing import Any, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from phonsmith.recipes import Fit
from phonsmith.settings import Model

Value = bool | int | float | str


class Sweep(Model):
    """A fit for every combination of values, with one figure and one part of a table."""

    recipe: Fit = Field(description="The fit that is varied.")
    settings: dict[str, list[Value]] = Field(
        min_length=1,
        description="Values by dotted key of the recipe, e.g. `force_proportional.factor: [0.1, "
        "0.01]`. The first key is the axis of the figure; fits are named after the sweep and the "
        "values, in the order of the keys.",
    )
    axis_label: str | None = Field(None, description="Label of the axis; default: the first key.")

    @model_validator(mode="after")
    def _varied(self) -> Self:
        for key, values in self.settings.items():
            if not values:
                raise ValueError(f"settings.{key}: give at least one value")
            if len({_text(value) for value in values}) < len(values):
                raise ValueError(f"settings.{key}: a value stands there twice")
        return self

    @property
    def label(self) -> str:
        """What is on the axis of the figure."""
        return self.axis_label or next(iter(self.settings))

    def combinations(self, name: str) -> dict[str, dict[str, Value]]:
        """The swept settings of each fit, by the names of the fits; ``name`` is the sweep's."""
        keys = list(self.settings)
        return {
            "-".join([name, *map(_text, values)]): dict(zip(keys, values, strict=True))
            for values in product(*self.settings.values())
        }

    def fits(self, name: str) -> dict[str, Fit]:
        """The recipes of all its fits, by name.

        Raises
        ------
        ValueError
            A value does not fit its key: in one line.
        """
        fits = {}
        for fit, values in self.combinations(name).items():
            recipe = self.recipe.model_dump(exclude_unset=True)
            for key, value in values.items():
                _put(recipe, key, value)
            words = ", ".join(f"{key.split('.')[-1]} = {_text(v)}" for key, v in values.items())
            recipe["label"] = f"{self.recipe.label or name}, {words}"
            try:
                fits[fit] = TypeAdapter[Fit](Fit).validate_python(recipe)
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join(str(part) for part in first["loc"][1:])
                raise ValueError(
                    f"settings: {words}: {key}: {first['msg']} (found {first['input']!r})"
                ) from None
        return fits


def _text(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _put(settings: dict[str, Any], key: str, value: Value) -> None:
    *path, last = key.split(".")
    for part in path:
        if not isinstance(settings.get(part), dict):
            settings[part] = {}
        settings = settings[part]
    settings[last] = value
