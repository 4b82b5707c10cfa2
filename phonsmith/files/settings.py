"""Base of all settings: strict models, and the types of names, paths and sources of data.

These models are light (no numerical libraries), since Snakemake imports them to plan."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from phonsmith.files.problems import SHA256_PATTERN


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", text):
        raise ValueError(
            "a name consists of letters, digits and . _ -, starts with a letter or digit, and has "
            "at most 80 characters"
        )
    if text.endswith((".json", ".log", ".tsv")):
        raise ValueError("a name must not end like a result file")
    return text


Name = Annotated[str, AfterValidator(_name)]

Sha256 = Annotated[str, StringConstraints(pattern=SHA256_PATTERN)]

Kind = Literal["displaced", "rattled", "recorded", "distilled", "constraint"]

CellChoice = Literal["relaxed", "reference"]

Fraction = Annotated[float, Field(ge=0, lt=1)]


def _once(given: Any) -> Any:
    if isinstance(given, list) and len(set(given)) < len(given):
        raise ValueError("contains an entry twice")
    return given


Once = AfterValidator(_once)
"""Of a list whose entries differ, or of a word in place of a list."""


def why_no_path(text: str) -> str:
    """Return why a text cannot be the path of a file or folder; empty where it can."""
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]", text):
        return "a path has no line breaks and no control characters"
    parts = [len(part.encode()) for part in text.split("/")]
    return "longer than any path" if max(parts) > 255 or sum(parts) > 4000 else ""


def _files(given: str | list[str]) -> str | list[str]:
    for path in [given] if isinstance(given, str) else given:
        if why := why_no_path(path):
            raise ValueError(why)
    return given


File = Annotated[str, AfterValidator(_files)]
"""Path of any file or folder."""

Files = Annotated[str | list[str], AfterValidator(_files)]
"""One path or several."""


def _inside(name: str) -> str:
    _files(name)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a path inside its folder, without a leading / or ..")
    if name and str(path) != name.rstrip("/"):  # one file would have two names
        raise ValueError(f"write the path as '{path}'")
    return name


RelativePath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_inside)]


def _all_inside(names: str | list[str]) -> str | list[str]:
    paths = [names] if isinstance(names, str) else names
    if not all(paths) or not paths:
        raise ValueError("give a path or a non-empty list of paths")
    for path in paths:
        _inside(path)
    _once(paths)
    return names


RelativePaths = Annotated[str | list[str], AfterValidator(_all_inside)]
"""One path or several; a single path is not converted to a list."""


class Model(BaseModel):
    """Base of all settings: unknown keys are refused, numbers are finite, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_as_number(cls, given: Any) -> Any:
        """Refuse yes and no where numbers are expected, which pydantic takes for 1 and 0."""
        for name, value in given.items() if isinstance(given, dict) else ():
            if name in cls.model_fields and _has_truth(value) and _is_of_numbers(cls, name):
                raise ValueError(
                    f"{name}: is yes or no (in YAML also true, false, on, off); give a number"
                )
        return given


def _has_truth(given: Any) -> bool:
    if isinstance(given, dict):
        return any(map(_has_truth, given.values()))
    if isinstance(given, list | tuple):
        return any(map(_has_truth, given))
    return isinstance(given, bool)


@cache
def _is_of_numbers(settings: type[Model], field: str) -> bool:
    """Return whether a field has numbers, but neither truth values nor settings of their own."""
    types = set(_types_in(settings.model_fields[field].annotation))
    return bool(types & {int, float}) and not types & {bool, Any, Model}


def _types_in(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield Model
    elif get_origin(annotation) is Literal:
        yield from map(type, inner)
    elif not inner:
        yield annotation
    for one in inner if get_origin(annotation) is not Literal else ():
        yield from _types_in(one)


def _as_mapping(given: Any) -> Any:
    """Convert a list of files to a mapping without checksums; leave other values to validation."""
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        return dict.fromkeys(_once(given))
    return given


SourceFiles = Annotated[
    dict[RelativePath, Sha256 | None],
    BeforeValidator(
        _as_mapping, json_schema_input_type=dict[RelativePath, Sha256 | None] | list[RelativePath]
    ),
]
"""Files with their checksums; a list becomes a mapping without checksums."""


class Source(Model):
    """A data set: public files with checksums, or a folder of the user."""

    name: Name = Field(description="Name of the data set, and of its folder in every mirror.")
    folder: File | None = Field(
        None,
        description="Folder with files of your own; replaces mirrors and `url`. Without `files`, "
        "all files below the folder are used, without checksums.",
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://[^@/\s]+(/\S*)?$",
        description="Address of the folder with the files, or of a file with `{stem}` in place of "
        "its name without suffix (`https://…/{stem}/phonopy.yaml` of `mp-1564.yaml`); without it, "
        "only mirrors are tried.",
    )
    files: SourceFiles = Field(
        default_factory=dict,
        description="Path of each file below the folder, with its SHA-256; `python -m "
        "phonsmith.labels.recorded.survey FOLDER` prints them. With `folder`, give a list without "
        "checksums or omit `files`.",
    )

    def may_hold(self, wanted: str) -> bool:
        """Return whether ``wanted`` is one of the files, or a folder that holds some of them."""
        if self.folder is not None and not self.files:
            return True  # what is there is seen when the folder is read
        prefix = wanted.rstrip("/") + "/"
        return wanted in self.files or any(name.startswith(prefix) for name in self.files)

    @model_validator(mode="after")
    def _some_place(self) -> Self:
        if self.folder is not None and self.url is not None:
            raise ValueError("`folder` and `url` exclude each other; give one")
        without = [name for name, sha256 in self.files.items() if sha256 is None]
        if self.folder is None and (without or not self.files):
            which = f"; '{without[0]}' has none" if without else ""
            raise ValueError(
                "`files` requires the SHA-256 of each file (`python -m "
                "phonsmith.labels.recorded.survey FOLDER` prints them); only files in a local "
                f"`folder` need none{which}"
            )
        return self
