"""What every rules file uses: the campaigns, slices of their settings, and the targets."""

import functools
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

# the library beside this workflow, for this process and for the scripts of the jobs
sys.path.insert(0, workflow.basedir)
os.environ.update(
    PYTHONPATH=os.pathsep.join(
        [workflow.basedir, *filter(None, [os.environ.get("PYTHONPATH")])]
    )
)

from phonsmith.campaign import Campaign, load_campaign
from phonsmith.checks import check_inputs
from phonsmith.crystals import fetched_path
from phonsmith.errors import PhonsmithError
from phonsmith.recipes import REPLAY_SETS, takes_gpu
from phonsmith.site import load_site
from phonsmith.stages import VERSIONS


wildcard_constraints:
    campaign=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    structure=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    database=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    fit=r"(?!reference/)[A-Za-z0-9][A-Za-z0-9._-]*",
    method=r"reference|[A-Za-z0-9][A-Za-z0-9._-]*/gen\d+",
    sweep=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    generation=r"\d+",
    batch=r"\d+",
    cell=r"relaxed|reference",


ENVIRONMENT = "../envs/phonsmith.yaml"
STARTED = time.time()
SOURCES = "results/.sources"
LABEL_STORE = "results/{campaign}/labels/store"


def stop(message):
    """End the run before any job, with one line."""
    print(f"phonsmith: {message}", file=sys.stderr)
    sys.exit(1)


try:
    config.update(load_site(config).model_dump())  # checked, and with its defaults
except PhonsmithError as error:
    stop(error)


MADE = re.compile(
    r"(?P<folder>results/[^/]+/fits/[^/]+/gen\d+/model)/[^/]+"
    r"|results/[^/]+/datasets/gen\d+/train\.extxyz"
)


def is_made(file):
    """Whether a file that a campaign names is one that this pipeline makes."""
    return MADE.fullmatch(file) is not None


@functools.cache
def campaign(name):
    """The campaign of this name, read once and checked with the files it names."""
    path = Path("config/campaigns") / f"{name}.yaml"
    try:
        settings = load_campaign(path)
        if workflow.is_main_process:
            mirrors = [Path(one) for one in config["mirrors"]]
            check_inputs(settings, path, mirrors, made=is_made)
    except PhonsmithError as error:
        stop(error)
    return settings


def look_up(wildcards, path):
    """The settings at ``path``: keys parted by slashes, wildcards in braces, as in ``fits/{fit}``."""
    path = path.format(**wildcards)
    value = campaign(wildcards.campaign)
    for key in path.split("/"):
        if isinstance(value, dict) and key not in value:
            stop(
                f"campaign {wildcards.campaign} has no {path}; "
                f"it has {', '.join(value) or 'none'}"
            )
        value = value[key] if isinstance(value, dict) else getattr(value, key)
    return value


def setting(path, exclude=None):
    """A function for params: the settings at ``path``, as plain JSON.

    ``exclude`` names, as for pydantic, keys that must make nothing stale.
    """

    def of(wildcards):
        value = look_up(wildcards, path)
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json", exclude=exclude)
        return value

    return of


def untracked(value_of):
    """The same function for params, for what a script needs but no result depends on.

    Snakemake compares params with those of the last run, other than params made from the names of
    the outputs. Settings with such keys (the address of a data set) are handed over whole in this
    way, and what counts of them stands in a param beside.
    """

    def of(wildcards, output):
        return value_of(wildcards)

    return of


def partition(kind):
    """The site's SLURM partition for ``cpu`` or ``gpu`` jobs."""
    return config["partitions"][kind]


def share_of_cores(jobs_of):
    """A function for threads: a fair share of all cores, ``jobs_of`` giving the number of jobs."""

    def of(wildcards):
        return max(1, min(16, workflow.cores // max(1, jobs_of(wildcards))))

    return of


def memory_mb(job, process):
    """A function for resources: memory of a job and of each of its processes, more when it failed."""

    def of(wildcards, attempt, threads):
        return attempt * (job + process * threads)

    return of


def reference_of(wildcards):
    """The reference method of the campaign."""
    return campaign(wildcards.campaign).reference


def attempt(wildcards, attempt):
    """A function for resources: which try of the job this is, for scripts."""
    return attempt


def accepted_generation(name):
    """The generation whose fits are used downstream: the one with which the loop ends.

    The only place that asks the checkpoint: where a verdict is missing, Snakemake makes it first
    and asks again.
    """
    if campaign(name).loop is None:
        return 0
    for generation in range(campaign(name).loop.max_generations):
        verdict = checkpoints.judge_generation.get(campaign=name, generation=generation)
        with open(verdict.output[0], encoding="utf-8") as stream:
            if json.load(stream)["stop"]:
                return generation
    stop(f"campaign {name}: the loop has no end; delete results/{name}/generations")


def fit_of(wildcards):
    """The recipe of the fit."""
    return look_up(wildcards, "fits/{fit}")


def methods_of(name):
    """What applications compute with: the reference, where it computes, and every accepted fit."""
    settings = campaign(name)
    fits = [f"{fit}/gen{accepted_generation(name)}" for fit in settings.fits]
    return fits if settings.recorded else ["reference", *fits]


def targets_of(name):
    """All that a finished campaign consists of."""
    settings = campaign(name)
    tables = [
        "rmse.csv",
        "rmse.md",
        "modes.csv",
        "structures.csv",
        "labels.csv",
        "fits.csv",
    ]
    tables += ["errors.csv"] if settings.trained else []
    tables += ["generations.csv", "data_per_generation.csv"] if settings.loop else []
    tables += ["sweeps.csv"] if settings.sweeps else []
    tables += ["mechanics.csv"] if settings.benchmarks.mechanics else []
    return [f"results/{name}/tables/{table}" for table in tables] + [
        f"results/{name}/report.html"
    ]


def everything(wildcards):
    """A function for input: all campaigns that config.yaml names."""
    return [target for name in config["campaigns"] for target in targets_of(name)]


def say_where_to_look():
    """Name the reports and tables of the campaigns that this run finished."""
    for report in sorted(Path("results").glob("*/report.html")):
        if report.stat().st_mtime < STARTED:
            continue
        folder = report.parent
        print(f"\n{folder.name}: done. Look at")
        print(f"  {folder}/report.html         everything on one page")
        print(f"  {folder}/tables/rmse.md      phonon RMSE of every fit, THz")
        print(f"  {folder}/figures/            band structures and comparisons")
