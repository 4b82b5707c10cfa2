"""Files loaded by a potential: each needs a checksum in the campaign, or trust.

Loading a model file can execute code in it. A ready calculator loads its model only. Any other
calculator may expand a text of its arguments (``*.model``, ``~``), read a folder, or look up a name
in a cache: each text needs a checksum or trust.
"""

import re
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path
from typing import Any

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.pickles import require_known
from phonsmith.files.sources import sha256_of
from phonsmith.potentials.computing import computing
from phonsmith.potentials.environments import check_makeable
from phonsmith.potentials.ready import READY
from phonsmith.potentials.settings import PotentialSource


def check_model(source: PotentialSource) -> None:
    """Raise PhonsmithError if the model file is missing or damaged, or its checksum unknown.

    See :func:`phonsmith.files.pickles.require_known`. Nothing is loaded.
    """
    if source.model_file is None:
        return
    path = Path(source.model_file)
    if not path.is_file():
        origin = f"; obtain it from: {source.origin}" if source.origin else ""
        raise PhonsmithError(
            f"{path}: no such model file (`model` of '{source.calculator}'){origin}"
        )
    if source.pickled:
        require_known(path, source.sha256, source.trust)
    elif source.sha256 is not None and (found := sha256_of(path)) != source.sha256:
        raise PhonsmithError(
            f"{path}: checksum differs: SHA-256 is {found}, but the campaign has "
            f"{source.sha256}; replace the file or correct `sha256`"
        )
    if ready := computing(source):
        ready.check_model(source)
    if ":" in source.calculator and not source.trust and re.search(r"[*?\[\]$]", str(path)):
        raise PhonsmithError(
            f"{path}: not loaded: calculator '{source.calculator}' may expand * ? [ ] $ in it and "
            "load another file; rename the file"
        )


def check_arguments(source: PotentialSource) -> None:
    """Raise PhonsmithError if a calculator may load a file without a checksum in the campaign.

    Ready calculators have a list of arguments, none of which is loaded. Numbers, devices and
    precisions are never loaded.
    """
    ready = READY.get(source.calculator)
    known = ready.arguments if ready else source.arguments.keys()
    if others := source.arguments.keys() - known:
        raise PhonsmithError(
            f"calculator '{source.calculator}': unknown argument {', '.join(sorted(others))}; "
            f"allowed are {', '.join(sorted(known))}"
        )
    if module := computing(source):
        module.check_arguments(source)
    if source.model is not None and "model" in source.arguments:
        raise PhonsmithError(
            f"calculator '{source.calculator}': give `model` or `arguments.model`, not both"
        )
    for where, text in source.texts:
        stated = source.files.get(text) or (None if source.model else source.sha256)
        if stated is not None and Path(text).is_file():
            require_known(Path(text), stated, trust=False)
        elif text in source.files:
            raise PhonsmithError(f"{text}: no such file (`files` of '{source.calculator}')")
        elif not source.trust:
            example = f"`files: {{{text}: {sha256_of(text)}}}`" if Path(text).is_file() else "files"
            raise PhonsmithError(
                f"{text}: not loaded: calculator '{source.calculator}' may load a file by this "
                f"text of `{where}`, and loading can execute code; give the path of the file and "
                f"its SHA-256 ({example}), or set `trust: true`"
            )


def arguments_with_paths(source: PotentialSource) -> dict[str, Any]:
    """Return the arguments with absolute paths, which calculators cannot confuse with names."""

    def full(value: Any) -> Any:
        if isinstance(value, str):
            return str(Path(value).absolute()) if value in named else value
        if isinstance(value, dict):
            return {key: full(below) for key, below in value.items()}
        return [full(below) for below in value] if isinstance(value, list) else value

    stated = source.sha256 is not None and source.model is None
    named = {text for _, text in source.texts if text in source.files or stated}
    return {key: full(value) for key, value in source.arguments.items()}


def files_of(source: PotentialSource) -> list[str]:
    """Return the distinct files named in the arguments, as given or, if trusted, as expanded."""
    found: dict[str, None] = {}
    for _, text in source.texts:
        if text in source.files or Path(text).is_file():
            found[text] = None
        elif source.trust:
            found.update(dict.fromkeys(_expanded(text)))
    return list(found)


def _expanded(text: str) -> Iterator[str]:
    """Yield files that match a text, as a pattern or relative to the home folder.

    Folders are not searched: most are working folders of calculators, whose files change with every
    label.
    """
    for place in sorted(glob(str(Path(text).expanduser()))) if text else []:  # noqa: PTH207
        if Path(place).is_file():
            yield place


def check_named_files(potential: PotentialSource, where: str, made: Callable[[str], bool]) -> None:
    """Check environment, model file and arguments of a potential.

    Parameters
    ----------
    potential
        The potential.
    where
        Key of the potential in the campaign, named in error messages.
    made
        Function that returns whether a campaign makes the file; such models are not checked. It
        raises PhonsmithError for a result that no campaign makes.

    Raises
    ------
    PhonsmithError
        A file is missing or damaged, or its checksum is unknown.
    """
    try:
        if potential.computes_in:
            check_makeable(potential.computes_in)
    except PhonsmithError as error:
        raise PhonsmithError(f"{where}.environment: {error}") from None
    try:
        check_arguments(potential)
    except PhonsmithError as error:
        raise PhonsmithError(f"{where}.arguments: {error}") from None
    try:
        if not (potential.model and made(potential.model)):
            check_model(potential)
    except PhonsmithError as error:
        raise PhonsmithError(f"{where}.model: {error}") from None
