"""Faults of Snakemake that rules/mended.smk mends: each is there without it, and gone with it.

Where a first test fails, the Snakemake that is installed has been mended: then remove what
rules/mended.smk does about it, and both tests.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.project import SNAKEMAKE

pytestmark = pytest.mark.slow

MENDED = "this Snakemake is mended: remove {function} from rules/mended.smk, and its tests"

ANCIENT = """
rule first:
    output: "first"
    params: config["first"]
    shell: "touch {output}"

rule second:
    input: ancient("first")
    output: "second"
    params: config["second"]
    shell: "touch {output}"
"""

REPLACED = """
rule replace:
    input: "given"
    output: made=update("made"), model=update(directory("model"))
    params: config["setting"]
    script: "replace.py"
"""

REPLACING = """
from pathlib import Path
Path("model").mkdir(exist_ok=True)
if Path("broken").exists():
    raise SystemExit(1)
Path("model/m").touch()
Path("made").write_text(Path("given").read_text())
"""

WAITING = """
rule all:
    input: expand("quick/{number}", number=range(20)), "slow/1", "slow/2"

rule quick:
    output: "quick/{number}"
    priority: 1
    shell: "touch {output}"

rule slow:
    output: "slow/{number}"
    shell: "ls /proc/$PPID/task | wc -l > {output}; sleep 2"
"""


class Small:
    """A folder with a Snakefile of its own, with or without the repository's mended.smk."""

    def __init__(self, folder: Path, rules: str, mended: Path | None) -> None:
        self.folder = folder
        begin = f'import os\nimport shutil\n\ninclude: "{mended}"\n' if mended else ""
        forget = "\nonstart:\n    forget_copies_of_killed_runs()\n" if mended else ""
        (folder / "replace.py").write_text(REPLACING)
        (folder / "Snakefile").write_text(begin + rules + forget)

    def run(self, *arguments: str, **config: int) -> subprocess.CompletedProcess[str]:
        given = ["--config", *(f"{key}={value}" for key, value in config.items())] if config else []
        triggers = ["--rerun-triggers", "mtime", "params", "input", "--rerun-incomplete"]
        return subprocess.run(
            [str(SNAKEMAKE), "--cores", "1", *triggers, *arguments, *given],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def would_run(self, target: str, **config: int) -> set[str]:
        """The rules that a dry run names."""
        run = self.run("--dry-run", target, **config)
        assert run.returncode == 0, run.stderr
        lines = (run.stdout + run.stderr).splitlines()
        return {line[len("rule ") : -1] for line in lines if line.startswith("rule ")}


@pytest.fixture(params=[False, True], ids=["without", "with"])
def mended(request: pytest.FixtureRequest, repository: Path) -> Path | None:
    return repository / "rules/mended.smk" if request.param else None


def test_jobs_after_ancient_files_are_looked_at(tmp_path: Path, mended: Path | None) -> None:
    """Both rules have other settings; the second uses the first's file as an ancient one."""
    project = Small(tmp_path, ANCIENT, mended)
    assert project.run("second", first=1, second=1).returncode == 0
    assert project.would_run("second", first=1, second=2) == {"second"}
    found = project.would_run("second", first=2, second=2)
    if mended:
        assert found == {"first", "second"}
    else:
        assert found == {"first"}, MENDED.format(function="look_at_jobs_after_ancient_files")


def test_copies_of_killed_runs_are_in_nobodys_way(tmp_path: Path, mended: Path | None) -> None:
    project = Small(tmp_path, REPLACED, mended)
    (tmp_path / "given").write_text("1")
    assert project.run("made", setting=1).returncode == 0
    (tmp_path / ".snakemake/backups/model").mkdir(parents=True)
    run = project.run("--force", "made", setting=1)
    if mended:
        assert run.returncode == 0, run.stdout + run.stderr
    else:
        function = "forget_copies_of_killed_runs"
        assert "FileExistsError" in run.stdout + run.stderr, MENDED.format(function=function)


@pytest.mark.parametrize("change", ["input", "setting"])
def test_what_a_failed_job_should_have_replaced_is_still_due(
    tmp_path: Path, mended: Path | None, change: str
) -> None:
    """Its old outputs are put back, which Snakemake records as if they were the new ones."""
    project = Small(tmp_path, REPLACED, mended)
    given = tmp_path / "given"
    given.write_text("1")
    assert project.run("made", setting=1).returncode == 0
    made = (tmp_path / "made").stat().st_mtime_ns
    setting = 2 if change == "setting" else 1
    if change == "input":
        given.write_text("2")
        os.utime(given, ns=(made + 10**6, made + 10**6))
    (tmp_path / "broken").touch()
    assert project.run("made", setting=setting).returncode != 0
    assert (tmp_path / "made").read_text() == "1"
    found = project.would_run("made", setting=setting)
    if not mended:
        assert found == set(), MENDED.format(function="remember_what_failed_jobs_put_back")
        return
    assert found == {"replace"}
    (tmp_path / "broken").unlink()
    assert project.run("made", setting=setting).returncode == 0
    assert (tmp_path / "made").read_text() == given.read_text()
    assert project.would_run("made", setting=setting) == set()


def test_one_timer_wakes_the_scheduler(tmp_path: Path, mended: Path | None) -> None:
    """Threads of Snakemake while slow jobs wait for the core; each timer is a thread."""
    run = Small(tmp_path, WAITING, mended).run("all")
    assert run.returncode == 0, run.stderr
    threads = max(int((tmp_path / f"slow/{number}").read_text()) for number in (1, 2))
    if mended:
        assert threads < 10
    else:
        assert threads > 15, MENDED.format(function="wake_the_scheduler_by_one_timer")
