"""Train Gaussian approximation potentials."""

import re
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.fits.digest import digest_of
from phonsmith.fits.gap.fitter import fit_by_blocks
from phonsmith.fits.gap.gap_fit import MODEL, fit_with_gap_fit
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.gap.sparse import SparsePlan, plan_sparse_points
from phonsmith.fits.gap.targets import check_groups
from phonsmith.fits.gap.task import GapTask
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.fits.task import TrainingTask

FITTERS = {"phonsmith": fit_by_blocks, "gap_fit": fit_with_gap_fit}

_LABEL = re.compile(r'<Potential [^>]*\blabel="([^"]+)"')


def train(fit: GapFit, task: TrainingTask) -> TrainingRecord:
    """Fit a GAP and write ``gap.xml`` with its companion files.

    Equal data and settings give equal potentials and file names.

    Raises
    ------
    PhonsmithError
        The fitter fails; the message contains its reason.
    """
    frames, e0s = task.frames, task.baseline.e0s
    check_groups(fit, frames)
    plan = plan_sparse_points(fit, frames)
    print("sparse points: " + (_in_words(plan) or "two- and three-body only"), flush=True)
    gap = GapTask(fit, frames, e0s, plan, task.work, task.threads, task.cache)
    fitted = FITTERS[fit.fitter](gap)
    versions = {"quippy-ase": version("quippy-ase")}
    settings = {"recipe": fit.identity(), "baseline": e0s, "packages": versions}
    _collect(task.work, task.folder, digest_of(frames, settings))
    sparse_points = _soap_sparse_points(task.folder / MODEL)
    return TrainingRecord(
        model=MODEL,
        wall_time_s=fitted.wall_time_s,
        peak_memory_mb=fitted.peak_memory_mb,
        counts=TargetCounts.of(frames),
        settings=fit.model_dump(mode="json"),
        command=fitted.command,
        baseline=e0s,
        baseline_origin=task.baseline.origin,
        versions=versions,
        details={
            "sparse_points_by_group": plan.points,
            "sparse_points": sparse_points,
            "unlabelled_cells_for_sparse_points": len(plan.copies),
        },
        cautions=_cautions(sparse_points, _wanted_sparse_points(plan, frames)),
    )


def _in_words(plan: SparsePlan) -> str:
    return ", ".join(f"{group}: {number}" for group, number in plan.points.items())


def _wanted_sparse_points(plan: SparsePlan, frames: Sequence[Atoms]) -> int:
    """Return the number of SOAP sparse points requested for all groups and central elements."""
    elements: dict[str | None, set[str]] = defaultdict(set)
    cells = [*zip(plan.groups, frames, strict=True)]
    for group, atoms in [*cells, *zip(plan.copy_groups, plan.copies, strict=True)]:
        elements[group] |= set(atoms.symbols)
    return sum(number * len(elements[group]) for group, number in plan.points.items())


def _cautions(found: int, wanted: int) -> list[str]:
    if found >= wanted:
        return []
    return [
        f"Only {found} of the {wanted} requested SOAP sparse points were chosen, because the "
        "training cells have no more different environments. Add cells, or lower soap.n_sparse."
    ]


def label_of(model: Path) -> str:
    """Return the label by which QUIP finds a GAP in its file.

    Raises
    ------
    PhonsmithError
        The file has none.
    """
    with model.open(encoding="utf-8", errors="replace") as stream:
        found = next(filter(None, map(_LABEL.search, stream)), None)
    if found is None:
        raise PhonsmithError(f"{model}: a GAP without its label")
    return found[1]


def _soap_sparse_points(model: Path) -> int:
    """Count the SOAP sparse points of a GAP; gap_fit chooses fewer if data are few.

    SOAP's covariance is of type 2, a dot product.
    """
    text = model.read_text(encoding="utf-8", errors="replace")
    found = re.findall(r'<gpCoordinates [^>]*covariance_type="2"[^>]*n_sparseX="(\d+)"', text)
    return sum(int(number) for number in found)


def _collect(work: Path, folder: Path, digest: str) -> None:
    """Move the potential to ``folder``; a hash of its contents replaces gap_fit's time stamp."""
    text = (work / MODEL).read_text(encoding="utf-8")
    old, new = label_of(work / MODEL), f"GAP_{digest[:12]}_"
    for file in sorted(work.glob(f"{MODEL}.sparseX.{old}*")):
        (folder / file.name.replace(old, new)).write_bytes(file.read_bytes())
        file.unlink()
    (folder / MODEL).write_text(text.replace(old, new), encoding="utf-8")
    (work / MODEL).unlink()
