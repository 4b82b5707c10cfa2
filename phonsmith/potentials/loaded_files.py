"""Files that a potential loads: those that the campaign gives a checksum for or trusts.

Loading a model file can run code in it. A ready calculator loads its model alone. Any other
calculator may expand a text of its arguments (``*.model``, ``~``), read a folder, or look a name up
in a cache: each text needs a checksum or trust.
"""

import re
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.pickles import check_torch_file, require_known
from phonsmith.files.sources import sha256_of
from phonsmith.potentials.settings import READY_ARGUMENTS, PotentialSource


def check_model(source: PotentialSource) -> None:
    """Raise PhonsmithError where the model file is missing or damaged, or its checksum is unknown.

    See :func:`phonsmith.files.pickles.require_known`. Nothing is loaded.
    """
    if source.model is None:
        return
    path = Path(source.model)
    if not path.is_file():
        raise PhonsmithError(f"{path}: no such model file (`model` of '{source.calculator}')")
    if source.pickled:
        require_known(path, source.sha256, source.trust)
    elif source.sha256 is not None and (found := sha256_of(path)) != source.sha256:
        raise PhonsmithError(
            f"{path}: checksum differs: SHA-256 is {found} but the campaign states "
            f"{source.sha256}; replace the file or correct `sha256`"
        )
    if source.calculator == "gap":
        _check_gap(path)
    if source.calculator == "mace":
        check_torch_file(path)
    if ":" in source.calculator and not source.trust and re.search(r"[*?\[\]$]", source.model):
        raise PhonsmithError(
            f"{path}: not loaded: calculator '{source.calculator}' may expand * ? [ ] $ in it and "
            "load another file; rename the file"
        )


def check_arguments(source: PotentialSource) -> None:
    """Raise PhonsmithError where a calculator may load what the campaign gives no checksum for.

    Ready calculators have a list of arguments, none of which is loaded. Numbers, devices and
    precisions are not loaded either.
    """
    known = READY_ARGUMENTS.get(source.calculator)
    if known is not None and (others := source.arguments.keys() - known):
        raise PhonsmithError(
            f"calculator '{source.calculator}': unknown argument {', '.join(sorted(others))}; "
            f"known are {', '.join(sorted(known))}"
        )
    if source.calculator == "gap":
        _check_quip(source.arguments)
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
                f"{text}: not loaded: calculator '{source.calculator}' may take this text of "
                f"`{where}` for a file or a name to load, and loading can run code; give the path "
                f"of the file and its SHA-256 ({example}), or set `trust: true`"
            )


def arguments_with_paths(source: PotentialSource) -> dict[str, Any]:
    """The arguments with files in full, so that no calculator takes them for another name."""

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
    """Files that the arguments name, each once: as stated, or as a trusted text expands."""
    found: dict[str, None] = {}
    for _, text in source.texts:
        if text in source.files or Path(text).is_file():
            found[text] = None
        elif source.trust:
            found.update(dict.fromkeys(_expanded(text)))
    return list(found)


def _expanded(text: str) -> Iterator[str]:
    """The files that a calculator may find under a text, by a pattern or from the home folder.

    Folders are not searched: most are those in which a calculator works, and their files change
    with every label.
    """
    for place in sorted(glob(str(Path(text).expanduser()))) if text else []:  # noqa: PTH207
        if Path(place).is_file():
            yield place


def _check_quip(arguments: dict[str, Any]) -> None:
    """QUIP's own texts: other potentials than GAPs run commands and read files."""
    begins = r"(IP GAP|Potential xml_label=[\w.-]+)?"
    if not re.fullmatch(begins, str(arguments.get("args_str", ""))):
        raise PhonsmithError(
            "calculator 'gap': args_str is `IP GAP` or `Potential xml_label=NAME`, without more"
        )
    if re.search(r"[/~]|\.\.", str(arguments.get("calc_args", ""))):
        raise PhonsmithError("calculator 'gap': calc_args must not name a file")


def _check_gap(path: Path) -> None:
    """Whether a GAP is whole, with the files that belong to it.

    QUIP stops the whole process, without an exception, for a file that it cannot read.
    """
    with path.open(encoding="utf-8", errors="replace") as stream:
        beginning = stream.read(4096)
    if "<GAP_params" not in beginning:
        raise PhonsmithError(f"{path}: not a GAP (no <GAP_params>); give gap_fit's xml")
    try:
        for _, element in ElementTree.iterparse(path):
            beside = element.get("sparseX_filename")
            if beside and not (path.parent / beside).is_file():
                raise PhonsmithError(
                    f"{path.parent / beside}: no such file, which belongs to {path.name}; copy "
                    "all files of the GAP"
                )
            element.clear()
    except ElementTree.ParseError as error:
        raise PhonsmithError(f"{path}: cut off or damaged ({error}); get the file again") from None
