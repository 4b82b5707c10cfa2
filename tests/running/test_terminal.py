"""What ends a run is told in lines with a remedy, whoever raised it; tracebacks go to a file."""

import errno
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.exceptions import InputFunctionException, MissingRuleException, WorkflowError

from phonsmith.files.cautions import Caution, write_cautions
from phonsmith.files.errors import PhonsmithError, Problems, in_our_words
from phonsmith.running import terminal
from phonsmith.running.job_context import job
from phonsmith.running.terminal import InOurWords, asked_for, errors_in_words, unknown_target
from tests.project import SNAKEMAKE, Project

SILICON = "x\n0.6\n5 0 0\n0 5 0\n0 0 5\nSi\n2\nDirect\n0 0 0\n0.5 0.5 0.5\n"
TINY = {
    "structures": {"si": {"file": "si.vasp"}},
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "fits": {"gap": {"kind": "gap"}},
}


def raised(error: BaseException, before: BaseException | None = None) -> BaseException:
    try:
        if before is None:
            raise error
        try:
            raise before
        except BaseException:
            raise error  # noqa: B904 - as Snakemake does
    except BaseException as caught:
        return caught


# --- exceptions as lines -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PhonsmithError("a: b"), ["x: a: b"]),
        (KeyError("spglib\nsays"), ["x: KeyError: ", "spglib"]),
        (ValueError(), ["x: ValueError: no reason given"]),
        (ValueError("a\nb"), ["x: ValueError: a b"]),
        (OSError(errno.ENOSPC, "No space", "results/a"), ["disk is full (writing results/a)"]),
        (OSError(errno.ENOSPC, "No space", "/tmp/a"), ["disk is full (writing /tmp/a)", "TMPDIR"]),
        (
            PermissionError(errno.EACCES, "denied", "results/a"),
            ["results/a", "permission"],
        ),
        (
            OSError(errno.EROFS, "Read-only", "results/a"),
            ["results/a", "read-only disk"],
        ),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
            ["temporary folder", "TMPDIR", "free some space"],
        ),
        (KeyboardInterrupt(), ["interrupted", "restart"]),
    ],
)
def test_every_exception_is_one_line(
    error: BaseException, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    text = str(in_our_words(raised(error), "x"))
    assert "\n" not in text
    for word in words:
        assert word in text


def test_problems_are_collected_with_their_tracebacks() -> None:
    problems = Problems()
    for error in (PhonsmithError("first"), KeyError("second"), PhonsmithError("first")):
        with problems.of("key"):
            raise error
    with pytest.raises(PhonsmithError) as caught:
        problems.raise_all("c.yaml")
    assert str(caught.value).splitlines() == [
        "c.yaml: key: first",
        "c.yaml: key: KeyError: 'second'",
    ]
    assert "Traceback" in caught.value.details


def test_a_program_ends_with_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for error, status, words in (
        (PhonsmithError("a\nb"), 1, ["phonsmith: a", "phonsmith: b"]),
        (KeyError("a"), 1, ["phonsmith: KeyError: 'a'", f"end of {terminal.TRACEBACKS}"]),
        (KeyboardInterrupt(), 130, ["phonsmith: interrupted"]),
    ):
        with pytest.raises(SystemExit) as caught, errors_in_words():
            raise error
        assert caught.value.code == status
        said = capsys.readouterr().err
        assert "Traceback" not in said
        for word in words:
            assert word in said
    assert "Traceback" in terminal.TRACEBACKS.read_text()


def test_an_interrupted_job_has_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught, job(1, tmp_path / "log"):
        raise KeyboardInterrupt
    assert caught.value.code == 130


# --- Snakemake's reports -------------------------------------------------------------------------


def shown(error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """What the filter makes of Snakemake's report of an exception; None where it drops it."""
    monkeypatch.chdir(tmp_path)
    text = f"{type(error).__name__} in rule fit in file x.smk, line 3:\n{error}\nTraceback:\n  File"
    record = logging.LogRecord("snakemake", logging.ERROR, "", 0, text, (), None)
    record.exception = type(error).__name__
    try:
        raise error
    except BaseException:
        kept = InOurWords(lambda target: f"no {target} here").filter(record)
    return record.getMessage() if kept else None


def test_exceptions_of_input_functions_are_lines(tmp_path, monkeypatch) -> None:
    class Rule:
        name, lineno, snakefile = "fit", 3, "x.smk"

    def wrapped(error: BaseException) -> BaseException:
        return raised(InputFunctionException("x", rule=Rule(), wildcards={}), raised(error))

    text = shown(wrapped(KeyError("gap")), tmp_path, monkeypatch)
    assert text is not None
    assert text.splitlines()[0] == "phonsmith: rule fit: KeyError: 'gap'"
    assert "Traceback:" not in text
    assert "KeyError: 'gap'" in (tmp_path / terminal.TRACEBACKS).read_text()
    assert shown(wrapped(PhonsmithError("do it")), tmp_path, monkeypatch) == (
        "phonsmith: rule fit: do it"
    )
    assert shown(wrapped(SystemExit(1)), tmp_path, monkeypatch) is None  # said already
    interrupted = raised(RuntimeError("Cannot close a running event loop"), KeyboardInterrupt())
    assert (shown(interrupted, tmp_path, monkeypatch) or "").startswith("phonsmith: interrupted")
    own = raised(WorkflowError("a lock"))
    assert "a lock" in (shown(own, tmp_path, monkeypatch) or "")
    missing = raised(MissingRuleException("mgo"))
    assert shown(missing, tmp_path, monkeypatch) == "phonsmith: no mgo here"


def test_jobs_that_an_interrupt_ended_are_not_told() -> None:
    shows = InOurWords(str).filter
    died = "Command 'x' died with <Signals.SIGINT: 2>."
    for text, expected in (("Error", True), (died, False), ("Error", False)):
        record = logging.LogRecord("snakemake", logging.ERROR, "", 0, text, (), None)
        record.event = "JOB_ERROR"
        assert shows(record) is expected, text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Requested node configuration is not available", ["max_cores", "reference.cores"]),
        ("CPU count per node can not be satisfied", ["max_cores"]),
        ("Memory specification can not be satisfied", ["max_memory_mb"]),
        ("Requested time limit is invalid (missing or exceeds some limit)", ["max_minutes"]),
        ("invalid partition specified: cpu", ["sinfo"]),
        ("Invalid account or account/partition combination specified", ["account", "qos"]),
        ("Invalid feature specification", ["constraint"]),
        ("Invalid generic resource (gres) specification", ["gres"]),
    ],
)
def test_refusals_of_sbatch_have_a_remedy_in_the_site_file(
    said: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shows = InOurWords(str)
    record = logging.LogRecord("snakemake", logging.ERROR, "", 0, "Error in rule fit", (), None)
    record.msg_of_executor = f"SLURM sbatch failed. The error message was 'sbatch: error: {said}'."
    for _ in range(3):
        assert shows.filter(record)
    (line,) = capsys.readouterr().err.splitlines()
    for word in ["phonsmith: SLURM refused a job: ", "config/site.yaml", *words]:
        assert word in line


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mgo", ["unknown target 'mgo'", "unknown campaign 'mgo'", "results/mgo2/report.html?"]),
        ("plam", ["did you mean 'plan'?", "all, plan"]),
        ("si-demo", ["is a campaign", "results/si-demo/report.html"]),
        ("results/si-demo/report.htm", ["did you mean 'results/si-demo/report.html'?"]),
        ("results/si-demo/x", ["not a file of campaign si-demo", "tables/rmse.csv"]),
        (
            "results/si-demi/report.html",
            ["unknown campaign 'si-demi'", "results/si-demo/report.html?"],
        ),
        (
            "results/si-demo/figures/bands/gap",
            [
                "use results/si-demo/figures/bands/gap/figures.json",
                "results/si-demo/figures/bands/gap/STRUCTURE.svg",
            ],
        ),
        ("x/y.z", ["unknown target 'x/y.z'", "all, plan", "mgo2, si-demo"]),
    ],
)
def test_an_unknown_target_is_answered_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, words: list[str]
) -> None:
    (tmp_path / "config/campaigns").mkdir(parents=True)
    for name in ("mgo2", "si-demo"):
        (tmp_path / f"config/campaigns/{name}.yaml").touch()
    monkeypatch.chdir(tmp_path)

    def of_campaign(name: str) -> list[str]:
        return [f"results/{name}/report.html", f"results/{name}/tables/rmse.csv"]

    text = unknown_target(target, ("all", "plan"), of_campaign)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_snakemake_names_the_nearest_campaign(tmp_path: Path, repository: Path) -> None:
    project = Project(tmp_path, repository, tiny=TINY)
    project.refuses(["unknown target 'tine'", "results/tiny/report.html?"], "tine")
    project.refuses(["tine.yaml: no such campaign file", "'tiny'"], "results/tine/report.html")


