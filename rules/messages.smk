"""Messages at the start and end of a run, and on unknown targets."""

import shutil
import time
from snakemake.logging import logger
from phonsmith.files.cautions import read_cautions
from phonsmith.files.errors import MAKE_ROOM
from phonsmith.running.cluster import tell_host
from phonsmith.running.terminal import InOurWords, ShowsWhatJobsAskFor, unknown_target

FULL_BYTES = 1e6  # failed jobs have removed their files by now


STARTED = time.time()


WARNINGS_SHOWN = 20


def missing_target(target):
    """Return the message on an unknown target."""
    return unknown_target(target, COMMANDS, targets_of)


if not IS_MODULE:
    logger.addFilter(InOurWords(missing_target))


logger.addFilter(ShowsWhatJobsAskFor(lambda: workflow.non_local_exec_or_dryrun))


def say_whether_the_disk_is_full():
    """Report a full disk, since Snakemake itself may have failed on it first."""
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
            say(f"{name}: {more} more warnings in {table} and at the top of the report")


def say_what_is_wrong():
    """Print warnings and causes after a failed run."""
    say_warnings()
    say_whether_the_disk_is_full()


def say_where_to_look():
    """Name the reports and tables of the campaigns that this run finished."""
    say_warnings()
    for report in sorted(Path("results").glob("*/report.html")):
        if report.stat().st_mtime < STARTED:
            continue
        folder = report.parent
        print(f"\n{folder.name}: done. Results:")
        print(f"  {folder}/report.html         all results on one page")
        if "rmse.md" in tables_of(folder.name):
            print(f"  {folder}/tables/rmse.md      phonon RMSE of every fit, THz")
        print(f"  {folder}/figures/            band structures and comparisons")
