"""Faults of Snakemake 9.27 that would leave stale results or stop a run, mended here.

tests/workflow/test_mended.py shows each of them twice, without this file and with it. When Snakemake itself
is mended, the test without it fails and names the function to remove.
"""

from snakemake.dag import DAG
from snakemake.io import is_flagged
from snakemake.jobs import Job

updating = set()  # graphs in which Snakemake is about to see what has to run


def reached_by_new_files(dag, *jobs):
    """The jobs that have to run after some jobs, since they use files of theirs.

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
    """Let Snakemake look at the reasons of jobs that follow one that runs by ancient files alone.

    It leaves these jobs out, as it does those that run in any case: a fit whose recipe was changed
    stayed as it was until the next run, where something before it ran too.
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
    """Remove copies of outputs that a killed run has left: Snakemake fails to make them anew.

    They are of outputs that stay until new ones are there. Call it when the folder is locked.
    """
    shutil.rmtree(".snakemake/backups", ignore_errors=True)


def remember_what_failed_jobs_put_back():
    """Let outputs that a failed job puts back count as incomplete: the next run makes them.

    Snakemake records them as if the job had succeeded. A fit whose recipe or data were changed, and
    which then failed, stayed as it was for good.
    """
    postprocess = Job.postprocess

    async def processed(self, *args, error=False, **kwargs):
        await postprocess(self, *args, error=error, **kwargs)
        if error and any(is_flagged(file, "update") for file in self.output):
            self.dag.workflow.persistence.started(self)

    Job.postprocess = processed


if workflow.is_main_process and not hasattr(DAG, "mended"):
    DAG.mended = True
    look_at_jobs_after_ancient_files()
    remember_what_failed_jobs_put_back()