# --- what jobs ask for --------------------------------------------------------------------------

TO_BE_DETERMINED = "<TBD>"


@pytest.mark.parametrize(
    ("resources", "cores", "words"),
    [
        ({"mem_mb": 500, "runtime": 30}, 1, "short, 1 core, 500 MB, 30 min"),
        ({"mem_mb": 9, "runtime": 3, "gpu": 1}, 2, "short, 2 cores, 1 GPU, 9 MB, 3 min"),
        (
            {"mem_mb": 9, "runtime": 3, "gpu": 0, "gres": "gpu:a100:1"},
            2,
            "short, 2 cores, gpu:a100:1, 9 MB, 3 min",
        ),
        (
            {"mem_mb": TO_BE_DETERMINED, "runtime": 30},
            8,
            "short, 8 cores, 30 min, memory depending on the cells (see the plan)",
        ),
        (
            {"mem_mb": TO_BE_DETERMINED, "runtime": TO_BE_DETERMINED},
            8,
            "short, 8 cores, memory and time depending on the cells (see the plan)",
        ),
    ],
)
def test_what_a_job_asks_for_in_words(resources: dict[str, Any], cores: int, words: str) -> None:
    assert asked_for({"slurm_partition": "short", **resources}, cores) == words


def test_a_dry_run_tells_what_jobs_ask_slurm_for(tmp_path: Path, repository: Path) -> None:
    espresso = {
        **{"method": "espresso", "functional": "PBE", "ecutwfc_ry": 30, "cores": 8},
        "pseudopotentials": {"folder": "upf", "files": {"Si": "Si.upf"}},
    }
    dft = {**TINY, "reference": espresso}
    project = Project(tmp_path, repository, tiny=TINY, dft=dft)
    (tmp_path / "si.vasp").write_text(SILICON)
    (tmp_path / "upf").mkdir()
    header = '<PP_HEADER element="Si" z_valence="4.0" pseudo_type="NC" functional="PBE"/>'
    (tmp_path / "upf/Si.upf").write_text(f'<UPF version="2.0.1">\n{header}</UPF>')
    project.place_it(cpu={"partition": "batch"}, max_minutes=600)
    run = subprocess.run(
        [str(SNAKEMAKE), *project.place("slurm"), "--dry-run", "--quiet", "host"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    unknown = "memory and time depending on the cells (see the plan)"
    said = re.findall(r"^Job \d+: (.*)$", run.stdout + run.stderr, re.MULTILINE)
    for words in (
        "tiny: labelling isolated atoms [batch, 1 core, 2000 MB, 480 min]",
        f"dft: labelling isolated atoms [batch, 8 cores, {unknown}]",
        "tiny: writing the report",  # runs where Snakemake runs
    ):
        assert words in said, "\n".join(said)


# a fault in the program while it plans, and an interrupt there
FAULTY = """
import sys
sys.path.insert(0, {repository!r})
import phonsmith.check.inputs
def faulty(*_):
    raise {error}
phonsmith.check.inputs._check_circles = faulty
from snakemake.cli import main
main()
"""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("KeyError('Na1')", ["config/campaigns/tiny.yaml: KeyError: 'Na1'", "unexpected error"]),
        ("KeyboardInterrupt", ["interrupted"]),
    ],
)
def test_planning_ends_without_a_traceback(
    tmp_path: Path, repository: Path, error: str, words: list[str]
) -> None:
    project = Project(tmp_path, repository, tiny=TINY)
    (tmp_path / "si.vasp").write_text(SILICON)
    program = FAULTY.format(repository=str(repository), error=error)
    run = subprocess.run(
        [sys.executable, "-c", program, *project.command("--dry-run")[1:]],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode != 0
    assert "Traceback" not in run.stdout + run.stderr
    for word in words:
        assert word in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [6, 9, 12])
