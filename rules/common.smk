"""What every rules file uses: the campaigns, slices of their settings, and the targets."""

import functools
import math
import os
import shutil
import sys
import time
import uuid
from pathlib import Path

from snakemake.common.tbdstring import TBDString
from snakemake.io import apply_wildcards
from snakemake.logging import logger

# the library beside this workflow, for this process and for the scripts of the jobs
sys.path.insert(0, workflow.basedir)
os.environ.update(
    PYTHONPATH=os.pathsep.join(
        [
            f"{workflow.basedir}/phonsmith/startup",
            workflow.basedir,
            *filter(None, [os.environ.get("PYTHONPATH")]),
        ]
    )
)

from phonsmith.terminal import (
    InOurWords,
    ShowsWhatJobsAskFor,
    campaigns_here,
    hook,
    say,
    unknown_target,
)

sys.excepthook = hook

from phonsmith.campaign import Campaign, load_campaign
from phonsmith.cautions import read_cautions
from phonsmith.checks import MADE, check_inputs
from phonsmith.cluster import tell_host
from phonsmith.crystals import fetched_path
from phonsmith.errors import MAKE_ROOM, PhonsmithError, in_our_words
from phonsmith.files import read_as
from phonsmith.own_code import code_of
from phonsmith.potential_files import files_of
from phonsmith.problems import listed, nearest
from phonsmith.pseudopotential_contents import pseudopotential_contents
from phonsmith.recipes import takes_gpu
from phonsmith.site import load_config, load_site
from phonsmith.sources import listed as listed_files
from phonsmith.stages import VERSIONS, versions
from phonsmith.tries import RUN_VARIABLE, TRIES, growth
from phonsmith.verdicts import Effort, Verdict, left_out, refuse, why_left_out
from phonsmith.yaml_files import load_yaml


wildcard_constraints:
    campaign=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    structure=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    transition=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    database=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    fit=r"(?!reference/)[A-Za-z0-9][A-Za-z0-9._-]*",
    method=r"reference|[A-Za-z0-9][A-Za-z0-9._-]*/gen\d+",
    sweep=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    generation=r"\d+",
    batch=r"\d+",
    index=r"\d+",
    cell=r"relaxed|reference",


ENVIRONMENT = "../envs/phonsmith.yaml"
FULL_BYTES = 1e6  # what failed jobs had written is gone again
STARTED = time.time()
WARNINGS_SHOWN = 20
SOURCES = "results/.sources"
RECORDS = {}
"""Results of a stage that may hold warnings: stage → function of a campaign's name that lists
[subject, JSON file]; ``{accepted}`` in a path is the generation whose fits are used."""


def stop(message):
    """End the run before any job, with one line for each problem."""
    say(message)
    sys.exit(1)


def missing_target(target):
    """Words for a target that no rule makes."""
    return unknown_target(target, COMMANDS, targets_of)


COMMANDS = ("all", "check", "plan", "failures")
logger.addFilter(InOurWords(missing_target))
logger.addFilter(ShowsWhatJobsAskFor(lambda: workflow.non_local_exec_or_dryrun))

try:
    given = load_yaml("config/config.yaml", "settings file") | config
    config.update(load_config(given).model_dump())  # checked, and with its defaults
    SITE = load_site("config/site.yaml")
except Exception as error:
    stop(error)

if workflow.is_main_process:
    # what failed for good is not tried again by the same run; jobs inherit the variable
    os.environ[RUN_VARIABLE] = str(uuid.uuid4())
elif workflow.remote_exec:
    try:
        os.environ.update(SITE.environment())
    except PhonsmithError as error:
        stop(error)
RETRIES = TRIES - 1 if workflow.is_main_process else 0  # a job on a node tries once


def is_made(file):
    """Whether a file that a campaign names is one that this pipeline makes."""
    return MADE.fullmatch(file) is not None


@functools.cache
def campaign(name):
    """The campaign of this name, read once and checked with the files it names."""
    path = Path("config/campaigns") / f"{name}.yaml"
    try:
        if not path.exists():
            known = campaigns_here()
            raise PhonsmithError(
                f"{path}: no such campaign file{nearest(name, known) or ';'} "
                f"campaigns are {listed(known)}"
            )
        settings = load_campaign(path)
        if workflow.is_main_process:
            mirrors = [Path(one) for one in config["mirrors"]]
            check_inputs(settings, path, mirrors, made=is_made)
    except PhonsmithError as error:
        stop(error)
    except Exception as error:
        stop(in_our_words(error, str(path)))
    return settings


