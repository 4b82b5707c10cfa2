"""Start of a run: the library, the settings files, and the campaigns."""

import atexit
import functools
import os
import sys
import uuid
from pathlib import Path
from snakemake.logging import logger

# the folder of this workflow, also where another one imports it as a module (docs/module.md)
HERE = os.path.dirname(workflow.current_basedir.get_path_or_uri(secret_free=True))


IS_MODULE = not workflow.modifier.is_main_snakefile()


if not os.path.isdir(f"{HERE}/phonsmith"):
    print(
        f"phonsmith: {HERE} has no library: clone the repository, and give the path of its "
        "Snakefile (docs/module.md)",
        file=sys.stderr,
    )
    sys.exit(1)


# the library beside this workflow, for this process and for the scripts of the jobs
sys.path.insert(0, HERE)


os.environ.update(
    PYTHONPATH=os.pathsep.join(
        [
            f"{HERE}/phonsmith/running/startup",
            HERE,
            *filter(None, [os.environ.get("PYTHONPATH")]),
        ]
    )
)


from phonsmith.running.terminal import campaigns_here, hook, say

if not IS_MODULE:
    sys.excepthook = hook


from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.check.made import MADE, made_by_a_campaign
from phonsmith.files.errors import PhonsmithError, in_our_words
from phonsmith.files.problems import listed, nearest
from phonsmith.running.site import load_config, load_site
from phonsmith.running.versions import VERSIONS, versions
from phonsmith.running.attempts import RUN_VARIABLE
from phonsmith.files.yaml_files import load_yaml


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
    format=r"svg|png|pdf",


ENVIRONMENT = "../envs/phonsmith.yaml"


SOURCES = "results/.sources"


def stop(*problems):
    """End the run before any job, with one line for each problem."""
    for problem in problems:
        say(problem)
    sys.exit(1)


if str(workflow.modifier.modify_path("results")) != "results":
    stop(
        "a module with `prefix` or `replace_prefix` is not supported: files of this workflow name "
        "each other by their paths in results/; remove it (docs/module.md)"
    )


try:
    # with settings from the workflow that imports this one, config.yaml is that workflow's own
    alone = bool(config) and IS_MODULE
    given = {} if alone else load_yaml("config/config.yaml", "settings file")
    given = given | config
    config.update(load_config(given).model_dump())  # checked, and with its defaults
    SITE = load_site("config/site.yaml")
except Exception as error:
    stop(error)


if workflow.is_main_process:
    # final failures are not retried by the same run; jobs inherit the variable
    os.environ[RUN_VARIABLE] = str(uuid.uuid4())
elif workflow.remote_exec:
    try:
        os.environ.update(SITE.environment())
    except PhonsmithError as error:
        stop(error)


@functools.cache
def checked_campaign(name):
    """The campaign of this name, read once and checked with the files it names, or the error."""
    path = Path("config/campaigns") / f"{name}.yaml"
    try:
        if not path.exists():
            known = campaigns_here()
            raise PhonsmithError(
                f"{path}: no such campaign file{nearest(name, known) or ';'} available campaigns: "
                f"{listed(known)}"
            )
        settings = load_campaign(path)
        if workflow.is_main_process:
            mirrors = [Path(folder) for folder in config["mirrors"]]
            check_inputs(settings, path, mirrors, made=made_by_a_campaign)
    except PhonsmithError as error:
        return error
    except Exception as error:
        return in_our_words(error, str(path))
    return settings


def campaign(name):
    """The campaign of this name; the run ends where it cannot be used."""
    settings = checked_campaign(name)
    if isinstance(settings, Exception):
        stop(settings)
    return settings


def usable(names):
    """The usable campaigns among several.

    A run with jobs ends if any cannot, and prints all reasons. A dry run plans the rest, prints the
    reasons after the jobs, and ends as failed.
    """
    read = {name: checked_campaign(name) for name in names}
    problems = {name: found for name, found in read.items() if isinstance(found, Exception)}
    if problems and (len(problems) == len(names) or not workflow.dryrun):
        stop(*problems.values())
    if problems:
        atexit.register(end_as_failed, problems)
    return [name for name in names if name not in problems]


def end_as_failed(problems):
    """Print why campaigns were not planned, and end Python with a status of failure."""
    say(f"not planned: {', '.join(problems)}")
    for error in problems.values():
        say(error)
    sys.stdout.flush()
    os._exit(1)
