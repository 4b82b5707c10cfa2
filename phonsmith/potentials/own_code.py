"""Source code of the user's own calculators, on which labels depend as on a code's version."""

import ast
import site
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from phonsmith.files.sources import sha256_of

_INSTALLED = tuple(
    Path(folder).resolve()
    for folder in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(site.getsitepackages() if hasattr(site, "getsitepackages") else ()),
        *((site.getusersitepackages(),) if hasattr(site, "getusersitepackages") else ()),
    }
)


def code_of(calculator: str) -> dict[str, str]:
    """Return SHA-256 of the modules of ``package.module:Class`` that are not installed, by name.

    They are the module, its packages, and all modules imported by these. Installed packages, which
    are identified by version, and phonsmith are omitted. No module is imported.

    >>> code_of("ase.calculators.emt:EMT")
    {}
    """
    found: dict[str, str] = {}
    waiting = [calculator.partition(":")[0]] if ":" in calculator else []
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for module, file in _files_of(name):
            if module not in found:
                found[module] = sha256_of(file)
                waiting += _imports(module, file)
    return dict(sorted(found.items()))


def _files_of(name: str) -> Iterator[tuple[str, Path]]:
    """(name, file) of a module and of the packages above it, as far as they are not installed."""
    path: list[str] | None = None
    parts = name.split(".")
    if parts[0] == "phonsmith" or parts[0] in sys.stdlib_module_names:
        return
    for depth in range(1, len(parts) + 1):
        spec = _spec(parts[depth - 1], path)
        if spec is None:
            return
        if spec.origin and spec.has_location:
            file = Path(spec.origin)
            if any(file.resolve().is_relative_to(folder) for folder in _INSTALLED):
                return
            yield ".".join(parts[:depth]), file
        if spec.submodule_search_locations is None:
            return
        path = list(spec.submodule_search_locations)


def _spec(name: str, path: list[str] | None) -> ModuleSpec | None:
    """Find a module by its last name in the folders of its package.

    By its whole name, Python would look for a folder without ``__init__.py`` in its package, which
    is not imported here.
    """
    try:
        return find_spec(name) if path is None else PathFinder.find_spec(name, path)
    except (ImportError, ValueError, AttributeError):
        return None


def _imports(module: str, file: Path) -> Iterator[str]:
    """Names of modules that a source file imports, wherever in it; of attributes too."""
    if file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # importing it will fail with the reason
        return
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
