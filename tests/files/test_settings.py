"""The base of all settings: what YAML makes of a word is not taken for something else."""

from typing import Any, Literal

import pytest
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from phonsmith.files.settings import Fraction, Model


class Inner(Model):
    """Settings within settings."""

    wanted: bool = True


class Settings(Model):
    """Fields of all kinds."""

    width: PositiveFloat = 0.5
    steps: PositiveInt | None = None
    share: Fraction | None = 0.1
    masses: dict[str, PositiveFloat] | list[PositiveFloat] = Field(default_factory=dict)
    smearing: Literal[-1, 0, 1] = 0
    wanted: bool = False
    ways: list[bool] = Field(default_factory=list)
    value: bool | int | float = 1
    inner: Inner | None = None
    further: dict[str, Any] = Field(default_factory=dict)


@pytest.mark.parametrize(
    "given",
    [
        {"width": True},
        {"steps": True},
        {"share": False},
        {"masses": {"H": True}},
        {"masses": [1.0, True]},
        {"smearing": False},
    ],
)
def test_yes_and_no_are_no_numbers(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"is yes or no .* give a number"):
        Settings.model_validate(given)


def test_yes_and_no_are_read_where_they_belong() -> None:
    given = {
        "wanted": True,
        "ways": [True, False],
        "value": True,
        "inner": {"wanted": False},
        "further": {"a": True},
    }
    found = Settings.model_validate({**given, "width": "1e-3", "steps": 3})
    assert found.model_dump() | given == found.model_dump()
    assert (found.value, found.width, found.steps) == (True, 0.001, 3)
