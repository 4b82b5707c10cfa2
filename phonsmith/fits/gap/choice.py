"""Sparse points of a GAP: chosen by gap_fit, and kept for later fits.

The choice depends on neither σ nor δ nor ζ. gap_fit therefore chooses with fixed values of these,
which are then replaced by those of the fit: equal choices have equal keys.
"""

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phonsmith.files.atoms import bare
from phonsmith.fits.digest import digest_of
from phonsmith.fits.gap.gap_fit import (
    MODEL,
    fit_arguments,
    remove_models,
    run_gap_fit,
    training_text,
)
from phonsmith.fits.gap.settings import GapFit, Sigma, Soap
from phonsmith.fits.gap.task import Fitted, GapTask


def choose_sparse_points(task: GapTask) -> Fitted:
    """Let gap_fit choose the sparse points and write the potential with coefficients 0.

    Raises
    ------
    PhonsmithError
        gap_fit fails; the message contains its reason.
    """
    plan, work = task.plan, task.work
    arguments = fit_arguments(task.fit, task.e0s, plan)
    neutral = _neutral(task.fit)
    neutral_arguments = [*fit_arguments(neutral, task.e0s, plan), "sparsify_only_no_fit=T"]
    settings = {
        "arguments": neutral_arguments,
        "groups": [*plan.groups, *plan.copy_groups],
        "packages": {"quippy-ase": version("quippy-ase")},
    }
    key = f"choice {digest_of([bare(a) for a in (*task.frames, *plan.copies)], settings)}"
    seconds, memory = 0.0, 0.0
    if task.cache is not None and (found := task.cache.load(key)) is not None:
        _write(work, found)
    else:
        # without labels gap_fit computes no gradients
        text = training_text(neutral, task.frames, plan, labelled=False)
        finished = run_gap_fit(text, neutral_arguments, work, task.threads)
        seconds, memory = finished.wall_time_s, finished.peak_memory_mb
        if task.cache is not None:
            task.cache.save(key, _read(work))
    model = work / MODEL
    text = with_priors(model.read_text(encoding="utf-8"), task.fit)
    command = f"<command_line><![CDATA[ {' '.join(arguments)}]]></command_line>"
    text = re.sub(r"<command_line>.*</command_line>", lambda _: command, text, flags=re.DOTALL)
    model.write_text(text, encoding="utf-8")
    return Fitted(["gap_fit", *arguments], seconds, memory)


def with_priors(text: str, fit: GapFit) -> str:
    """Set δ and ζ in the file of a GAP."""
    terms = {"distance_2b": fit.two_body, "angle_3b": fit.three_body, "soap": fit.soap}

    def of_term(found: re.Match[str]) -> str:
        term = terms[found["name"]]
        if term is None:
            return found[0]
        # gap_fit calls the standard deviation δ a variance
        attributes = {"signal_variance": f'"{term.delta_ev:.16e}"'}
        words = {"delta": str(term.delta_ev)}
        if isinstance(term, Soap):
            attributes["zeta"], words["zeta"] = f'"{float(term.zeta):.16e}"', str(term.zeta)
        head, descriptor = found["head"], found["descriptor"]
        for name, value in attributes.items():
            head = re.sub(rf'\b{name}="[^"]*"', f"{name}={value}", head, count=1)
        for name, value in words.items():
            descriptor = re.sub(rf"\b{name}=\S+", f"{name}={value}", descriptor, count=1)
        return head + descriptor

    return _TERM.sub(of_term, text)


_TERM = re.compile(
    r"(?P<head><gpCoordinates(?:(?!</gpCoordinates>).)*?)"
    r"(?P<descriptor><descriptor>\s*(?P<name>\w+)[^<]*</descriptor>)",
    re.DOTALL,
)


def _neutral(fit: GapFit) -> GapFit:
    """The fit with fixed σ, δ and ζ."""
    changes = {
        name: term.model_copy(update={"delta_ev": 1.0})
        for name in ("two_body", "three_body")
        if (term := getattr(fit, name)) is not None
    }
    if fit.soap is not None:
        changes["soap"] = fit.soap.model_copy(update={"delta_ev": 1.0, "zeta": 1})
    return fit.model_copy(update={**changes, "sigma": Sigma()})


def _read(work: Path) -> dict[str, NDArray[np.uint8]]:
    """The potential and its companion files."""
    return {
        path.name: np.frombuffer(path.read_bytes(), np.uint8) for path in work.glob(f"{MODEL}*")
    }


def _write(work: Path, files: Mapping[str, NDArray[np.generic]]) -> None:
    remove_models(work)
    for name, data in files.items():
        if Path(name).name == name:
            (work / name).write_bytes(data.tobytes())
