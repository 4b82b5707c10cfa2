"""Messages on the terminal in place of Snakemake's: one line with a remedy."""

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from phonsmith.files.errors import INTERRUPTED, as_lines, in_our_words, without_secrets
from phonsmith.files.problems import listed, most_similar, nearest

TRACEBACKS = Path(".snakemake/log/phonsmith.traceback.log")
"""Tracebacks of unexpected exceptions while Snakemake plans."""


def say(error: object) -> None:
    """Print an error (or its text) as lines on standard error."""
    if isinstance(error, BaseException):
        print(as_lines(error, TRACEBACKS), file=sys.stderr, flush=True)
        return
    for line in str(error).splitlines():
        print(f"phonsmith: {line}", file=sys.stderr, flush=True)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Run the body of a program; an exception ends it with lines on standard error."""
    try:
        yield
    except KeyboardInterrupt as error:
        say(error)
        sys.exit(INTERRUPTED)
    except Exception as error:
        say(error)
        sys.exit(1)


def campaigns_here(folder: Path = Path("config/campaigns")) -> list[str]:
    """Return the names of the campaign files that a project has."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def unknown_target(target: str, commands: Sequence[str], of_campaign: Callable[[str], Any]) -> str:
    """Return a message on an unknown target, with the nearest known ones.

    Parameters
    ----------
    target
        Requested target: a word, or a file.
    commands
        Names of rules without wildcards.
    of_campaign
        Gives the targets of a campaign by its name.
    """
    known = campaigns_here()
    _, name, *below = [*Path(target).parts, "", ""] if target.startswith("results/") else ["", ""]
    if name in known and below[:2] == ["figures", "bands"] and len(below) > 3:
        folder = "/".join(["results", name, *below[:2], below[2] or "FIT"])
        return (
            f"{target}: not a target; use {folder}/figures.json (all band structures of a fit, in "
            f"figures.formats), or {folder}/STRUCTURE.svg, .png or .pdf"
        )
    if name in known and below:
        targets = sorted(of_campaign(name))
        return (
            f"{target}: not a file of campaign {name}{nearest(target, targets) or ';'} its targets "
            f"are {listed(targets)}"
        )
    if target in known:
        return f"'{target}' is a campaign, not a target; use results/{target}/report.html"
    word = name or Path(target).stem
    if not name and (guess := nearest(target, commands)):
        return f"unknown target '{target}'{guess} targets are {listed(commands)}"
    if campaign := most_similar(word, known):
        return (
            f"unknown target '{target}' and unknown campaign '{word}'; did you mean "
            f"results/{campaign}/report.html? campaigns are {listed(known)}"
        )
    return (
        f"unknown target '{target}'; targets are {listed(commands)}, and results/NAME/report.html "
        f"of a campaign NAME in config/campaigns: {listed(known)}"
    )


class InOurWords(logging.Filter):
    """Rewrites what Snakemake reports about exceptions that are not its own.

    Snakemake logs an exception while it handles it, with the name of its class as ``exception``.
    """

    def __init__(self, missing: Callable[[str], str]) -> None:
        super().__init__()
        self._missing = missing
        self._interrupted = False
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message is shown; it may have been rewritten."""
        if self._interrupted and str(getattr(record, "event", "")).upper().endswith("JOB_ERROR"):
            return False
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._say_remedy(record)
        if record.levelno >= logging.ERROR and _INTERRUPTED.search(text):
            self._interrupted = True
            return False
        name = getattr(record, "exception", None)
        if not isinstance(name, str):
            return True
        if name == "MissingRuleException" and (found := _NO_RULE.search(text)):
            self._replace(record, f"phonsmith: {self._missing(found['file'])}")
            return True
        error = _foreign(sys.exc_info()[1])
        if isinstance(error, SystemExit):  # whose reason is on the terminal already
            return False
        if any(isinstance(one, KeyboardInterrupt) for one in _chain(sys.exc_info()[1])):
            error = KeyboardInterrupt()
        if error is not None:
            where = _RULE.search(text)
            ours = in_our_words(error, f"rule {where['rule']}" if where else "planning")
            self._replace(record, as_lines(ours, TRACEBACKS))
        return True

    def _say_remedy(self, record: logging.LogRecord) -> None:
        """Once for each reason why SLURM refuses jobs; Snakemake reports sbatch's words beside."""
        text = " ".join(str(value) for value in vars(record).values())
        if not _REFUSED.search(text):
            return
        for words, remedy in SLURM_REMEDIES.items():
            if re.search(words, text, re.IGNORECASE):
                if remedy not in self._said:
                    say(f"SLURM refused a job: {remedy}")
                self._said.add(remedy)
                return

    @staticmethod
    def _replace(record: logging.LogRecord, text: str) -> None:
        record.msg, record.args = without_secrets(text), ()


