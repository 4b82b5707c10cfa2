"""A fit depends on the content of its training set; the old one stays until the new is there."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms

from phonsmith.datasets.sets import Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, read_frames, write_frames
from phonsmith.fits import kept
from phonsmith.fits.files import FitFiles
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.fits.training import recipe
from phonsmith.potentials.calculators import load_potential
from tests.cells import rattled_cells

GAP = {"kind": "gap", "soap": {"n_sparse": 10}}
BASELINE = Baseline({"Si": -1.0}, "isolated_atoms")


class Trainer:
    """A training program that writes how often it was called."""

    calls = 0
    ends: Callable[[], Any] = staticmethod(lambda: None)

    def __call__(self, fit: Any, frames: Any, baseline: Any, folder: Path, *_: Any) -> Any:
        self.calls += 1
        (folder / "gap.xml").write_text(f'<Potential label="GAP_1"/> {self.calls}')
        self.ends()
        return TrainingRecord(
            model="gap.xml",
            wall_time_s=1.0,
            peak_memory_mb=1.0,
            counts=TargetCounts(energies=1, forces=1, virials=1),
            settings={},
            command=[],
            baseline={},
            baseline_origin="isolated_atoms",
            versions={},
        )


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    made = Trainer()
    monkeypatch.setattr(kept, "train", made)
    return made


def cells() -> list[Atoms]:
    frames = rattled_cells(3)
    for number, atoms in enumerate(frames):
        atoms.info |= {ENERGY: -1.0 - number, "kind": "rattled", "structure": "si"}
        atoms.arrays[FORCES] = atoms.positions * 0.1
    return frames


def fit(folder: Path, frames: list[Atoms], settings: dict[str, Any] = GAP, **more: Any) -> str:
    """Fit in a folder; the text of the model that is there then."""
    files = FitFiles(folder / "model", folder / "potential.json", folder / "fit.json")
    given = {"work": folder, "threads": 1, "level_of_theory": "x", **more}
    baseline = given.pop("baseline", BASELINE)
    kept.train_or_keep("gap", recipe(settings), frames, baseline, files, **given)
    model = load_potential(files.potential).source.model
    assert model
    assert sorted(path.name for path in folder.iterdir()) == ["fit.json", "model", "potential.json"]
    return Path(model).read_text()


def test_the_same_training_set_trains_once(tmp_path: Path, trainer: Trainer) -> None:
    first = fit(tmp_path / "a", cells())
    os.utime(tmp_path / "a/potential.json", (0, 0))
    write_frames(tmp_path / "train.extxyz", cells())  # also where the file was written anew
    read = read_frames(tmp_path / "train.extxyz")
    fit(tmp_path / "b", read)
    again = [{**GAP, "label": "x"}, {**GAP, "resources": {"threads": 2}}]
    for settings in (GAP, *again):
        assert fit(tmp_path / "a", cells(), settings) == first
    assert trainer.calls == 2
    assert (tmp_path / "a/potential.json").stat().st_mtime > 0  # it counts as made now
    assert read_frames(tmp_path / "train.extxyz") is not None


def test_the_lines_of_lammps_are_beside_the_model(tmp_path: Path, trainer: Trainer) -> None:
    fit(tmp_path / "a", cells())
    *_, style, coefficients = (tmp_path / "a/model/in.lammps").read_text().splitlines()
    assert style == "pair_style quip"
    assert coefficients == 'pair_coeff * * gap.xml "Potential xml_label=GAP_1" 14'


def moved(frames: list[Atoms]) -> list[Atoms]:
    frames[1].positions[0, 0] += 1e-9
    return frames


def other_force(frames: list[Atoms]) -> list[Atoms]:
    frames[1].arrays[FORCES][0, 0] += 1e-9
    return frames


def other_info(frames: list[Atoms]) -> list[Atoms]:
    frames[1].info["structure"] = "other"
    return frames


@pytest.mark.parametrize(
    ("frames", "settings", "more"),
    [
        (moved, GAP, {}),
        (other_force, GAP, {}),
        (other_info, GAP, {}),
        (lambda frames: frames[::-1], GAP, {}),
        (lambda frames: frames[:2], GAP, {}),
        (list, {**GAP, "seed": 1}, {}),
        (list, {**GAP, "sparse_jitter": 1e-7}, {}),
        (list, GAP, {"baseline": Baseline({"Si": -1.1}, "isolated_atoms")}),
        (list, GAP, {"level_of_theory": "y"}),
        (list, GAP, {"foundation_sha256": "0" * 64}),
    ],
)
def test_what_a_fit_depends_on(
    tmp_path: Path, trainer: Trainer, frames: Any, settings: dict[str, Any], more: dict[str, Any]
) -> None:
    first = fit(tmp_path / "a", cells())
    assert fit(tmp_path / "a", frames(cells()), settings, **more) != first
    assert trainer.calls == 2


@pytest.mark.parametrize("damaged", ["model/gap.xml", "potential.json", "fit.json"])
def test_a_damaged_potential_is_trained_anew(
    tmp_path: Path, trainer: Trainer, damaged: str
) -> None:
    fit(tmp_path / "a", cells())
    (tmp_path / "a" / damaged).write_text("{")
    assert fit(tmp_path / "a", cells()).endswith("2")


def refit_and_die(folder: Path) -> None:
    kept.train = trainer = Trainer()
    trainer.ends = lambda: os._exit(9)
    fit(folder, moved(cells()))


def test_the_old_potential_stays_until_the_new_one_is_there(
    tmp_path: Path, trainer: Trainer
) -> None:
    first = fit(tmp_path / "a", cells())

    def fails() -> None:
        raise PhonsmithError("gap_fit fails")

    trainer.ends = fails
    with pytest.raises(PhonsmithError, match="gap_fit fails"):
        fit(tmp_path / "a", moved(cells()))
    assert fit(tmp_path / "a", cells()) == first
    killed = multiprocessing.get_context("fork").Process(
        target=refit_and_die, args=(tmp_path / "a",)
    )
    killed.start()
    killed.join()
    assert killed.exitcode == 9
    model = load_potential(tmp_path / "a/potential.json").source.model
    assert model
    assert Path(model).read_text() == first
    trainer.ends = lambda: None
    assert fit(tmp_path / "a", moved(cells())) != first  # and nothing of the killed one is left
