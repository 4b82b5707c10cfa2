"""Fit force constants of each crystal to its labelled cells."""

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from ase import Atoms

from phonsmith.datasets.sets import ALWAYS_TRAIN
from phonsmith.fits.force_constants.prior import corrected
from phonsmith.fits.force_constants.settings import ForceConstantsFit
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.fits.task import TrainingTask
from phonsmith.phonons.commensurate import with_constants_of_parts, with_forces_of_parts
from phonsmith.phonons.distorted import Distortion, distortion_of
from phonsmith.phonons.files import load_displacements, load_parts, save_phonons, with_forces
from phonsmith.phonons.recorded import THIRD_ORDER, WhyNone
from phonsmith.phonons.symfc_fits import Equations, SymfcFit
from phonsmith.potentials.settings import PotentialSource

if TYPE_CHECKING:
    from phonopy import Phonopy

NO_RELAXATION = (
    "force constants hold in the reference's cell and cannot relax a crystal; see `reference`"
)
NO_THIRD_ORDER = (
    "the fit has no third-order force constants; set `third_order: true` of this fit of kind "
    "force-constants"
)
ORDER_IN_WORDS = {(2,): "second-order", (2, 3): "second- and third-order"}


@dataclass(frozen=True)
class _Found:
    """What the labelled cells of a crystal give.

    Attributes
    ----------
    forces
        Number of force components that were used.
    reason, reason_of_third_order
        Why there are no phonons, or no third-order force constants; empty if there are.
    caution
        Warning for the reader; empty if there is none.
    """

    forces: int
    reason: str = ""
    reason_of_third_order: str = ""
    caution: str = ""


def train(fit: ForceConstantsFit, task: TrainingTask) -> TrainingRecord:
    """Write phonons of each crystal as ``{structure}.yaml``, and why others have none.

    ``third_order/{structure}.yaml`` holds the displacements and forces from which third-order force
    constants follow.

    """
    started = time.monotonic()
    found = {}
    for structure, path in task.crystals.items():
        own = [
            frame
            for frame in task.frames
            if frame.info.get("structure") == structure
            and frame.info.get("kind", "recorded") not in ALWAYS_TRAIN
        ]
        found[structure] = _of_crystal(fit, structure, own, path, task.folder, task.threads)
    why = WhyNone(
        {
            "relaxed": dict.fromkeys(task.crystals, NO_RELAXATION),
            "reference": {name: one.reason for name, one in found.items()},
            THIRD_ORDER: {name: one.reason_of_third_order for name, one in found.items()},
        }
    )
    why.save(task.folder)
    cautions = [f"{name}: {one.caution}" for name, one in found.items() if one.caution]
    print("\n".join(cautions))
    used = ("symfc", "phonopy")
    return TrainingRecord(
        model=WhyNone.FILE,
        wall_time_s=time.monotonic() - started,
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        counts=TargetCounts(
            energies=0, forces=sum(one.forces for one in found.values()), virials=0
        ),
        settings=fit.model_dump(mode="json"),
        command=[],
        baseline=task.baseline.e0s,
        baseline_origin=task.baseline.origin,
        versions={package: version(package) for package in used},
        cautions=cautions,
    )


