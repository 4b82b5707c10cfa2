"""VASP under custodian in the current folder: started as a process by phonsmith.labels.vasp.

Arguments: whether the run is a relaxation (1 or 0), and the command of VASP. How it ended is in
``outcome.json`` afterwards.

The remedies are those of custodian's handlers. Left out are handlers, and errors of the large
VaspErrorHandler, whose remedies change what is computed (smearing, k-points, cell, SIGMA) or that
kill good runs over a warning; what is changed in spite of that is found by
:func:`phonsmith.labels.vasp.running.changed_physics`.
"""

import json
import sys
from pathlib import Path
from typing import Any

OUTCOME = "outcome.json"
MOST_REMEDIES = 5
"""Corrections after which custodian gives up, as in atomate2."""

_NOT_CAUGHT = {
    "subspacematrix": "a warning; its remedies, LREAL = .FALSE. and PREC = Accurate, are set",
    "tet": "changes the smearing",
    "dentet": "changes k-points or smearing",
    "algo_tet": "changes the smearing",
    "triple_product": "exchanges lattice vectors",
}


def handlers(relaxation: bool) -> list[Any]:
    """Custodian's handlers for a run."""
    from custodian.vasp import handlers as ready

    caught = [name for name in ready.VaspErrorHandler.error_msgs if name not in _NOT_CAUGHT]
    chosen = [
        ready.VaspErrorHandler(errors_subset_to_catch=caught),
        ready.StdErrHandler(),
        ready.LrfCommutatorHandler(),
        ready.UnconvergedErrorHandler(),
        ready.FrozenJobErrorHandler(),
    ]
    if relaxation:
        chosen += [ready.NonConvergingErrorHandler(), ready.PotimErrorHandler()]
    return chosen


def main(arguments: list[str]) -> None:
    """Run VASP until it ends well or custodian gives up."""
    from custodian.custodian import Custodian
    from custodian.vasp.jobs import VaspJob

    job = VaspJob(arguments[1:], auto_gamma=False, backup=False)
    custodian: Any = Custodian(
        handlers(arguments[0] == "1"),
        [job],
        max_errors=MOST_REMEDIES,
        polling_time_step=1,
        monitor_freq=60,
        skip_over_errors=True,  # a handler that stumbles over a broken file
    )
    failure = ""
    try:
        custodian.run()
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    process = getattr(job, "_vasp_process", None)
    outcome = {
        "failure": failure,
        "returncode": process.returncode if process else None,
        "corrections": [
            {"errors": one["errors"], "actions": one["actions"] or []}
            for one in custodian.run_log[-1]["corrections"]
            if not one.get("skipped")
        ],
    }
    Path(OUTCOME).write_text(json.dumps(outcome, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
