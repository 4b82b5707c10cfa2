"""The file ``config/paper.yaml``: figures and tables of the papers, and published values."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from phonsmith.files.problems import nearest
from phonsmith.files.settings import Model, Name, RelativePath

Scale = Literal["full", "small"]

SHOWN = (".svg", ".csv")
"""Endings of the files that a page can show: figures and tables."""


def _shown(file: str) -> str:
    if PurePosixPath(file).suffix not in SHOWN:
        raise ValueError(f"'{file}' is no figure or table; a file ends in {' or '.join(SHOWN)}")
    return file


ShownFile = Annotated[RelativePath, AfterValidator(_shown)]
"""A figure or table below ``results/CAMPAIGN/``."""

Text = Annotated[str, Field(min_length=1)]


class Paper(Model):
    """A source of figures and tables."""

    name: Text = Field(description="Short name, as in captions.")
    citation: Text = Field(description="Full citation.")


class PublishedTable(Model):
    """Published values, a table with names in front of the rows."""

    shows: Text = Field(description="Quantity and unit.")
    source: Text = Field(description="Publication, and its figure, table or page.")
    columns: list[Text] = Field(min_length=1, description="Heads of the columns.")
    rows: dict[Text, list[float | None]] = Field(
        min_length=1, description="Values of each row, one for each column; null where none."
    )
    note: Text | None = Field(None, description="Contradictions and limits of the source.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name, values in self.rows.items():
            if len(values) != len(self.columns):
                raise ValueError(
                    f"rows: '{name}' has {len(values)} values for {len(self.columns)} columns"
                )
        return self


class AtScale(Model):
    """What shows a figure at one scale: files of campaigns, and what they lack."""

    files: dict[Name, Annotated[list[ShownFile], Field(min_length=1)]] = Field(
        default_factory=dict, description="Figures and tables by campaign, below its results."
    )
    lacks: Text | None = Field(
        None, description="Parts of the figure that are not made, and why, in one line."
    )

    @model_validator(mode="after")
    def _answered(self) -> Self:
        if not self.files and self.lacks is None:
            raise ValueError("give `files`, or in `lacks` the reason why there are none")
        return self

    @property
    def targets(self) -> list[str]:
        """Paths of the files."""
        return [
            f"results/{campaign}/{file}" for campaign, files in self.files.items() for file in files
        ]


class Figure(Model):
    """A figure or table of a paper."""

    paper: Name = Field(description="Key of the paper in `papers`.")
    shows: Text = Field(description="Content and axes.")
    published: list[Name] = Field(
        default_factory=list, description="Keys of the tables in `published` that belong to it."
    )
    published_in: list[Name] = Field(
        default_factory=list,
        description="Campaigns whose own `published` values belong to it (of a conductivity or a "
        "transition): those are written there, where the campaign's figures show them.",
    )
    full: AtScale = Field(description="At the scale of the paper.")
    small: AtScale = Field(description="On an ordinary machine.")

    def at(self, scale: Scale) -> AtScale:
        """Return what shows the figure at a scale."""
        return self.full if scale == "full" else self.small


class PaperTable(Model):
    """The whole file."""

    papers: dict[Name, Paper]
    published: dict[Name, PublishedTable] = Field(default_factory=dict)
    figures: dict[Name, Figure] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, figure in self.figures.items():
            if figure.paper not in self.papers:
                raise ValueError(
                    f"figures.{name}.paper: '{figure.paper}' is not in papers"
                    f"{nearest(figure.paper, self.papers)}"
                )
            for key in figure.published:
                if key not in self.published:
                    raise ValueError(
                        f"figures.{name}.published: '{key}' is not in published"
                        f"{nearest(key, self.published)}"
                    )
        shown = {key for figure in self.figures.values() for key in figure.published}
        for key in self.published:
            if key not in shown:
                raise ValueError(f"published.{key}: no figure shows these values")
        both = self.campaigns("full") & self.campaigns("small")
        if both:
            raise ValueError(
                f"campaign '{min(both)}' is at both scales; a smaller scale is another campaign"
            )
        return self

    def campaigns(self, scale: Scale) -> set[str]:
        """Return the campaigns at a scale."""
        return {name for figure in self.figures.values() for name in figure.at(scale).files}

    def named_campaigns(self) -> Iterator[tuple[str, str]]:
        """Yield every campaign with the place that names it."""
        for name, figure in self.figures.items():
            places = {"full.files": figure.full.files, "small.files": figure.small.files}
            for place, campaigns in (*places.items(), ("published_in", figure.published_in)):
                for campaign in campaigns:
                    yield f"figures.{name}.{place}", campaign