def _of_crystal(  # noqa: PLR0917
    fit: ForceConstantsFit,
    structure: str,
    frames: Sequence[Atoms],
    path: Path,
    folder: Path,
    processes: int,
) -> _Found:
    """Write the phonons of a crystal if its cells determine them."""
    phonon = load_displacements(path)
    parts = load_parts(path, phonon)
    cells = [_distortions(part, frames) for part in parts or [phonon]]
    used = sum(len(some) for some in cells)
    omitted = len(frames) - used
    caution = _omitted_in_words(omitted, len(frames)) if omitted else ""
    if not used:
        reason = f"no labelled cell to learn from has its lattice ({len(frames)} others have)"
        return _Found(0, reason, reason, caution)
    if fit.prior is not None:
        scales = _with_prior(phonon, parts, cells, fit.prior, processes)
        save_phonons(folder / f"{structure}.yaml", phonon)
        print(f"{structure}: forces of the labels are {scales} times those of the prior")
        count = 3 * sum(len(one.forces) for some in cells for one in some)
        return _Found(count, "", NO_THIRD_ORDER, caution)
    systems = [
        _System.of(part, some, (2,)) for part, some in zip(parts or [phonon], cells, strict=True)
    ]
    if reason := next(filter(None, (one.shortage(omitted) for one in systems)), ""):
        return _Found(0, reason, reason, caution or reason)
    third, joint = "" if fit.third_order else NO_THIRD_ORDER, None
    if fit.third_order and parts:
        third = "third-order force constants need cells of one supercell, not of a grid"
    elif fit.third_order:
        joint = _System.of(phonon, cells[0], fit.orders, fit.pair_cutoff_angstrom)
        third = joint.shortage(omitted)
    if joint and not third:
        (folder / THIRD_ORDER).mkdir(exist_ok=True)
        phonon.dataset = _dataset(cells[0])
        save_phonons(folder / THIRD_ORDER / f"{structure}.yaml", phonon)
        phonon.dataset = None
        phonon.force_constants = joint.problem.solve(joint.equations)[2]
        phonon.symmetrize_force_constants(show_drift=False)
    elif parts:
        for part, some in zip(parts, cells, strict=True):
            part.dataset = _dataset(some)
        with_forces_of_parts(phonon, parts, [one.forces for some in cells for one in some])
    else:
        phonon.dataset = _dataset(cells[0])
        with_forces(phonon, [one.forces for one in cells[0]])
    save_phonons(folder / f"{structure}.yaml", phonon)
    counted = sum(one.equations.count for one in systems)
    words = [caution, third if fit.third_order else ""]
    return _Found(counted, "", third, "; ".join(filter(None, words)))


def _with_prior(
    whole: "Phonopy",
    parts: "Sequence[Phonopy]",
    cells: Sequence[Sequence[Distortion]],
    prior: PotentialSource,
    processes: int,
) -> str:
    """Set the force constants of a crystal with a prior; return its factors in words."""
    scales = []
    for part, some in zip(parts or [whole], cells, strict=True):
        found = corrected(part, some, prior, processes)
        part.dataset = None
        part.force_constants = found.force_constants
        scales.append(f"{found.scale:.3f}")
    if parts:
        with_constants_of_parts(whole, parts)
    else:
        whole.symmetrize_force_constants(show_drift=False)
    return ", ".join(scales)


@dataclass(frozen=True)
class _System:
    """Equations of the cells of a supercell."""

    problem: SymfcFit
    equations: Equations
    cells: int

    @classmethod
    def of(
        cls,
        phonon: "Phonopy",
        cells: Sequence[Distortion],
        orders: tuple[int, ...],
        cutoff: float | None = None,
    ) -> Self:
        """Build the equations of cells, also of none."""
        problem = SymfcFit(phonon, orders, cutoff)
        shape = (len(cells), problem.atoms, 3)
        moves = np.reshape([one.displacements for one in cells], shape)
        forces = np.reshape([one.forces for one in cells], shape)
        return cls(problem, problem.equations(moves, forces), len(cells))

    def shortage(self, omitted: int) -> str:
        """Explain how many cells are needed; empty if these determine the force constants."""
        if not (missing := self.equations.undetermined):
            return ""
        problem, words = self.problem, ORDER_IN_WORDS[self.problem.orders]
        left = f" ({omitted} omitted)" if omitted else ""
        return (
            f"{self.cells} usable cells of {problem.atoms} atoms{left} leave {missing} of "
            f"{problem.unknowns} independent {words} force constants undetermined; "
            f"{problem.cells_missing(self.equations)} more rattled cells at the reference's volume "
            "are needed (rattled.volume_factors: [1.0], rattled.max_angle_strain_degree: 0)"
        )


def _distortions(phonon: "Phonopy", frames: Sequence[Atoms]) -> list[Distortion]:
    found = (distortion_of(phonon.supercell, frame) for frame in frames)
    return [one for one in found if one is not None]


def _dataset(cells: Sequence[Distortion]) -> dict[str, np.ndarray]:
    return {
        "displacements": np.array([one.displacements for one in cells]),
        "forces": np.array([one.forces for one in cells]),
    }


def _omitted_in_words(omitted: int, total: int) -> str:
    return (
        f"{omitted} of {total} labelled cells are omitted: their lattice is strained, or that of "
        "another supercell"
    )