def look_up(wildcards, path):
    """The settings at ``path``: keys parted by slashes, wildcards in braces, as in ``fits/{fit}``."""
    path = path.format(**wildcards)
    value = campaign(wildcards.campaign)
    for key in path.split("/"):
        if isinstance(value, dict) and key not in value:
            stop(
                f"campaign {wildcards.campaign} has no {path}{nearest(key, value) or ';'} "
                f"it has {listed(list(value)) or 'none'}"
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


def has_gpus():
    """Whether jobs may ask for GPUs: on a cluster, and on a single machine that has one."""
    return workflow.non_local_exec_or_dryrun or shutil.which("nvidia-smi") is not None


def runs_on(place):
    """Resources that say where a job runs: "cpu", or "gpu" where ``place`` of its wildcards holds.

    On a cluster partition, account and the like as the site file has them; and the number of GPUs.
    """

    def kind_of(wildcards):
        return "gpu" if place != "cpu" and place(wildcards) else "cpu"

    def wish(name):
        return lambda wildcards: SITE.wishes(kind_of(wildcards))[name]

    def gpus(wildcards):
        return int(
            kind_of(wildcards) == "gpu"
            and has_gpus()
            and not (workflow.non_local_exec_or_dryrun and SITE.gpu.gres)
        )

    wishes = {name: wish(name) for name in SITE.wishes("gpu")}
    return {**wishes, **({} if place == "cpu" else {"gpu": gpus})}


def share_of_cores(jobs_of):
    """A function for threads: a fair share of all cores, ``jobs_of`` giving the number of jobs."""

    def of(wildcards):
        return max(1, min(SITE.max_cores, workflow.cores // max(1, jobs_of(wildcards))))

    return of


def grown(amount, what, wildcards, rulename, attempt):
    """Memory in MB or time in minutes of a job: more where a try before was short of it.

    Never more than the site has.
    """
    if attempt > 1:
        pattern = workflow.get_rule(rulename).log[0]
        log = apply_wildcards(pattern, dict(wildcards.items()))
        amount *= growth(log, what)
    most = SITE.max_memory_mb if what == "memory" else SITE.max_minutes
    return min(math.ceil(amount), most or math.inf)


def memory_mb(job, process=0):
    """A function for resources: memory of a job and of each of its processes, more when short."""

    def of(wildcards, rulename, attempt, threads):
        amount = job(wildcards) if callable(job) else job
        return grown(amount + process * threads, "memory", wildcards, rulename, attempt)

    return of


def minutes(job):
    """A function for resources: time limit of a job, more when it was too short."""

    def of(wildcards, rulename, attempt):
        amount = job(wildcards) if callable(job) else job
        return grown(amount, "time", wildcards, rulename, attempt)

    return of


def reference_of(wildcards):
    """The reference method of the campaign."""
    return campaign(wildcards.campaign).reference


def attempt(wildcards, attempt):
    """A function for resources: which try of the job this is, for scripts."""
    return attempt


def verdict_in(path):
    """The verdict on a generation as plain data; a damaged one ends the run with one line."""

    def parts(found):
        return {"stop": found["stop"], "next_cells": dict(found["next_cells"])}

    try:
        return read_as(path, "a verdict on a generation", parts)
    except PhonsmithError as error:
        stop(error)


def accepted_generation(name):
    """The generation whose fits are used downstream: the one with which the loop ends.

    The only place that asks the checkpoint: where a verdict is missing, Snakemake makes it first
    and asks again.
    """
    if campaign(name).loop is None:
        return 0
    for generation in range(campaign(name).loop.max_generations):
        verdict = checkpoints.judge_generation.get(campaign=name, generation=generation)
        if verdict_in(verdict.output[0])["stop"]:
            return generation
    stop(f"campaign {name}: the loop has no end; delete results/{name}/generations")


def fit_of(wildcards):
    """The recipe of the fit."""
    return look_up(wildcards, "fits/{fit}")


def methods_of(name, recorded):
    """What gives the results of an application: the reference, if it does, and every accepted fit.

    ``recorded`` is whether recorded data give them; a reference that computes does always.
    """
    settings = campaign(name)
    fits = [f"{fit}/gen{accepted_generation(name)}" for fit in settings.fits]
    return fits if settings.recorded and not recorded else ["reference", *fits]


def methods_later(name, recorded):
    """The same before the accepted generation is known: [name for people, path of the method].

    ``{accepted}`` in the path is the generation.
    """
    settings = campaign(name)
    fits = [
        [one.label or fit, f"{fit}/gen{{accepted}}"]
        for fit, one in settings.fits.items()
    ]
    reference = [["reference", "reference"]]
    return fits if settings.recorded and not recorded else [*reference, *fits]


def methods_before(name):
    """The trained fits of all generations before the accepted one."""
    return [
        f"{fit}/gen{generation}"
        for generation in range(accepted_generation(name))
        for fit in campaign(name).trained
    ]


ABOUT = {
    "temperature": "free energies relative to the first crystal.",
    "pressure": "enthalpies relative to the first crystal.",
}


def application_tables(name):
    """Tables of the applications of a campaign that its report prints: [file, caption]."""
    settings, tables = campaign(name), []
    if settings.thermodynamics:
        tables += [
            ["thermodynamics_overview.csv", "Thermodynamics"],
            ["equations_of_state.csv", "Equations of state"],
        ]
    if settings.transitions:
        tables += [["transitions_overview.csv", "Phase transitions"]]
    if settings.conductivity:
        tables += [
            ["conductivity_overview.csv", "Thermal conductivity in W/mK"],
            ["kappa_errors.csv", "Thermal conductivity of fits against the reference"],
            ["kappa_convergence.csv", "Convergence of the conductivity with the mesh"],
            ["third_order_labels.csv", "Labels for third-order force constants"],
        ]
    if settling(name):
        tables += [
            ["properties.csv", "Properties of the goal, generation by generation"]
        ]
    return tables


def settling(name):
    """Whether the goal of the campaign asks for properties that have settled."""
    loop = campaign(name).loop
    return loop is not None and bool(loop.goal.properties)


def application_figures(name):
    """Figures of the applications of a campaign for its report: [path without ending, caption]."""
    settings, figures = campaign(name), []
    if settings.thermodynamics:
        figures += [
            [
                "equations_of_state",
                "Energy against volume, from the minimum of each method.",
            ]
        ]
    if settings.thermodynamics and settings.thermodynamics.quasi_harmonic:
        figures += [
            [
                "thermal_expansion",
                "Volume and thermal expansion of the volume, quasi-harmonic, at the pressure "
                "nearest to zero.",
            ]
        ]
    for one, transition in settings.transitions.items():
        figures += [[f"transitions/{one}", f"{one}: {ABOUT[transition.driven_by]}"]]
        if one in settings.transitions_in_loop:
            figures += [
                [
                    f"transitions/generations/{one}",
                    f"{one}: the transition against the generation of the fits, mean and standard "
                    "deviation over repeats.",
                ]
            ]
    for one in settings.conducting:
        figures += [
            [
                f"conductivity/{one}",
                f"{one}: thermal conductivity, the mean and along directions.",
            ],
            [
                f"conductivity/cumulative/{one}",
                f"{one}: conductivity of all modes below a frequency and a mean free path; "
                "relaxation-time approximation for the paths.",
            ],
        ]
        if one in settings.conducting_in_loop:
            figures += [
                [
                    f"conductivity/generations/{one}",
                    f"{one}: thermal conductivity against the generation of the fits, mean and "
                    "standard deviation over repeats.",
                ]
            ]
    return figures


def targets_of(name):
    """All that a finished campaign consists of."""
    settings = campaign(name)
    tables = [
        "warnings.csv",
        "structures.csv",
        "labels.csv",
        "phonons.csv",
        "gamma.csv",
    ]
    compared = settings.fits and settings.benchmarked
    tables += ["rmse.csv", "rmse.md", "modes.csv"] if compared else []
    tables += ["fits.csv"] if settings.fits else []
    tables += ["errors.csv"] if settings.with_errors else []
    tables += ["generations.csv", "data_per_generation.csv"] if settings.loop else []
    tables += ["sweeps.csv"] if settings.sweeps else []
    tables += ["mechanics.csv"] if settings.benchmarks.mechanics else []
    tables += ["thermodynamics.csv"] if settings.thermodynamics else []
    tables += ["transitions.csv"] if settings.transitions else []
    tables += ["conductivity.csv"] if settings.conductivity else []
    tables += [table for table, _ in application_tables(name)]
    return [f"results/{name}/tables/{table}" for table in tables] + [
        f"results/{name}/report.html"
    ]


def everything(wildcards):
    """A function for input: all campaigns that config.yaml names."""
    return [target for name in config["campaigns"] for target in targets_of(name)]


def say_whether_the_disk_is_full():
    """In our words, since Snakemake itself may have been the first to meet it."""
    if shutil.disk_usage(".").free < FULL_BYTES:
        say(f"the disk is full: {MAKE_ROOM}")


def say_warnings():
    """Print the warnings of the campaigns that this run worked on, those of the loop first."""
    for table in sorted(Path("results").glob("*/tables/warnings.csv")):
        if table.stat().st_mtime < STARTED:
            continue
        name = table.parents[1].name
        try:
            found = read_cautions(table)
        except Exception as error:
            say(error)
            continue
        for caution in found[:WARNINGS_SHOWN]:
            say(f"{name}: warning: {' '.join(caution.in_words().split())}")
        if len(found) > WARNINGS_SHOWN:
            more = len(found) - WARNINGS_SHOWN
            say(f"{name}: {more} further warnings in {table} and on top of the report")


def say_what_is_wrong():
    """What people need to know after a run that failed."""
    say_warnings()
    say_whether_the_disk_is_full()


def say_where_to_look():
    """Name the reports and tables of the campaigns that this run finished."""
    say_warnings()
    for report in sorted(Path("results").glob("*/report.html")):
        if report.stat().st_mtime < STARTED:
            continue
        folder = report.parent
        print(f"\n{folder.name}: done. Look at")
        print(f"  {folder}/report.html         everything on one page")
        if campaign(folder.name).fits and campaign(folder.name).benchmarked:
            print(f"  {folder}/tables/rmse.md      phonon RMSE of every fit, THz")
        print(f"  {folder}/figures/            band structures and comparisons")
