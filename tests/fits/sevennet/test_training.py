"""SevenNet: input of its training, and a fine-tuning in its environment."""

import csv
import zipfile
from pathlib import Path

import pytest
import yaml
from ase import Atoms
from ase.io import read
from pydantic import TypeAdapter, ValidationError

from phonsmith.datasets.sets import Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, write_frames
from phonsmith.fits import training as fits
from phonsmith.fits.record import TrainingRecord
from phonsmith.fits.registry import KINDS, Fit
from phonsmith.fits.sevennet import training
from phonsmith.fits.sevennet.cost import training_cost
from phonsmith.fits.sevennet.program import continuing, last_checkpoint, learning_curve, runs
from phonsmith.fits.sevennet.settings import SevennetFit
from phonsmith.fits.sevennet.training import (
    _compare_counts,
    failure_reason,
    grouped,
    training_input,
    weights_of,
)
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.loaded_files import check_model
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.subprocesses import Finished
from tests.environments import require_environment
from tests.fits.examples import NO_ENERGY, rms, strained_silicon, without

FIT = SevennetFit(kind="sevennet")


# --- without the environment --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"foundation": "7net-mf-0"}, "'7net-0' or '7net-l3i5'"),
        ({"foundation": "my.pth"}, "'7net-0' or '7net-l3i5'"),
        ({"learning_rate_decay": 1.1}, "less than or equal to 1"),
        ({"weights": {"forces": 0}}, "greater than 0"),
        ({"frozen_layers": 1}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_sevenn_cannot_follow_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(Fit).validate_python({"kind": "sevennet", **settings})


def test_the_device_is_no_result() -> None:
    assert FIT.identity() == SevennetFit(kind="sevennet", device="cpu").identity()
    kind = KINDS["sevennet"]
    assert kind.takes_gpu(FIT) and not kind.takes_gpu(FIT.model_copy(update={"device": "cpu"}))
    assert kind.environment(FIT) == "sevennet" and not kind.finds_foundation(FIT)


def test_costs_grow_with_epochs_and_foundation() -> None:
    cells = [Atoms("Si" * 64, cell=[11] * 3, pbc=True)] * 6
    larger = SevennetFit(kind="sevennet", foundation="7net-l3i5")
    shorter = SevennetFit(kind="sevennet", max_epochs=10)
    costs = [training_cost(fit, cells).core_seconds or 0 for fit in (shorter, FIT, larger)]
    assert costs == sorted(costs) and costs[0] > 60


def test_labels_that_are_missing_have_no_weight(tmp_path: Path) -> None:
    """Energies are relative to the foundation; a missing one is a zero of weight zero."""
    whole, without_stress, forces_only = strained_silicon(3, 1)
    (without_stress,) = without([without_stress], STRESS)
    (forces_only,) = without([forces_only], ENERGY, STRESS)
    groups = grouped([whole, without_stress, forces_only], {"Si": -2.0})
    assert [len(group) for group in groups.values()] == [2, 1]
    weights = [weights_of(known, FIT) for known in groups]
    assert weights[0] == {"energy": 1.0, "force": 1.0, "stress": 1.0}
    assert weights[1] == {"energy": 0.0, "force": 1.0, "stress": 1.0}
    for number, group in enumerate(groups.values()):
        write_frames(tmp_path / f"{number}.extxyz", group)
    first, second = read(tmp_path / "0.extxyz", ":")
    assert first.get_potential_energy() == pytest.approx(whole.info[ENERGY] + 16.0)
    assert first.get_forces() == pytest.approx(whole.arrays[FORCES], abs=1e-7)
    assert first.get_stress(voigt=False) == pytest.approx(whole.info[STRESS], abs=1e-7)
    with pytest.raises(NotImplementedError):  # sevenn takes it as missing
        second.get_stress()
    (third,) = read(tmp_path / "1.extxyz", ":")
    assert third.get_potential_energy() == 0.0
    (energy_only,) = grouped(without([whole], FORCES), {})
    assert weights_of(energy_only, FIT)["force"] == 0.0


def test_the_input_of_sevenn() -> None:
    fit = SevennetFit(kind="sevennet", max_epochs=7, seed=3, device="cpu", weights={"stress": 0.1})
    cells = strained_silicon(2, 1)
    weights = weights_of((True, True), fit)
    files = [{"file_list": [{"file": "train0.extxyz"}], "data_weight": weights}]
    found = yaml.safe_load(yaml.safe_dump(training_input(fit, files, files, cells)))
    train = found["train"]
    assert train["epoch"] == 7 and train["random_seed"] == 3 and train["device"] == "cpu"
    assert train["optim_param"] == {"lr": 4e-4} and train["scheduler_param"] == {"gamma": 0.97}
    assert train["is_train_stress"] and train["stress_loss_weight"] == 0.1 and train["use_weight"]
    assert [name for name, _ in train["error_record"]] == ["Energy", "Force", "Stress", "TotalLoss"]
    assert found["data"]["load_trainset_path"] == files

    alone = training_input(FIT, files, files, without(cells, ENERGY, STRESS))["train"]
    assert not alone["is_train_stress"] and "device" not in alone
    assert [name for name, _ in alone["error_record"]] == ["Force", "TotalLoss"]


def test_training_resumes_from_the_last_complete_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs() == [] and last_checkpoint([]) is None
    reset = continuing(None, "foundation.pth")
    assert reset["checkpoint"] == "foundation.pth" and reset["reset_optimizer"]
    written = ("run0/checkpoint_0", "run0/checkpoint_5", "run10/checkpoint_10")
    for name in (*written, "run2/checkpoint_best"):
        path = Path(f"{name}.pth")
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("state", "x")
    Path("run10/checkpoint_15.pth").write_bytes(Path("run0/checkpoint_0.pth").read_bytes()[:-30])
    assert [path.name for path in runs()] == ["run0", "run2", "run10"]
    begun = last_checkpoint(runs())
    assert begun == (10, Path("run10/checkpoint_10.pth"))
    kept = continuing(begun, "foundation.pth")
    assert kept["checkpoint"] == "run10/checkpoint_10.pth" and not kept["reset_epoch"]
    Path("run0/lc.csv").write_text("epoch,lr,validset_TotalLoss\n1,0.1,0.5\n2,0.1,0.3\n3,0.1")
    assert list(learning_curve(Path("run0"))) == [1, 2]


def test_failures_of_sevenn_are_named() -> None:
    lines = ["Traceback", "RuntimeError: CUDA out of memory", "more"]
    assert "out of memory" in failure_reason(Finished(1, lines, 1.0, 1.0))
    assert failure_reason(Finished(1, ["the last line", ""], 1.0, 1.0)) == "the last line"
    cells = strained_silicon(2, 1)
    _compare_counts({"trainset": [2, 48]}, {"trainset": cells})
    with pytest.raises(PhonsmithError, match=r"read 1 cells and 24 force comp.* trainset"):
        _compare_counts({"trainset": [1, 24]}, {"trainset": cells})


# --- in the environment -------------------------------------------------------------------------


@pytest.fixture
def sevennet(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    require_environment("sevennet", repository)


def tuned(model: str) -> PotentialSource:
    return PotentialSource(
        calculator="sevennet", model=model, arguments={"device": "cpu"}, trust=True
    )


@pytest.mark.slow
def test_training_starts_from_the_foundation_with_the_energy_zero_of_the_labels(
    sevennet: None, tmp_path: Path
) -> None:
    """A learning rate near zero leaves forces and stresses, and shifts energies by 1000 eV."""
    cells = strained_silicon(4, 3)
    for atoms in cells:
        atoms.info[ENERGY] -= 1000.0 * len(atoms)
    fit = SevennetFit(
        kind="sevennet", max_epochs=1, learning_rate=1e-12, valid_fraction=0.25, device="cpu"
    )
    baseline = Baseline({"Si": -1000.0}, "least_squares")
    record = fits.train(fit, cells, baseline, tmp_path, tmp_path / "work", 1)
    assert record.counts.model_dump() == {"energies": 3, "forces": 72, "virials": 18}
    assert record.versions["sevenn"] == "0.13.0" and record.baseline_origin == "estimated"
    model = tuned(str(tmp_path / record.model))
    before, after = evaluate(cells, tuned("7net-0")), evaluate(cells, model)
    for atoms, one, two in zip(cells, before, after, strict=True):
        assert two.forces == pytest.approx(one.forces, abs=1e-4)
        assert two.stress == pytest.approx(one.stress, abs=1e-5)
        assert two.energy == pytest.approx(atoms.info[ENERGY], abs=0.3)
    with pytest.raises(PhonsmithError, match="not loaded, since loading a model file can run code"):
        check_model(model.model_copy(update={"trust": False}))


@pytest.mark.slow
def test_forces_alone_are_learnt_and_interrupted_training_resumes(
    sevennet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = without(strained_silicon(4, 3), ENERGY, STRESS)
    fit = SevennetFit(
        kind="sevennet", max_epochs=8, learning_rate=1e-3, valid_fraction=0.25, device="cpu"
    )

    def train() -> TrainingRecord:
        return fits.train(fit, cells, NO_ENERGY, tmp_path, tmp_path / "work", 1)

    with monkeypatch.context() as patch:
        patch.setattr(training, "_compare_counts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train()
    record = train()
    assert record.details["restarted"] and record.details["epochs"] == 8
    assert record.counts.model_dump() == {"energies": 0, "forces": 72, "virials": 0}
    assert record.baseline_origin == "forces_only"
    with (tmp_path / "training.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    losses = [float(row["validset_TotalLoss"]) for row in rows]
    assert record.details["validation_loss"] == min(losses) < losses[0] / 2
    assert not list((tmp_path / "work").glob("run*"))
    before, after = (
        rms([one.forces - a.arrays[FORCES] for one, a in zip(found, cells, strict=True)])
        for found in (
            evaluate(cells, tuned("7net-0")),
            evaluate(cells, tuned(str(tmp_path / record.model))),
        )
    )
    assert after < before / 4


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
