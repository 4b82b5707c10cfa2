"""Reading of campaign files."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from phonsmith.campaign.model import Campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import problems_of
from phonsmith.files.settings import why_no_path
from phonsmith.files.yaml_files import load_yaml


def load_campaign(path: str | Path) -> Campaign:
    """Read and check one campaign file, and the lists of structures it names.

    Raises
    ------
    PhonsmithError
        All invalid keys and values, a line each: the file, the key's path, what was found, what is
        allowed. Contradictions between valid settings where there are none.
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
        raise PhonsmithError(
            f"{file}: must contain `structures`, a mapping of ids, and no other key"
        )
    return structures
