"""Files that are made from others: the JSON schema, the settings page, the conda environment.

``python -m phonsmith.campaign.schema`` writes them; a test fails when they differ from their
sources.
"""

import json
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from phonsmith.campaign import model as campaign
from phonsmith.campaign.model import Campaign

SCHEMA = Path("config/campaign.schema.json")
PAGE = Path("docs/settings.md")
LOCK = Path("requirements.lock")
ENVIRONMENT = Path("envs/phonsmith.yaml")


def schema() -> str:
    """JSON schema of a campaign file."""
    return json.dumps(Campaign.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """Markdown page: one table of keys, types, defaults and texts for each model."""
    lines = [
        "# Settings of a campaign",
        "",
        "Written by `make schema` from the models in `phonsmith/`; do not edit.",
        "",
    ]
    for model in _models(Campaign):
        lines += [f"## {model.__name__}", "", (model.__doc__ or "").strip().splitlines()[0], ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        lines += [_row(name, field) for name, field in model.model_fields.items()] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    """All models below ``root``, each once, in the order in which they are met."""
    found: list[type[BaseModel]] = []

    def visit(model: type[BaseModel]) -> None:
        if model in found:
            return
        found.append(model)
        for field in model.model_fields.values():
            for one in _inner_models(field.annotation):
                visit(one)

    visit(root)
    return found


def _inner_models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _inner_models(part)]


def _row(name: str, field: FieldInfo) -> str:
    key = field.alias or name
    return f"| `{key}` | {_type(field.annotation)} | {_default(field)} | {_meaning(field)} |"


NAMES = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Any: "anything",
    None: "null",
    NoneType: "null",
}


def _type(annotation: Any) -> str:
    """A type in words: text, list of numbers, one of these words, another model."""
    origin, parts = get_origin(annotation), get_args(annotation)
    words: str
    if origin is Literal:
        words = " or ".join(f"`{part}`" for part in parts)
    elif origin is Annotated:
        words = _type(parts[0])
    elif origin in (Union, UnionType):
        words = " or ".join(_type(part) for part in parts)
    elif origin is list:
        words = f"list of {_type(parts[0])}"
    elif origin is tuple:
        words = f"{len(parts)} × {_type(parts[0])}"
    elif origin is dict:
        words = f"mapping of {_type(parts[0])} to {_type(parts[1])}"
    elif annotation in NAMES:
        words = NAMES[annotation]
    else:
        words = f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return words


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        changed = value.model_dump(mode="json", exclude_defaults=True)
        return f"`{json.dumps(changed)}`" if changed else "its defaults"
    if value in (None, {}, ""):
        return "none"
    return f"`{json.dumps(value)}`"


def _meaning(field: FieldInfo) -> str:
    if field.description:
        return field.description.replace("|", "\\|")
    models = _inner_models(field.annotation)
    return " / ".join((model.__doc__ or "").strip().splitlines()[0] for model in models)


def environment(lock: str) -> str:
    """Return a conda environment with the pins of the lock file, for sites with one per rule."""
    pins = "".join(f"      - {pin}\n" for pin in lock.split())
    return (
        "# Written by `make schema` from requirements.lock; do not edit.\n"
        "# snakemake --software-deployment-method conda uses it for every rule.\n"
        "channels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - pip\n  - pip:\n"
        f"{pins}"
    )


def main() -> None:
    """Write the files where they belong."""
    root = Path(campaign.__file__).parents[2]
    lock = (root / LOCK).read_text(encoding="utf-8")
    (root / ENVIRONMENT).write_text(environment(lock), encoding="utf-8")
    (root / SCHEMA).write_text(schema(), encoding="utf-8")
    (root / PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