def test_an_interrupted_run_has_no_traceback(
    tmp_path: Path, repository: Path, after_s: float
) -> None:
    """Whatever runs: Snakemake, its jobs while they import, or scripts."""
    project = Project(tmp_path, repository, tiny=TINY)
    (tmp_path / "si.vasp").write_text(SILICON)
    run = subprocess.Popen(
        project.command(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 600
    while not (tmp_path / ".snakemake/log").exists() and time.monotonic() < end:
        time.sleep(0.1)  # before that, Python imports Snakemake
    time.sleep(after_s)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode != 0
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said


def test_warnings_are_printed_at_the_end(tmp_path: Path, repository: Path) -> None:
    project = Project(tmp_path, repository, tiny=TINY)
    (tmp_path / "si.vasp").write_text(SILICON)
    now = time.time()
    for name, messages, age_s in (
        ("tiny", ["Lattice strained by 6 %."] + [f"Warning {i}." for i in range(30)], -3600),
        ("old", ["Said before."], 3600),
        ("odd", None, -3600),
    ):
        table = tmp_path / f"results/{name}/tables/warnings.csv"
        table.parent.mkdir(parents=True)
        if messages is None:
            table.write_text("something else\n")
        else:
            write_cautions(table, [Caution("structures", "si", one) for one in messages])
        os.utime(table, (now - age_s,) * 2)  # as if this run wrote it, or one before
    run = project.run("results/tiny/structures/si.extxyz")
    assert run.returncode == 0, run.stderr
    assert "phonsmith: tiny: warning: si: Lattice strained by 6 %." in run.stderr
    assert "tiny: 11 more warnings in results/tiny/tables/warnings.csv" in run.stderr
    assert "Said before" not in run.stderr
    assert "results/odd/tables/warnings.csv: not a table of warnings" in run.stderr


def test_config_yaml_is_read_strictly(tmp_path: Path, repository: Path) -> None:
    project = Project(tmp_path, repository, tiny=TINY)
    path = tmp_path / "config/config.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content) + "campaigns: [other]\n")
    project.refuses(["config/config.yaml", "duplicate key 'campaigns'"])
    path.unlink()
    os.mkfifo(path)
    project.refuses(["config/config.yaml", "a device or a pipe"])
