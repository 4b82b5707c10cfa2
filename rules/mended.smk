"""Workarounds for faults of Snakemake 9.27 that leave stale results, stop a run or slow it down.

tests/workflow/test_mended.py shows each fault twice, without this file and with it. When Snakemake
itself is fixed, the test without it fails and names the function to remove.
"""

import threading

from snakemake.dag import DAG
from snakemake.io import is_flagged
from snakemake.jobs import Job
from snakemake.scheduling.job_scheduler import JobScheduler

updating = set()  # graphs in which Snakemake is about to see what has to run


def reached_by_new_files(dag, *jobs):
    """The jobs that must run after some jobs because they use their outputs.

    Files that are taken as ancient make nothing stale.
    """
    found, waiting = set(jobs), list(jobs)
    while waiting:
        for job, files in dag.depending[waiting.pop()].items():
            if job not in found and not all(file.is_ancient for file in files):
                found.add(job)
                waiting.append(job)
    return found


def look_at_jobs_after_ancient_files():
    """Let Snakemake check jobs that depend on a running job through ancient files only.

    Snakemake skips these jobs, as it does jobs that run in any case: a fit with a changed recipe
    was not retrained until the next run if a job before it ran too.
    """
    update_needrun, bfs = DAG.update_needrun, DAG.bfs

    async def updated(self, *args, **kwargs):
        updating.add(id(self))
        try:
            return await update_needrun(self, *args, **kwargs)
        finally:
            updating.discard(id(self))

    def walked(self, direction, *jobs, **kwargs):
        if id(self) in updating and direction is self.depending:
            return reached_by_new_files(self, *jobs)
        return bfs(self, direction, *jobs, **kwargs)

    DAG.update_needrun, DAG.bfs = updated, walked


def forget_copies_of_killed_runs():
    """Remove copies of outputs left by a killed run: Snakemake fails to replace them.

    They are copies of outputs kept until new ones exist. Call it when the folder is locked.
    """
    shutil.rmtree(".snakemake/backups", ignore_errors=True)


def remember_what_failed_jobs_put_back():
    """Mark outputs restored by a failed job as incomplete, so that the next run makes them.

    Snakemake records them as if the job had succeeded. A fit with changed recipe or data that
    failed was never retrained.
    """
    postprocess = Job.postprocess

    async def processed(self, *args, error=False, **kwargs):
        await postprocess(self, *args, error=error, **kwargs)
        if error and any(is_flagged(file, "update") for file in self.output):
            self.dag.workflow.persistence.started(self)

    Job.postprocess = processed


def wake_the_scheduler_by_one_timer():
    """Let one timer at a time wake Snakemake's scheduler while jobs wait for free cores.

    Snakemake starts another one each time it looks at the waiting jobs, and never fewer: after 300
    jobs, 270 threads looked each second, which took a fifth of a core.
    """
    waiting = set()

    def scheduled(self, delay):
        if self in waiting:
            return
        waiting.add(self)

        def wake():
            waiting.discard(self)
            self._open_jobs.release()

        timer = threading.Timer(delay, wake)
        timer.daemon = True
        timer.start()

    JobScheduler._schedule_reevalutation = scheduled


if workflow.is_main_process and not hasattr(DAG, "mended"):
    DAG.mended = True
    wake_the_scheduler_by_one_timer()
    look_at_jobs_after_ancient_files()
    remember_what_failed_jobs_put_back()
