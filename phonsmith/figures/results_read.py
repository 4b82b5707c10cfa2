"""Read the tables of a campaign from files."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from phonsmith.benchmarks.tables import read_rmse_table, rmse_table
from phonsmith.campaign.model import Campaign
from phonsmith.files.cautions import Caution, read_cautions
from phonsmith.fits.training import fits_table as training_table


@dataclass(frozen=True)
class Tables:
    """Tables of a campaign; None for missing tables.

    Attributes
    ----------
    rmse
        See :func:`phonsmith.benchmarks.tables.rmse_table`.
    structures
        One row per crystal: ``structure`` and the fields of
        :class:`phonsmith.structures.verdicts.Verdict`.
    labels
        Labels and failures by structure, with a column ``failures`` that counts.
    fits
        One row per fit: ``fit``, time, memory, and numbers of training data.
    errors
        See :func:`phonsmith.fits.errors.errors_of`, with a column ``fit``.
    mechanics
        See :func:`phonsmith.benchmarks.tables.mechanics_table`.
    generations
        See :func:`phonsmith.generations.verdict.generations_table`.
    applications
        Unmodified tables of the applications, with captions.
    warnings
        Warnings, see :mod:`phonsmith.files.cautions`.
    phonons
        See :func:`phonsmith.benchmarks.tables.reference_table`.
    gamma
        See :func:`phonsmith.benchmarks.tables.gamma_table`.
    """

    rmse: pd.DataFrame
    structures: pd.DataFrame
    labels: pd.DataFrame
    fits: pd.DataFrame
    errors: pd.DataFrame | None = None
    mechanics: pd.DataFrame | None = None
    generations: pd.DataFrame | None = None
    applications: Sequence[tuple[pd.DataFrame, str]] = ()
    warnings: Sequence[Caution] = ()
    phonons: pd.DataFrame | None = None
    gamma: pd.DataFrame | None = None

    @classmethod
    def read(
        cls,
        *,
        rmse: str | Path | None = None,
        fits: str | Path | None = None,
        warnings: str | Path | None = None,
        applications: Sequence[tuple[str | Path, str]] = (),
        **others: str | Path | None,
    ) -> Self:
        """Read the CSV files of the results.

        Parameters
        ----------
        rmse
            Table of phonon RMSE; None without fits.
        fits
            Table of the trainings; None without fits.
        warnings
            File of the warnings.
        applications
            Table and caption of each application.
        others
            Files of the other tables by name; None or empty for missing tables.
        """
        names = {"structure": str, "fit": str}
        return cls(
            rmse=read_rmse_table(rmse) if rmse else rmse_table([]),
            fits=pd.read_csv(fits, dtype=names) if fits else training_table({}),
            warnings=read_cautions(warnings) if warnings else (),
            applications=[(pd.read_csv(path), caption) for path, caption in applications],
            **{name: pd.read_csv(path, dtype=names) for name, path in others.items() if path},
        )


def label_of(campaign: Campaign, fit: str) -> str:
    """Return the label of a fit, as in figures and tables."""
    return campaign.fits[fit].label or fit


def counted(number: int, noun: str) -> str:
    """``1 crystal``, ``2 crystals``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


MOST_NAMES = 5
"""Largest number of crystals that are named; more are counted."""


def few(names: Sequence[str]) -> str:
    """Name a few of several crystals, and count the others.

    >>> few(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = len(names) - MOST_NAMES
    between = "; " if any("," in name for name in names) else ", "
    return between.join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def listed(words: Iterable[str]) -> str:
    """List words, with semicolons if a comma is part of one.

    >>> listed(["a", "b", "c"]), listed(["GAP, rattled", "MACE"])
    ('a, b and c', 'GAP, rattled; MACE')
    """
    *most, last = every = list(words)
    if any("," in word for word in every):
        return "; ".join(every)
    return f"{', '.join(most)} and {last}" if most else last


def with_minus(text: str) -> str:
    """Replace hyphens before numbers by minus signs, not those within names.

    >>> with_minus("mp-149, P-1: volume -3.9 %")
    'mp-149, P-1: volume −3.9 %'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table by the names of its columns."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def false_imaginary(rmse: pd.DataFrame) -> "pd.Series[bool]":
    """Return where the fit has imaginary modes and the reference has none."""
    return rmse["false_imaginary"].fillna(False).astype(bool)


def codes_in(table: pd.DataFrame) -> list[str]:
    """Return the distinct codes with versions in the column ``code``; none without it."""
    return _distinct(table["code"].dropna() if "code" in table else [])


def _distinct(texts: Iterable[str]) -> list[str]:
    """Return the distinct parts of comma-separated lists."""
    return list(dict.fromkeys(part for text in texts for part in str(text).split(", ") if part))
