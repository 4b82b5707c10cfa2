"""The child process that trains MACE: ``mace_run_train`` with a patience that is kept.

mace-torch 0.3.16 says "Stopping optimization" where its patience is at an end, but goes on to the
last epoch unless the training is distributed. Here that message ends the training loop; the rest
of MACE's own program (loading the best checkpoint, saving the model) follows as usual.
"""

import logging
from typing import Any

STOPPING = "Stopping optimization after"
STAGE_TWO = "starting Stage Two"


class PatienceError(Exception):
    """The patience is at an end: raised out of MACE's training loop."""


class _StopAtMessage(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if STOPPING in message and STAGE_TWO not in message:
            raise PatienceError


def main() -> None:
    """Train as the command line of ``mace_run_train`` says."""
    from mace import tools
    from mace.cli import run_train

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
