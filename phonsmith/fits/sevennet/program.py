"""Fine-tune a SevenNet; runs in the environment of SevenNet, in the folder of its input.

    python program.py

reads ``settings.json`` and ``input.yaml`` (the keys of sevenn, without those of the foundation
model) and writes ``sevennet.pth``, ``training.csv`` (errors by epoch) and ``report.json``. Training
is sevenn's own. Each start trains in a folder of its own, ``run0``, ``run1``, …: from the
foundation model, or from the last checkpoint of the starts before.

sevenn 0.13.0 forgets the least validation loss when it continues, so that its best state may be
worse than the one before. Here the best state of all starts is taken.

This file imports nothing of phonsmith, and sevenn only where it is used: phonsmith reads it too.
"""

import csv
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

INPUT, SETTINGS = "input.yaml", "settings.json"
MODEL, CURVE, REPORT = "sevennet.pth", "training.csv", "report.json"
RUN = "run"
"""Beginning of the names of the folders of starts."""
LOSS = "validset_TotalLoss"
SHIFT = "rescale_atomic_energy.shift"
"""sevenn's name of the energies of the elements."""


def main() -> None:
    """Train to the last epoch, and write the best state with a report."""
    import yaml
    from sevenn.checkpoint import SevenNetCheckpoint
    from sevenn.main.sevenn import main as sevenn
    from sevenn.util import pretrained_name_to_path

    settings = json.loads(Path(SETTINGS).read_text(encoding="utf-8"))
    given = yaml.safe_load(Path(INPUT).read_text(encoding="utf-8"))
    foundation = SevenNetCheckpoint(pretrained_name_to_path(settings["foundation"]))
    starts = runs()
    begun = last_checkpoint(starts)
    if begun is None or begun[0] < given["train"]["epoch"]:
        folder = Path(f"{RUN}{len(starts)}")
        folder.mkdir()
        given["model"] = architecture(foundation.config)
        given["train"]["continue"] = continuing(begun, foundation.checkpoint_path)
        (folder / INPUT).write_text(yaml.safe_dump(given), encoding="utf-8")
        sys.argv = ["sevenn", "train", str(folder / INPUT), "-w", str(folder), "-s"]
        sevenn()
    for path in Path().glob(f"{RUN}*/checkpoint_0.pth"):
        check_start(path, foundation)
    write_best(settings["shifts"])


def runs() -> list[Path]:
    """Return the folders of the starts so far, in their order."""
    return sorted(Path().glob(f"{RUN}*"), key=lambda path: int(path.name.removeprefix(RUN)))


def last_checkpoint(starts: Sequence[Path]) -> tuple[int, Path] | None:
    """Return epoch and path of the last complete checkpoint; None if there is none."""
    found = [
        (int(path.stem.removeprefix("checkpoint_")), number, path)
        for number, folder in enumerate(starts)
        for path in folder.glob("checkpoint_[0-9]*.pth")
        if zipfile.is_zipfile(path)  # one that was being written is cut off
    ]
    epoch, _, path = max(found, default=(0, 0, None))
    return (epoch, path) if path else None


def continuing(begun: tuple[int, Path] | None, foundation: str) -> dict[str, Any]:
    """Return sevenn's `continue`: from a checkpoint with its state, or from the foundation."""
    keys = ("reset_optimizer", "reset_scheduler", "reset_epoch")
    checkpoint = str(begun[1]) if begun else foundation
    return {"checkpoint": checkpoint, **dict.fromkeys(keys, begun is None)}


def architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return sevenn's keys of the model of a checkpoint.

    `chemical_species` and `conv_denominator` follow from the checkpoint itself.
    """
    from sevenn._const import DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG as KEYS

    found = {key: config[key] for key in KEYS if key in config and key != "conv_denominator"}
    return {**found, "chemical_species": "auto"}


def check_start(path: Path, foundation: Any) -> None:
    """Exit unless the training has begun with the numbers of the foundation model.

    sevenn silently leaves out numbers that do not fit the architecture of its input.
    """
    import torch

    expected = foundation.build_model().state_dict()
    found = torch.load(path, map_location="cpu", weights_only=False)["model_state_dict"]
    if found.keys() != expected.keys() or not all(
        torch.equal(found[key], expected[key]) for key in expected
    ):
        raise SystemExit("the training did not begin with the foundation model")


def learning_curve(folder: Path) -> dict[int, dict[str, str]]:
    """Return the rows of sevenn's table of a start by epoch."""
    with (folder / "lc.csv").open(encoding="utf-8", newline="") as stream:
        return {int(row["epoch"]): row for row in csv.DictReader(stream) if row.get(LOSS)}


def best_states(starts: Sequence[Path]) -> Iterator[tuple[float, int, Any]]:
    """Yield loss, epoch and content of the best state of each start."""
    import torch

    for folder in starts:
        path = folder / "checkpoint_best.pth"
        if zipfile.is_zipfile(path):
            state = torch.load(path, map_location="cpu", weights_only=False)
            epoch = int(state["epoch"])
            yield float(learning_curve(folder)[epoch][LOSS]), epoch, state


def write_best(shifts: Mapping[str, float]) -> None:
    """Write the state of least validation loss, with shifted energies of elements, and a report.

    Parameters
    ----------
    shifts
        Energy to add for each element in eV per atom.
    """
    import torch
    from ase.data import atomic_numbers

    starts = runs()
    states = list(best_states(starts))
    if not states:
        raise SystemExit("the validation loss is not a number in any epoch; lower learning_rate")
    # the table has six decimals: of equal losses, that of the later epoch
    loss, epoch, state = min(states, key=lambda found: (found[0], -found[1]))
    config = {key: value for key, value in state["config"].items() if key != "when"}
    numbers = state["model_state_dict"]
    for element, shift in shifts.items():
        numbers[SHIFT][config["_type_map"][atomic_numbers[element]]] += shift
    torch.save({"config": config, "model_state_dict": numbers, "epoch": epoch}, MODEL)
    report = {
        "epochs": write_curve(starts),
        "best_epoch": epoch,
        "validation_loss": loss,
        "restarted": len(starts) > 1,
        "read": counts(starts[-1]),
    }
    Path(REPORT).write_text(json.dumps(report), encoding="utf-8")


def write_curve(starts: Sequence[Path]) -> int:
    """Write the errors of all epochs as a table, and return the number of the last epoch.

    Epochs that were trained again after an interruption count once.
    """
    curve: dict[int, dict[str, str]] = {}
    for folder in starts:
        if (folder / "lc.csv").is_file():
            curve |= learning_curve(folder)
    rows = [curve[epoch] for epoch in sorted(curve)]
    with Path(CURVE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return max(curve)


def counts(folder: Path) -> dict[str, list[int]]:
    """Return the numbers of cells and force components of each set, as sevenn has read them."""
    import yaml

    found = {}
    for name in ("trainset", "validset"):
        text = (folder / f"sevenn_data/{name}.yaml").read_text(encoding="utf-8")
        statistics = yaml.safe_load(text)["statistics"]
        keys = ("total_energy", "force_of_atoms")
        found[name] = [int(statistics[key]["count"]) for key in keys]
    return found


if __name__ == "__main__":
    main()
