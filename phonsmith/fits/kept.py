"""A trained potential is kept until its data or settings change and a new one is complete."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from ase import Atoms

from phonsmith.datasets.sets import Baseline
from phonsmith.files.cache import Cache
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import elements_of
from phonsmith.files.sources import sha256_of
from phonsmith.fits.digest import digest_of
from phonsmith.fits.files import FitFiles, replacing_folder
from phonsmith.fits.record import TrainingRecord
from phonsmith.fits.registry import trained_kind
from phonsmith.fits.settings import TrainedFit
from phonsmith.fits.training import learnable, train
from phonsmith.potentials.calculators import (
    Potential,
    load_potential,
    save_phonons_alone,
    save_potential,
)
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.versions import VERSIONS

IN_LAMMPS = "in.lammps"
"""File beside a model with its lines of LAMMPS's input."""


def train_or_keep(
    name: str,
    fit: TrainedFit,
    frames: Sequence[Atoms],
    baseline: Baseline,
    files: FitFiles,
    *,
    work: Path,
    threads: int,
    level_of_theory: str,
    foundation_sha256: str | None = None,
    cache: Cache | None = None,
    crystals: Mapping[str, Path] | None = None,
) -> None:
    """Train a potential, or keep the existing one if its data and settings are unchanged.

    The old potential remains until the new one is complete, even if the training is killed.

    Parameters
    ----------
    name
        Id of the fit in the campaign.
    fit
        Settings of the fit.
    frames, baseline
        See :func:`phonsmith.fits.training.train`.
    files
        Paths to write.
    work, threads, cache, crystals
        See :func:`phonsmith.fits.training.train`.
    level_of_theory
        Level of theory of the labels.
    foundation_sha256
        Checksum of the foundation model of a fine-tuning.

    Raises
    ------
    PhonsmithError
        See :func:`phonsmith.fits.training.train`.
    """
    kind = trained_kind(fit)
    settings = {
        "recipe": fit.identity(),
        "baseline": baseline.e0s,
        "baseline_origin": baseline.origin,
        "has_energies": baseline.has_energies,
        "level_of_theory": level_of_theory,
        "foundation": foundation_sha256,
        "replay": None,
        **kind.learns_beside(fit),
        **(
            {"crystals": {name: sha256_of(path) for name, path in crystals.items()}}
            if crystals
            else {}
        ),
        "packages": {package: version(package) for package in kind.packages},
        "version": VERSIONS["fits"],
    }
    digest = digest_of(learnable(frames, fit, baseline.has_energies), settings)
    if keep(files.potential, files.record, digest):
        print(
            "the existing potential is kept, since its training set and settings are unchanged; "
            f"to train again, delete {files.potential} and name it as a target of snakemake"
        )
        return
    with replacing_folder(files.model) as folder:
        record = train(fit, frames, baseline, folder, work, threads, cache, crystals)
        lines = kind.in_lammps(folder / record.model, elements_of(frames))
        if lines is not None:
            (folder / IN_LAMMPS).write_text(f"# with: units metal\n{lines}\n", encoding="utf-8")
    model = files.model / record.model
    record.model_copy(update={"digest": digest}).save(files.record)
    if not kind.computes:
        save_phonons_alone(files.potential, name, level_of_theory)
        return
    potential = Potential(
        source=PotentialSource(
            calculator=kind.calculator, model=str(model), sha256=sha256_of(model)
        ),
        has_energies=baseline.has_energies,
        level_of_theory=level_of_theory,
        fit=name,
    )
    save_potential(files.potential, potential)


def keep(potential: Path, record: Path, digest: str) -> bool:
    """Check whether an intact potential with this digest exists, and touch its files if so.

    Parameters
    ----------
    potential
        Path of ``potential.json``.
    record
        Path of the training record.
    digest
        Digest of training frames and settings.
    """
    try:
        before = TrainingRecord.load_if_trained(record)
        source = load_potential(potential).source
        whole = source.model is not None and sha256_of(source.model) == source.sha256
    except (PhonsmithError, OSError):
        return False
    if before is None or before.digest != digest or not whole:
        return False
    for path in (potential, record):
        os.utime(path)
    return True
