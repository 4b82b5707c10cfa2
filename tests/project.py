"""Whole runs of campaigns in a folder of their own."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

SNAKEMAKE = Path(sys.executable).with_name("snakemake")

# snakemake, telling all of a job where it else tells the job's message alone
TELLING_ALL = """
from snakemake.cli import main
from snakemake.logging import DefaultFormatter
plain = DefaultFormatter.format_job_info
DefaultFormatter.format_job_info = lambda self, job: plain(self, {**job, "rule_msg": None})
main()
"""


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

    def run(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout, check=False
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry run would run."""
        run = self.run("--quiet", "host", "--dry-run", *arguments)
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
        command = [sys.executable, "-c", TELLING_ALL, *self.place(profile)]
        command += ["--dry-run", "--quiet", "host", "--", *targets]
        run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
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
        run = self.run(*arguments)
        assert run.returncode != 0
        said = [line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")]
        assert len(said) == problems, run.stderr
        for word in words:
            assert word in said[-1]
        assert "Traceback" not in run.stderr
        assert not (self.folder / "results").exists()

    def results(self, campaign: str) -> Path:
        return self.folder / "results" / campaign
