"""Running VASP under custodian in a folder with a time limit, and judging what came of it."""

import json
import re
import shlex
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import phonsmith
from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.vasp import LARGEST_STRAIN, VaspRun, checked_outcar, read_run
from phonsmith.labels.runs import MPI_ENVIRONMENT
from phonsmith.labels.vasp.custodian_child import OUTCOME
from phonsmith.running.reasons import reason_of
from phonsmith.running.subprocesses import Finished, run_child, signal_name

CUSTODIAN_LOG = "custodian.log"

KEEP = (
    *("INCAR", "POSCAR", "CONTCAR", "OUTCAR", "OSZICAR", "vasprun.xml", "vasp.out", "std_err.txt"),
    *("custodian.json", CUSTODIAN_LOG, OUTCOME, "error.*.tar.gz"),
)
"""Files of a failed run that stay; the POTCAR does not."""

LOGS = ("vasp.out", "std_err.txt", CUSTODIAN_LOG)
"""Those in which VASP and custodian say what is wrong."""


@dataclass(frozen=True)
class Attempt:
    """What custodian and VASP leave: exit status, custodian's complaint, and its corrections."""

    returncode: int | None
    failure: str
    corrections: list[dict[str, Any]]

    @property
    def remedies(self) -> str | None:
        """What custodian corrected, in words; None where nothing."""
        words = [_in_words(one) for one in self.corrections if one["actions"]]
        counted = [(one, len(list(group))) for one, group in groupby(words)]
        return "; ".join(one + f" ({n} times)" * (n > 1) for one, n in counted) or None


def run_vasp(
    folder: Path, command: str, cores: int, time_limit_s: float, *, relaxation: bool = False
) -> Attempt:
    """Run VASP with custodian's remedies in a folder that holds its inputs.

    Parameters
    ----------
    folder
        Folder with the inputs.
    command
        Command that starts VASP; ``{cores}`` is replaced by the number of cores.
    cores
        Number of cores.
    time_limit_s
        Time limit in s.
    relaxation
        Whether the run is a relaxation.

    Raises
    ------
    LabelFailed
        The run fails, or succeeds only after a change of the physics.
    PhonsmithError
        The command cannot be started.
    """
    words = shlex.split(command.replace("{cores}", str(cores)))
    asked = (folder / "INCAR").read_text(encoding="utf-8")
    finished = run_child(
        [
            *(sys.executable, "-m", "phonsmith.labels.vasp.custodian_child"),
            *("1" if relaxation else "0", *words),
        ],
        folder,
        1,
        {"PYTHONPATH": str(Path(phonsmith.__file__).resolve().parents[1]), **MPI_ENVIRONMENT},
        output=folder / CUSTODIAN_LOG,
        time_limit_s=time_limit_s,
    )
    attempt = _attempt(folder, finished, time_limit_s)
    _judge(folder, attempt, words)
    if changed := changed_physics(asked, folder, attempt):
        raise LabelFailed(f"custodian finished VASP only with changed physics ({changed})")
    return attempt


def accepted(folder: Path, largest_strain: float = LARGEST_STRAIN) -> tuple[VaspRun, str]:
    """Return the result in vasprun.xml and the text of the OUTCAR, both complete and converged.

    Raises
    ------
    LabelFailed
        A file is incomplete or not converged; for ``largest_strain`` see :func:`read_run`.
    """
    for name in ("OUTCAR", "vasprun.xml"):
        if not (folder / name).is_file():
            raise LabelFailed(f"{name}: VASP wrote none")
    try:
        text = checked_outcar(folder / "OUTCAR")
    except LabelFailed as failed:
        raise LabelFailed(f"OUTCAR: {failed}") from None
    try:
        return read_run(folder / "vasprun.xml", largest_strain), text
    except LabelFailed as failed:
        raise LabelFailed(f"vasprun.xml: {failed}") from None


# --- how it ended ------------------------------------------------------------------------------


_SIGNS: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device|Disk quota exceeded|severe \(38\)|ENOSPC",
        "disk full: VASP could not write",
        "",
    ),
    (
        r"would exceed memory limit|insufficient virtual memory|Cannot allocate memory|"
        r"out of memory|oom.kill|severe \(41\)|bad_alloc",
        "out of memory",
        "memory",
    ),
    (
        r"POTCAR.{0,80}(incompatible|cannot|error)|number of potentials on File POTCAR|"
        r"severe \(24\)[^\n]*POTCAR|SET_CORE_WF|FEXC[FP]",
        "bad POTCAR",
        "",
    ),
    (r"ZBRENT: fatal", "VASP's relaxation broke down (ZBRENT)", ""),
    (r"BRMIX: very serious problems", "the charge density went astray in mixing (BRMIX)", ""),
    (r"EDDDAV: Call to ZHEGV failed", "the diagonalisation failed (EDDDAV)", ""),
    (r"Routine ZPOTRF", "the overlap matrix is singular, atoms too close? (ZPOTRF)", ""),
)
"""What outputs say, the reason in words, and what another try needs more of."""

