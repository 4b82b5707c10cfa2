"""The child process that trains MACE: ``mace_run_train`` with patience and checkpoints kept.

mace-torch 0.3.16 deletes the last checkpoint before it writes the next one: killed in between, it
would start from the beginning. Here the next one is whole before the last one goes.

It also says "Stopping optimization" where its patience is at an end, but goes on to the last epoch
unless the training is distributed. Here that message ends the training loop; the rest of MACE's
own program (loading the best checkpoint, saving the model) follows as usual.
"""

import logging
from pathlib import Path
from typing import Any

from phonsmith.files import replacing

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
    """``CheckpointIO.save`` of MACE in the order that leaves a whole checkpoint at any time."""
    import torch

    last = checkpoints.old_path
    name = checkpoints._get_checkpoint_filename(epochs, checkpoints.swa_start)
    path = Path(checkpoints.directory) / name
    with replacing(path) as half:
        torch.save(checkpoint, half)
    checkpoints.old_path = str(path)
    if last and not checkpoints.keep and not keep_last and Path(last) != path:
        Path(last).unlink(missing_ok=True)


def main() -> None:
    """Train as the command line of ``mace_run_train`` says."""
    from mace import tools
    from mace.cli import run_train

    tools.CheckpointIO.save = save_before_deleting
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
    run_train.main()


if __name__ == "__main__":
    main()
