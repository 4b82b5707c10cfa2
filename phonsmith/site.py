"""The settings of a site: campaigns to run, copies of data sets, partitions of SLURM."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from phonsmith.campaign import in_words
from phonsmith.errors import PhonsmithError
from phonsmith.settings import Model, Name

Folder = Annotated[
    str, Field(min_length=1), AfterValidator(lambda folder: str(Path(folder).expanduser()))
]


class Partitions(Model):
    """Names of the SLURM partitions."""

    cpu: str = Field("cpu", min_length=1, description="For jobs without a GPU.")
    gpu: str = Field("gpu", min_length=1, description="For jobs with a GPU.")


class Site(Model):
    """The file ``config/config.yaml``."""

    campaigns: list[Name] = Field(
        min_length=1, description="Campaigns that run when no target is named."
    )
    mirrors: Annotated[list[Folder], BeforeValidator(lambda folders: folders or [])] = Field(
        default_factory=list,
        description="Folders with copies of published data sets, tried before the web.",
    )
    partitions: Partitions = Partitions()
    scratch: str | None = Field(
        None,
        min_length=1,
        description="Folder where DFT codes run, best on a disk of the node; environment variables "
        "are filled in on the node. Default: results/CAMPAIGN/labels/work.",
    )


def load_site(config: Mapping[str, Any]) -> Site:
    """Check what Snakemake read from the file and from ``--config``.

    Raises
    ------
    PhonsmithError
        One line: the file, the key's path, what was found and what is allowed.
    """
    try:
        return Site.model_validate(dict(config))
    except ValidationError as error:
        raise PhonsmithError(f"config/config.yaml: {in_words(error)}") from None