class ShowsWhatJobsAskFor(logging.Filter):
    """Add the requested SLURM resources to the line of each job that runs elsewhere.

    Snakemake itself reports them only for jobs without a message. ``wanted`` returns whether this
    run needs them: a dry run, or a run on a cluster.
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        super().__init__()
        self._wanted = wanted

    def filter(self, record: logging.LogRecord) -> bool:
        """Return true; the message of a job may have been extended."""
        message = getattr(record, "rule_msg", None)
        if message and str(getattr(record, "event", "")).upper().endswith("JOB_INFO"):
            resources = dict(vars(record)["resources"].items())
            if "slurm_partition" in resources and self._wanted():
                record.rule_msg = f"{message} [{asked_for(resources, vars(record)['threads'])}]"
        return True


def asked_for(resources: Mapping[str, Any], cores: int) -> str:
    """Describe the cluster resources that a job requests.

    >>> asked_for({"slurm_partition": "cpu", "mem_mb": 2000, "runtime": 60}, 4)
    'cpu, 4 cores, 2000 MB, 60 min'

    Memory and time that depend on cells to come are not numbers here.
    """
    words = [str(resources["slurm_partition"]), f"{cores} core{'' if cores == 1 else 's'}"]
    if gres := resources.get("gres"):
        words.append(str(gres))
    elif resources.get("gpu"):
        words.append("1 GPU")
    amounts = [(resources.get("mem_mb"), "memory", "MB"), (resources.get("runtime"), "time", "min")]
    words += [f"{amount} {unit}" for amount, _, unit in amounts if isinstance(amount, int)]
    unknown = [what for amount, what, _ in amounts if not isinstance(amount, int)]
    words += [f"{' and '.join(unknown)} depending on the cells (see the plan)"] if unknown else []
    return ", ".join(words)


_REFUSED = re.compile(r"sbatch failed|SLURM job submission failed")
SLURM_REMEDIES = {
    r"node configuration|more processors|cpu count|too many cpus|MaxCpus": (
        "it requests more cores, memory or GPUs than a node has; lower max_cores or max_memory_mb "
        "in config/site.yaml, for a DFT code reference.cores or labels.side_by_side of the campaign"
    ),
    r"memory specification|MaxMem": (
        "it requests more memory than a node has; set max_memory_mb in config/site.yaml"
    ),
    r"time limit|MaxWall": (
        "it requests more time than the partition allows; set max_minutes in config/site.yaml"
    ),
    r"invalid partition|partition.*(not|inactive)": (
        "unknown partition; correct partition in config/site.yaml (`sinfo -s` lists them)"
    ),
    r"account|qos|AssocGrp": (
        "account or QOS is not valid for you on this partition; set account and qos in "
        "config/site.yaml (`sacctmgr show assoc user=$USER` lists them)"
    ),
    r"constraint|feature": "no node has this feature; correct constraint in config/site.yaml",
    r"gres": "no node has this GPU; correct gres in config/site.yaml (`sinfo -o %G` lists them)",
}
"""Patterns of messages with which sbatch refuses a job, and the remedies."""

_NO_RULE = re.compile(r"No rule to produce (?P<file>.+?) \(if you use")
_INTERRUPTED = re.compile(r"died with <Signals.SIGINT|non-zero exit status 130\b")
_RULE = re.compile(r" in rule (?P<rule>\w+) in file")


def _foreign(error: BaseException | None) -> BaseException | None:
    """The exception behind one of Snakemake's, or itself where it is none of Snakemake's."""
    if error is None or not type(error).__module__.startswith("snakemake"):
        return error
    if type(error).__name__ != "InputFunctionException":
        return None
    behind = error.__cause__ or error.__context__
    return _foreign(behind) if behind is not error else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those before it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the exception that ends Python (Ctrl-C above all) in one line; for ``sys.excepthook``.

    Parameters
    ----------
    kind
        Type of the exception.
    error
        The exception.
    trace
        Traceback, not printed.
    """
    interrupts = (one for one in _chain(error) if isinstance(one, KeyboardInterrupt))
    say(next(interrupts, error))
