"""The child process that trains MACE: ``mace_run_train`` with patience and checkpoints kept.

mace-torch 0.3.16 deletes the last checkpoint before it writes the next one: killed in between, it
would start from the beginning. Here the next one is whole before the last one goes.

It also prints "Stopping optimization" when its patience ends, but goes on to the last epoch unless
the training is distributed. Here that message ends the training loop; the rest of MACE's own
program (loading the best checkpoint, saving the model) follows as usual.

A fine-tuning whose elements are all those of its foundation gets the foundation's energies of
single atoms, whatever was asked for: they are among the numbers copied at the end. Here they stay.

It compiles every model for LAMMPS as well, which takes longer than a small training. Not here.

A model of a multihead fine-tuning comes out with the head of the new labels alone.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phonsmith.files.reading_writing import replacing

STOPPING = "Stopping optimization after"
STAGE_TWO = "starting Stage Two"


class PatienceError(Exception):
    """The patience is at an end: raised out of MACE's training loop."""


class _StopAtMessage(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if STOPPING in message and STAGE_TWO not in message:
            raise PatienceError


def save_before_deleting(
    checkpoints: Any, checkpoint: Any, epochs: int, keep_last: bool = False
) -> None:
    """Save a checkpoint before the last one is deleted, in place of MACE's ``CheckpointIO.save``.

    Parameters
    ----------
    checkpoints
        MACE's ``CheckpointIO``.
    checkpoint
        State to save.
    epochs
        Number of the epoch.
    keep_last
        Keep the last checkpoint.
    """
    import torch

    last = checkpoints.old_path
    name = checkpoints._get_checkpoint_filename(epochs, checkpoints.swa_start)
    path = Path(checkpoints.directory) / name
    with replacing(path) as half:
        torch.save(checkpoint, half)
    checkpoints.old_path = str(path)
    if last and not checkpoints.keep and not keep_last and Path(last) != path:
        Path(last).unlink(missing_ok=True)


def keeping_e0s(load: Callable[..., Any]) -> Callable[..., Any]:
    """``load_foundations_elements`` of MACE, which keeps the energies of single atoms."""

    def loaded(model: Any, *args: Any, **kwargs: Any) -> Any:
        e0s = model.atomic_energies_fn.atomic_energies.clone()
        model = load(model, *args, **kwargs)
        model.atomic_energies_fn.atomic_energies.copy_(e0s)
        return model

    return loaded


def one_head(path: Path) -> None:
    """Keep the default head of a model file that has several."""
    import torch
    from mace.tools.scripts_utils import remove_pt_head

    model = torch.load(path, map_location="cpu", weights_only=False)
    if len(getattr(model, "heads", [])) > 1:
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(next(model.parameters()).dtype)
        try:
            model = remove_pt_head(model, "Default")
        finally:
            torch.set_default_dtype(dtype)
        with replacing(path) as half:
            torch.save(model, half)


def main() -> None:
    """Train with the command line of ``mace_run_train``."""
    from mace import tools
    from mace.cli import run_train
    from mace.tools import model_script_utils

    tools.CheckpointIO.save = save_before_deleting
    model_script_utils.load_foundations_elements = keeping_e0s(
        model_script_utils.load_foundations_elements
    )
    whole_loop = tools.train

    def train(*args: Any, **kwargs: Any) -> None:
        handler = _StopAtMessage()
        logging.getLogger().addHandler(handler)
        try:
            whole_loop(*args, **kwargs)
        except PatienceError:
            logging.info("Training complete: patience at an end")
        finally:
            logging.getLogger().removeHandler(handler)

    tools.train = train
    run_train.jit = None  # it passes over all that goes wrong there
    run_train.main()
    for path in Path().glob("*.model"):
        one_head(path)


if __name__ == "__main__":
    main()
