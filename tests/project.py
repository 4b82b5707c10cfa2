"""Whole runs of campaigns in a folder of their own."""

import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

SNAKEMAKE = Path(sys.executable).with_name("snakemake")

FORKS = multiprocessing.get_context("forkserver")
"""Starts processes that have imported already what takes most of the time of a dry run."""
FORKS.set_forkserver_preload(
    [
        *("snakemake.cli", "snakemake.notebook", "phonsmith.campaign.reading"),
        *("phonsmith.check.inputs", "phonsmith.structures.reading"),
        "phonsmith.potentials.calculators",
    ]
)


def prepared(
    arguments: list[str], *, telling_all: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a process of :data:`FORKS`.

    ``telling_all`` tells all of a job where Snakemake else tells the job's message alone.
    """
    with tempfile.TemporaryDirectory() as place:
        streams = [Path(place) / name for name in ("output", "errors")]
        given = (arguments, streams, dict(os.environ), Path.cwd(), telling_all)
        process = FORKS.Process(target=_snakemake, args=given)
        process.start()
        process.join(600)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, 600)
        output, errors = (one.read_text() for one in streams)
        return subprocess.CompletedProcess(arguments, process.exitcode, output, errors)


def _snakemake(
    arguments: list[str],
    streams: list[Path],
    environment: dict[str, str],
    folder: Path,
    telling_all: bool,
) -> None:
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = arguments
    from snakemake import cli
    from snakemake.logging import DefaultFormatter

    if telling_all:
        plain = DefaultFormatter.format_job_info
        DefaultFormatter.format_job_info = lambda self, job: plain(self, {**job, "rule_msg": None})
    try:
        cli.main()
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)


class Project:
    """A folder with a config/ of its own, in which the repository's Snakefile is run."""

    def __init__(self, folder: Path, repository: Path, **campaigns: dict):
        self.folder = folder
        self.repository = repository
        (folder / "config/campaigns").mkdir(parents=True)
        (folder / "config/structures").symlink_to(repository / "config/structures")
        mirrors = [str(repository.parent / "shared/data")]
        self.configure(campaigns=list(campaigns), mirrors=mirrors)
        for name, settings in campaigns.items():
            self.write(name, settings)

    def configure(self, **site: object) -> None:
        """Replace config.yaml."""
        (self.folder / "config/config.yaml").write_text(yaml.safe_dump(site))

    def place_it(self, **cluster: object) -> None:
        """Write site.yaml."""
        (self.folder / "config/site.yaml").write_text(yaml.safe_dump(cluster))

    def write(self, name: str, settings: dict) -> None:
        text = yaml.safe_dump(settings)
        (self.folder / f"config/campaigns/{name}.yaml").write_text(text)

    def command(self, *arguments: str) -> list[str]:
        return [
            *(str(SNAKEMAKE), *self.place("local")),
            *("--quiet", "progress", "--cores", "2"),
            *arguments,
        ]

    def place(self, profile: str) -> list[str]:
        return [
            *("--snakefile", str(self.repository / "Snakefile")),
            *("--profile", str(self.repository / "profiles" / profile)),
            *("--directory", str(self.folder)),
        ]

    def run(self, *arguments: str, timeout: float = 1800) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout, check=False
        )

    def plan(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake where it comes to no job: a dry run, or one that is refused."""
        return prepared(self.command(*arguments))

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry run would run."""
        run = self.plan("--quiet", "host", "--dry-run", *arguments)
        assert run.returncode == 0, run.stderr
        text = run.stdout + run.stderr
        if "Nothing to be done" in text:
            return {}
        found = re.search(r"^Job stats:\njob +count\n[- ]+\n(.*?)^total", text, re.M | re.S)
        assert found, text
        return {rule: int(count) for rule, count in map(str.split, found[1].splitlines())}

    def planned_with(self, changes: dict, *arguments: str, name: str = "tiny") -> dict[str, int]:
        """The same under changed settings of the campaign, which stays as it is."""
        path = self.folder / f"config/campaigns/{name}.yaml"
        before = path.read_text()
        self.write(name, {**yaml.safe_load(before), **changes})
        try:
            return self.planned(*arguments)
        finally:
            path.write_text(before)

    def planned_jobs(self, profile: str, *targets: str) -> list[dict[str, str]]:
        """Rule, wildcards, threads and resources of every job that a profile would run."""
        command = [str(SNAKEMAKE), *self.place(profile), "--dry-run", "--quiet", "host", "--"]
        run = prepared([*command, *targets], telling_all=True)
        assert run.returncode == 0, run.stderr
        blocks = re.split(r"^(?:local)?rule ", run.stdout + run.stderr, flags=re.M)[1:]
        jobs = []
        for block in blocks:
            job = {"rule": block.split(":")[0], "threads": "1"}
            for line in re.findall(r"^    (?:wildcards|resources): (.*)$", block, re.M):
                job |= dict(pair.split("=") for pair in line.split(", "))
            job |= dict(re.findall(r"^    (threads): (\d+)$", block, re.M))
            jobs.append(job)
        return jobs

    def refuses(self, words: list[str], *arguments: str, problems: int = 1) -> None:
        """Check that a run stops with a line a problem, the last with the words, before any job."""
        run = self.plan(*arguments)
        assert run.returncode != 0
        said = [line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")]
        assert len(said) == problems, run.stderr
        for word in words:
            assert word in said[-1]
        assert "Traceback" not in run.stderr
        assert not (self.folder / "results").exists()

    def results(self, campaign: str) -> Path:
        return self.folder / "results" / campaign
