"""Messages at the start and end of a run, and on unknown targets."""

import shutil
import time
from snakemake.logging import is_quiet_about, logger
from phonsmith.files.cautions import read_cautions
from phonsmith.files.errors import MAKE_ROOM
from phonsmith.running.cluster import tell_host
from phonsmith.running.progress import ShowsProgress, Step, cells_of_batch
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


def labels_of(job):
    """Cells to label and their record of failures, of jobs that label a batch."""
    batch = job.wildcards_dict.get("batch")
    if batch is None:
        return {}
    batches = campaign(job.wildcards.campaign).labels.batches_per_structure
    cells = functools.partial(cells_of_batch, Path(job.input[0]), int(batch), batches)
    return {"cells": cells, "failures": Path(job.output.failures)}


@functools.cache
def step_of(job, number):
    """A job of the run, as the progress needs it; its cells are counted when they are known."""
    stage, log = Path(job.rule.snakefile).stem, Path(job.log[0]) if job.log else None
    return Step(number, job.rule.name, stage, log, **labels_of(job))


def show_progress():
    """Show steps, labels, fits, failures and time left, in place of Snakemake's count of steps."""
    settings = workflow.output_settings
    if is_quiet_about(settings.quiet or (), "progress"):
        return
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            shown = ShowsProgress(
                handler.stream,
                lambda: [
                    step_of(job, job.jobid)
                    for job in workflow.dag.needrun_jobs(exclude_finished=False)
                ],
            )
            handler.addFilter(shown.clear)
            logger.addHandler(shown)
            return


def end_progress():
    """Leave the last state as a line above what follows."""
    for handler in logger.handlers:
        if isinstance(handler, ShowsProgress):
            handler.close()


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
    end_progress()
    say_warnings()
    say_whether_the_disk_is_full()


def say_where_to_look():
    """Name the reports and tables of the campaigns that this run finished."""
    end_progress()
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
