"""The settings of a place: what runs there (config.yaml), and its cluster (site.yaml)."""

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, ValidationError

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
        raise ValueError(f"{there} is no folder that you may write to")
    return folder


# SLURM's commands get these through a shell: letters, digits and what SLURM itself uses
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:@+-]*$")]
Constraint = Annotated[str, Field(pattern=r"^[A-Za-z0-9\[(][A-Za-z0-9_.,&|()\[\]*-]*$")]
Kind = Literal["cpu", "gpu"]

_DONE_IN = "PHONSMITH_SETUP_DONE_IN"
"""Environment variable with the SLURM job in which the set-up has run."""


class Run(Model):
    """The file ``config/config.yaml``."""

    campaigns: list[Name] = Field(
        min_length=1, description="Campaigns that run when no target is named."
    )
    mirrors: Annotated[list[Folder], BeforeValidator(lambda folders: folders or [])] = Field(
        default_factory=list,
        description="Folders with copies of published data sets, tried before the web.",
    )
    label_store: Annotated[Folder, AfterValidator(_writable)] | None = Field(
        None,
        description="Folder of finished labels that campaigns share, also those of other projects. "
        "Default: results/CAMPAIGN/labels/store.",
    )


class Partition(Model):
    """Where SLURM sends jobs of one kind."""

    partition: Word = Field(description="Name of the partition (sbatch --partition).")
    account: Word | None = Field(None, description="Who pays (--account).")
    qos: Word | None = Field(None, description="Quality of service (--qos).")
    constraint: Constraint | None = Field(None, description="Kind of nodes (--constraint).")


class GpuPartition(Partition):
    """The same for jobs with a GPU."""

    gres: Annotated[str, Field(pattern=r"^gpu(:[A-Za-z0-9_.]+)?(:\d+)?$")] | None = Field(
        None, description="What is asked for instead of --gpus=1, e.g. gpu:a100:1 (--gres)."
    )


class Site(Model):
    """The file ``config/site.yaml``."""

    cpu: Partition = Partition(partition="cpu")
    gpu: GpuPartition = GpuPartition(partition="gpu")
    max_cores: PositiveInt = Field(
        16, description="The most that a job takes which shares cores with others of its kind."
    )
    max_minutes: PositiveInt | None = Field(
        None, description="The most that a job may ask for, also after running out of time."
    )
    max_memory_mb: PositiveInt | None = Field(
        None, description="Likewise; the memory of the smallest node that jobs may get."
    )
    setup: Annotated[list[str], BeforeValidator(lambda lines: lines or [])] = Field(
        default_factory=list, description="Lines of bash that every job on a node begins with."
    )
    scratch: str | None = Field(
        None,
        min_length=1,
        description="Folder where DFT codes run, best on a disk of the node; environment variables "
        "and ~ are filled in on the node. Default: results/CAMPAIGN/labels/work.",
    )

    def wishes(self, kind: Kind) -> dict[str, str | None]:
        """Options for Snakemake's SLURM plugin of a kind of job, by the plugin's names."""
        where = self.gpu if kind == "gpu" else self.cpu
        return {
            "slurm_partition": where.partition,
            "slurm_account": where.account,
            "qos": where.qos,
            "constraint": where.constraint,
            "gres": self.gpu.gres if kind == "gpu" else None,
        }

    def environment(self) -> dict[str, str]:
        """Return the environment as the lines of ``setup`` leave it; they run once in a job.

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
        with os.fdopen(read, "rb") as told:
            run = subprocess.Popen(["bash", "-c", script], pass_fds=[write])
            os.close(write)
            found = told.read().decode(errors="surrogateescape")
        if run.wait() != 0:
            raise PhonsmithError(
                f"config/site.yaml: setup: a line fails on {socket.gethostname()} (exit status "
                f"{run.returncode}); what it said stands in the log of the SLURM job"
            )
        pairs = (entry.partition("=") for entry in found.split("\0") if entry)
        return {name: value for name, _, value in pairs} | {_DONE_IN: job}


Settings = TypeVar("Settings", bound=Model)


def load_config(config: Mapping[str, Any]) -> Run:
    """Check what Snakemake read from ``config/config.yaml`` and from ``--config``.

    Raises
    ------
    PhonsmithError
        All problems, a line each: the file, the key's path, what was found, what is allowed.
    """
    return _checked(Run, config, "config/config.yaml")


def load_site(path: str | Path) -> Site:
    """Read and check the site file; without one everything has its default.

    Raises
    ------
    PhonsmithError
        Likewise.
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
