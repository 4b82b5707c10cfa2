"""Settings of an installation: campaigns to run (config.yaml) and the cluster (site.yaml)."""

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveInt,
    ValidationError,
)

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import problems_of
from phonsmith.files.reading_writing import expanded
from phonsmith.files.settings import File, Model, Name
from phonsmith.files.yaml_files import load_yaml

Folder = Annotated[File, Field(min_length=1), AfterValidator(expanded)]


def _writable(folder: str) -> str:
    path = Path(folder).absolute()
    # a path below what one may not look into, or below a file, is not there
    there = next(one for one in (path, *path.parents) if os.access(one, os.F_OK))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{there} is not a writable folder")
    return folder


# SLURM's commands get these through a shell: letters, digits and what SLURM itself uses
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:@+-]*$")]
Constraint = Annotated[str, Field(pattern=r"^[A-Za-z0-9\[(][A-Za-z0-9_.,&|()\[\]*-]*$")]
Kind = Literal["cpu", "gpu"]

_DONE_IN = "PHONSMITH_SETUP_DONE_IN"
"""Environment variable: id of the SLURM job in which the set-up ran."""


class Run(Model):
    """The file ``config/config.yaml``."""

    campaigns: list[Name] = Field(
        min_length=1, description="Campaigns to run if no target is given."
    )
    mirrors: Annotated[list[Folder], BeforeValidator(lambda folders: folders or [])] = Field(
        default_factory=list,
        description="Folders with copies of published data sets, tried before the web.",
    )
    label_store: Annotated[Folder, AfterValidator(_writable)] | None = Field(
        None,
        description="Folder of finished labels, shared by campaigns, also of other projects. "
        "Default: results/CAMPAIGN/labels/store.",
    )


class Partition(Model):
    """SLURM partition for one kind of job."""

    partition: Word = Field("cpu", description="Name of the partition (sbatch --partition).")
    account: Word | None = Field(None, description="Account to charge (--account).")
    qos: Word | None = Field(None, description="Quality of service (--qos).")
    constraint: Constraint | None = Field(None, description="Kind of nodes (--constraint).")


class GpuPartition(Partition):
    """SLURM partition for jobs with a GPU."""

    partition: Word = Field("gpu", description="Name of the partition (sbatch --partition).")
    gres: Annotated[str, Field(pattern=r"^gpu(:[A-Za-z0-9_.]+)?(:\d+)?$")] | None = Field(
        None, description="Resource to request instead of --gpus=1, e.g. gpu:a100:1 (--gres)."
    )


def _or_empty(section: Any) -> Any:
    """Return the defaults of a section whose lines are all deleted."""
    return {} if section is None else section


class Site(Model):
    """The file ``config/site.yaml``."""

    cpu: Annotated[Partition, BeforeValidator(_or_empty)] = Partition()
    gpu: Annotated[GpuPartition, BeforeValidator(_or_empty)] = GpuPartition()
    max_cores: PositiveInt = Field(
        16,
        description="Largest number of cores of a job that shares cores with other jobs of its "
        "kind.",
    )
    max_minutes: PositiveInt | None = Field(
        None, description="Longest time limit of a job, also after a timeout."
    )
    max_memory_mb: PositiveInt | None = Field(
        None,
        ge=1000,
        description="Largest memory request of a job, also after running out of memory: the memory "
        "of the smallest node available to jobs.",
    )
    setup: Annotated[list[str], BeforeValidator(lambda lines: lines or [])] = Field(
        default_factory=list,
        description="Lines of bash to run at the start of every job on a node.",
    )
    scratch: str | None = Field(
        None,
        min_length=1,
        description="Folder where DFT codes run, best on a local disk of the node; environment "
        "variables and ~ are expanded on the node. Default: results/CAMPAIGN/labels/work.",
    )

    descriptor_cache_gb: NonNegativeFloat = Field(
        4.0,
        description="Size in GB of the descriptors and rows that GAPs share, in `scratch` if set, "
        "else in results/CAMPAIGN/fits/.descriptors. The least recently used go first; the "
        "folder may be deleted at any time. 0: none.",
    )

    def wishes(self, kind: Kind) -> dict[str, str | None]:
        """Return the options of Snakemake's SLURM plugin for a kind of job, by plugin name."""
        where = self.gpu if kind == "gpu" else self.cpu
        return {
            "slurm_partition": where.partition,
            "slurm_account": where.account,
            "qos": where.qos,
            "constraint": where.constraint,
            "gres": self.gpu.gres if kind == "gpu" else None,
        }

    def environment(self) -> dict[str, str]:
        """Return the environment after the lines of ``setup``; they run once per job.

        Raises
        ------
        PhonsmithError
            A line fails.
        """
        job = os.environ.get("SLURM_JOB_ID", "")
        if not self.setup or os.environ.get(_DONE_IN) == job:
            return {}
        read, write = os.pipe()
        script = "\n".join(["set -e", *self.setup, f"env -0 >&{write}"])
        with os.fdopen(read, "rb") as stream:
            run = subprocess.Popen(["bash", "-c", script], pass_fds=[write])
            os.close(write)
            found = stream.read().decode(errors="surrogateescape")
        if run.wait() != 0:
            raise PhonsmithError(
                f"config/site.yaml: setup: a line fails on {socket.gethostname()} (exit status "
                f"{run.returncode}); see the log of the SLURM job"
            )
        pairs = (entry.partition("=") for entry in found.split("\0") if entry)
        return {name: value for name, _, value in pairs} | {_DONE_IN: job}


Settings = TypeVar("Settings", bound=Model)


def load_config(config: Mapping[str, Any]) -> Run:
    """Check the content of ``config/config.yaml`` and of ``--config``, as read by Snakemake.

    Raises
    ------
    PhonsmithError
        All problems, one per line: file, path of the key, value found, allowed values.
    """
    return _checked(Run, config, "config/config.yaml")


def load_site(path: str | Path) -> Site:
    """Read and check the site file; without the file, return the defaults.

    Raises
    ------
    PhonsmithError
        All problems, one per line: file, path of the key, value found, allowed values.
    """
    if not Path(path).exists():
        return Site()
    return _checked(Site, load_yaml(path, "site file"), str(path))


def _checked(model: type[Settings], content: Mapping[str, Any], path: str) -> Settings:
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        problems = problems_of(error, model)
        raise PhonsmithError("\n".join(f"{path}: {one}" for one in problems)) from None
