"""Sweeps: a fit recipe for lists of settings."""

import re
from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import PurePosixPath
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from phonsmith.files.problems import problems_of
from phonsmith.files.settings import Model, Name
from phonsmith.fits.registry import Fit

Value = bool | int | float | str
Values = Annotated[
    Annotated[list[Value], Tag("list")] | Annotated[dict[Name, dict[str, Value]], Tag("names")],
    Discriminator(lambda values: "list" if isinstance(values, list) else "names"),
]
"""Values of one key, or, by name, values of several keys that change together."""


def _of_one_kind(values: Any) -> Any:
    if isinstance(values, list):
        good = not any(isinstance(one, list | dict) for one in values)
    else:
        good = isinstance(values, dict) and all(isinstance(one, dict) for one in values.values())
    if not good:
        raise ValueError(
            "give a list of numbers or words, or, for keys that change together, a mapping of "
            "names to `key: value`"
        )
    return values


class Sweep(Model):
    """Fits for all combinations of values, shown in one figure and one part of a table."""

    recipe: Fit = Field(description="Fit to vary.")
    settings: dict[str, Annotated[Values, BeforeValidator(_of_one_kind)]] = Field(
        min_length=1,
        description="Values by dotted key of the recipe, e.g. `force_proportional.factor: [0.1, "
        "0.01]`. Keys that change together are grouped below a title of your choice, by name: "
        "`schedule: {long: {max_epochs: 5000, weights.forces: 1000}, short: {…}}`. The first key "
        "or title is the axis of the figure; fits are named after the sweep and the values "
        "(paths: file name without extension), in the order of the keys.",
    )
    axis_label: str | None = Field(None, description="Label of the axis; default: the first key.")

    @model_validator(mode="after")
    def _varied(self) -> Self:
        for key, values in self.settings.items():
            if not values:
                raise ValueError(f"settings.{key}: give at least one value")
            if isinstance(values, list) and len(set(map(value_text, values))) < len(values):
                raise ValueError(f"settings.{key}: contains a value twice")
        keys = Counter(key for title in self.settings for key in self._keys(title))
        if "repeats" in keys:
            raise ValueError(
                "settings.repeats: would train the first seeds again for each value; set `repeats` "
                "in the recipe (error bars: spread over seeds), or sweep `seed`"
            )
        if twice := [key for key, number in keys.items() if number > 1]:
            raise ValueError(f"settings.{twice[0]}: varied twice; keep one")
        return self

    def _keys(self, title: str) -> set[str]:
        """Keys of the fit below a title, or the title itself if it is such a key."""
        values = self.settings[title]
        if isinstance(values, list):
            return {title}
        return {key for one in values.values() for key in one}

    @property
    def label(self) -> str:
        """Label of the axis of the figure."""
        return self.axis_label or next(iter(self.settings))

    def combinations(self, name: str) -> dict[str, dict[str, Value]]:
        """Return the values by title, by id of the fit; ``name`` is the name of the sweep.

        Raises
        ------
        ValueError
            A name is not allowed for files, or two fits have equal names; the message is one line.
        """
        found: dict[str, dict[str, Value]] = {}
        for values in product(*self.settings.values()):
            fit = "-".join([name, *map(_name_part, values)])
            words = ", ".join(str(value) for value in values)
            if fit in found:
                raise ValueError(
                    f"settings: two fits would be named {fit} (the second: {words}); name the "
                    "values: `title: {name: {key: value}, …}`"
                )
            try:
                TypeAdapter(Name).validate_python(fit)
            except ValidationError as error:
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"settings: {words}: {reason} (found {fit!r})") from None
            found[fit] = dict(zip(self.settings, values, strict=True))
        return found

    def settings_of(self, values: dict[str, Value]) -> dict[str, Value]:
        """Return the settings of a combination by dotted key."""
        settings: dict[str, Value] = {}
        for title, value in values.items():
            options = self.settings[title]
            settings |= {title: value} if isinstance(options, list) else options[str(value)]
        return settings

    def fits(self, name: str) -> dict[str, Fit]:
        """Return the recipes of all its fits, by name.

        Raises
        ------
        ValueError
            A value is invalid for its key, or a name is not allowed; one line per problem.
        """
        fits = {}
        adapter = TypeAdapter[Fit](Fit)
        problems: dict[str, str] = {}
        for fit, values in self.combinations(name).items():
            recipe = self.recipe.model_dump(exclude_unset=True)
            for key, value in self.settings_of(values).items():
                _put(recipe, key, value)
            words = values_text(values)
            recipe["label"] = f"{self.recipe.label or name}, {words}"
            try:
                fits[fit] = adapter.validate_python(recipe)
            except ValidationError as error:
                for one in problems_of(error, adapter):
                    problems.setdefault(one, f"settings: {words}: {one}")
        if problems:
            raise ValueError("\n".join(problems.values()))
        return fits


def value_text(value: Value) -> str:
    """Return a value in words: numbers are exact."""
    if isinstance(value, float):
        return repr(value).removesuffix(".0").replace("e+", "e")
    return str(value)


def values_text(values: Mapping[str, Value]) -> str:
    """Values in words, each after the last part of its key."""
    return ", ".join(f"{key.split('.')[-1]} = {value_text(one)}" for key, one in values.items())


def _name_part(value: Value) -> str:
    """A value in the name of a fit: letters, digits and . _ - only; of a path the file's stem."""
    text = value_text(value)
    stem = PurePosixPath(text).stem if re.search(r"/.*\.[A-Za-z]\w*$", text) else text
    return re.sub(r"[^A-Za-z0-9._-]", "_", stem)


def _put(settings: dict[str, Any], key: str, value: Value) -> None:
    *path, last = key.split(".")
    for part in path:
        if not isinstance(settings.get(part), dict):
            settings[part] = {}
        settings = settings[part]
    settings[last] = value
