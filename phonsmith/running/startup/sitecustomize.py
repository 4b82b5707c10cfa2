"""Imported by every Python of a job at its start: Ctrl-C ends it without a traceback.

Snakemake and each of its jobs import for some seconds before any code of ours runs.
"""

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path


def _quiet(kind, error, trace):  # type: ignore[no-untyped-def]
    if kind is not KeyboardInterrupt:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _quiet

# the one that this file hides, which a system may have
_elsewhere = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).parent]
_spec = PathFinder.find_spec("sitecustomize", _elsewhere)
if _spec and _spec.loader:
    _spec.loader.exec_module(importlib.util.module_from_spec(_spec))