_NOT_STARTED = (
    r"(could not find|unable to (find|access|launch)|cannot find|not found|No such file)"
    r"[^\n]*executable|executable[^\n]*(not found|could not be found)|command not found|"
    r"attempt to run as root|not enough slots available|error while loading shared libraries"
)


def _attempt(folder: Path, finished: Finished, time_limit_s: float) -> Attempt:
    if finished.timed_out:
        raise LabelFailed(f"out of time: ended after {time_limit_s / 60:.3g} minutes", "time")
    try:
        outcome = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
        return Attempt(outcome["returncode"], outcome["failure"], outcome["corrections"])
    except (OSError, ValueError):
        if finished.signal == "SIGKILL":
            raise LabelFailed(f"killed: {finished.ending}", "memory") from None
        log = _tail(folder, CUSTODIAN_LOG)
        if "No space left" in log:
            raise LabelFailed("disk full: custodian could not write") from None
        raise LabelFailed(f"custodian ended early ({finished.ending}): {log[-200:]}") from None


def _judge(folder: Path, attempt: Attempt, words: list[str]) -> None:
    """Raise the reason in words where VASP or custodian did not end well."""
    if not attempt.failure and attempt.returncode == 0:
        return
    output = "\n".join(_tail(folder, name) for name in ("vasp.out", "std_err.txt"))
    text = f"{_tail(folder, CUSTODIAN_LOG)}\n{output}"
    command = shlex.join(words)
    if attempt.returncode is None or (
        attempt.returncode != 0 and re.search(_NOT_STARTED, text, re.IGNORECASE)
    ):
        raise PhonsmithError(
            f"'{command}' cannot be started ({reason_of(output) or attempt.failure}); load or "
            "install VASP, or set reference.command"
        )
    after = f", also with {attempt.remedies}" if attempt.remedies else ""
    for pattern, reason, wants in _SIGNS:
        if re.search(pattern, text, re.IGNORECASE):
            raise LabelFailed(reason + after, wants)
    if attempt.returncode in (-9, 137):
        raise LabelFailed(f"killed by SIGKILL, as happens when memory runs out{after}", "memory")
    if name := signal_name(attempt.returncode):
        raise LabelFailed(f"VASP was ended by {name}{after}")
    errors = ", ".join(attempt.corrections[-1]["errors"]) if attempt.corrections else ""
    if errors == "Unconverged":
        raise LabelFailed(f"VASP did not converge{after}")
    if errors:
        raise LabelFailed(f"VASP failed with {errors}{after}")
    raise LabelFailed(f"VASP ended with exit status {attempt.returncode}: {reason_of(output)}")


def _tail(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8", errors="replace")[-20000:]
    except OSError:
        return ""


# --- remedies ----------------------------------------------------------------------------------

_HOW = frozenset(
    (
        *("ALGO", "IALGO", "ISEARCH", "TIME", "NBANDS", "NELM", "NELMIN", "NELMDL"),
        *("AMIX", "BMIX", "AMIX_MAG", "BMIX_MAG", "AMIN", "IMIX", "ISTART", "ICHARG"),
        *("NCORE", "NPAR", "KPAR", "SYMPREC", "ISYM", "POTIM", "IBRION", "LPEAD"),
    )
)
"""INCAR keys that tell how the same result is reached, not what is computed."""


def changed_physics(asked: str, folder: Path, attempt: Attempt) -> str:
    """List what custodian changed in the physics of a run.

    A tighter EDIFF is accepted. Only keys of solvers, mixing, symmetry search and parallelisation
    may change, and the cell may be replaced by CONTCAR only.

    Parameters
    ----------
    asked
        INCAR before the run.
    folder
        Folder of the run.
    attempt
        Corrections of custodian.

    Returns
    -------
    The changes in words; empty if there are none.
    """
    from pymatgen.io.vasp import Incar

    before, after = Incar.from_str(asked), Incar.from_file(folder / "INCAR")
    changes = []
    for key in sorted({*before, *after} - _HOW):
        old, new = before.get(key), after.get(key)
        if old == new or (key == "EDIFF" and new is not None and new < old):
            continue
        changes.append(f"{key} = {new} instead of {old}")
    touched = {str(one.get("dict")) for item in attempt.corrections for one in item["actions"]}
    changes += [f"another {name}" for name in sorted(touched & {"POSCAR", "KPOINTS"})]
    return ", ".join(changes)


def _in_words(correction: dict[str, Any]) -> str:
    """A correction of custodian: the errors it saw, and what it did about them."""
    deeds = []
    for one in correction["actions"]:
        what = one.get("dict") or one.get("file")
        for verb, values in one["action"].items():
            if what == "INCAR" and verb == "_set":
                deeds += [f"{key} = {value}" for key, value in values.items()]
            elif what == "INCAR" and verb == "_unset":
                deeds += [f"without {key}" for key in values]
            elif verb == "_file_copy":
                deeds.append(f"{what} as {values['dest']}")
            elif verb == "_file_delete":
                deeds.append(f"without {what}")
            else:
                deeds.append(f"{verb.strip('_')} {what}")
    return f"{', '.join(correction['errors'])}: {', '.join(deeds)}"
