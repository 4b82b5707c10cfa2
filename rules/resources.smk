"""Resources and node of a job: threads, memory, time, GPUs, and number of attempts."""

import math
import shutil
from snakemake.io import apply_wildcards
from phonsmith.running.attempts import TRIES, growth

RETRIES = TRIES - 1 if workflow.is_main_process else 0  # a job on a node tries once


def has_gpus():
    """Whether jobs may request GPUs: on a cluster, and on a single machine with a GPU."""
    return workflow.non_local_exec_or_dryrun or shutil.which("nvidia-smi") is not None


def runs_on(place):
    """Resources that select the node of a job: "cpu", or "gpu" if ``place`` of its wildcards holds.

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


def attempt(wildcards, attempt):
    """A function for resources: number of the attempt, for scripts."""
    return attempt
