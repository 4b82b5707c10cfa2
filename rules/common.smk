"""What every rules file uses: the campaigns, slices of their settings, and the targets."""

import functools
import os
import sys
from pathlib import Path

# the library beside this workflow, for this process and for the scripts of the jobs
sys.path.insert(0, workflow.basedir)
os.environ.update(
    PYTHONPATH=os.pathsep.join(
        [workflow.basedir, *filter(None, [os.environ.get("PYTHONPATH")])]
    )
)

from phonsmith.campaign import Campaign, load_campaign, setting_of
from phonsmith.checks import check_inputs
from phonsmith.errors import PhonsmithError
from phonsmith.stages import VERSIONS


wildcard_constraints:
    campaign=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    structure=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    database=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    fit=r"(?!reference/)[A-Za-z0-9][A-Za-z0-9._-]*",
    figure=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    generation=r"\d+",
    batch=r"\d+",
    cell=r"relaxed|reference",


ENVIRONMENT = "../envs/phonsmith.yaml"
MIRRORS = [Path(folder) for folder in config.get("mirrors", [])]
SOURCES = "results/.sources"
LABEL_STORE = "results/{campaign}/labels/store"


def stop(message):
    """End the run before any job, with one line."""
    print(f"phonsmith: {message}", file=sys.stderr)
    sys.exit(1)


@functools.cache
def campaign(name):
    """The campaign of this name, read once and checked with the files it names."""
    path = Path("config/campaigns") / f"{name}.yaml"
    try:
        settings = load_campaign(path)
        if workflow.is_main_process:
            check_inputs(settings, path, MIRRORS)
    except PhonsmithError as error:
        stop(error)
    return settings


def setting(path):
    """A function for params: the settings at ``path``, as plain JSON.

    Keys are parted by slashes and may hold wildcards, as in ``fits/{fit}``.
    """

    def of(wildcards):
        value = campaign(wildcards.campaign)
        for key in path.format(**wildcards).split("/"):
            value = value[key] if isinstance(value, dict) else getattr(value, key)
        return value.model_dump(mode="json") if hasattr(value, "model_dump") else value

    return of


def partition(kind):
    """The site's SLURM partition for ``cpu`` or ``gpu`` jobs."""
    return config.get("partitions", {}).get(kind, kind)


def accepted_generation(name):
    """The generation whose fits are used downstream: 0, as campaigns have no loop yet."""
    return 0


def fit_of(wildcards):
    """The recipe of the fit."""
    fits = campaign(wildcards.campaign).fits
    if wildcards.fit not in fits:
        stop(
            f"campaign {wildcards.campaign} has no fit '{wildcards.fit}'; "
            f"it has {', '.join(fits)}"
        )
    return fits[wildcards.fit]


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
    tables += ["mechanics.csv"] if settings.benchmarks.mechanics else []
    return [f"results/{name}/tables/{table}" for table in tables] + [
        f"results/{name}/report.html"
    ]


def say_where_to_look(log):
    """Name the reports and tables of the finished campaigns."""
    for name in config["campaigns"]:
        folder = Path("results") / name
        if (folder / "report.html").exists():
            print(f"\n{name}: done. Look at")
            print(f"  {folder}/report.html         everything on one page")
            print(f"  {folder}/tables/rmse.md      phonon RMSE of every fit, THz")
            print(f"  {folder}/figures/            band structures and comparisons")
