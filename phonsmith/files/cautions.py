"""Warnings that reach the reader: out of the results of every stage, into one table.

A stage puts its cautions into its own result: a list of sentences under the key ``cautions`` of a
JSON file. One rule gathers them, with what the tables show, in ``tables/warnings.csv``; the report
prints that table first, the run prints it last.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.json_records import StoredRecord
from phonsmith.files.reading_writing import read_json, replacing
from phonsmith.running.versions import VERSIONS

KEY = "cautions"
"""Key of a result that holds its warnings, a list of sentences."""


class Caution(NamedTuple):
    """One warning, a row of ``tables/warnings.csv``.

    Attributes
    ----------
    stage
        Name of a stage, see :data:`phonsmith.running.versions.VERSIONS`.
    subject
        Crystal, fit or both that it is about, as in tables; empty for the whole campaign.
    message
        One or two sentences without the subject, beginning with a capital letter.
    """

    stage: str
    subject: str
    message: str

    def in_words(self) -> str:
        """Subject and message in one line.

        >>> Caution("fits", "gap", "Only 46 of 1000 sparse points.").in_words()
        'gap: Only 46 of 1000 sparse points.'
        """
        return f"{self.subject}: {self.message}" if self.subject else self.message


class Cautions(StoredRecord):
    """The result of a stage that has no other JSON file to put its warnings into."""

    IN_WORDS = "a list of warnings"

    cautions: tuple[str, ...] = ()


def of_records(files: Mapping[str, Sequence[tuple[str, str | Path]]]) -> list[Caution]:
    """Return the warnings in results of stages: stage → (subject, JSON file), in the order given.

    Raises
    ------
    PhonsmithError
        A file is missing, not JSON, or its ``cautions`` are not a list of sentences.
    """
    found = []
    for stage, results in files.items():
        for subject, path in results:
            content = read_json(path)
            lines = content.get(KEY, []) if isinstance(content, dict) else []
            if not isinstance(lines, list) or not all(isinstance(one, str) for one in lines):
                raise PhonsmithError(
                    f"{path}: {KEY} is not a list of texts; delete the file and run again"
                )
            found += [Caution(stage, subject, line) for line in lines]
    return found


def of_failures(files: Iterable[tuple[str, str | Path]]) -> list[Caution]:
    """Return the warnings in records of failed labels: (subject, JSON file) of each."""
    found = []
    for subject, path in files:
        failures = read_json(path)
        if failures:
            reasons = Counter(" ".join(str(one["reason"]).split())[:160] for one in failures)
            (reason, _), *_ = reasons.most_common(1)
            number = f"{len(failures)} label{'' if len(failures) == 1 else 's'}"
            message = f"{number} refused or failed. Most frequent reason: {reason}."
            found.append(Caution("labels", subject, message))
    return found


def write_cautions(path: str | Path, cautions: Iterable[Caution]) -> None:
    """Write the table as CSV: stage, subject, message, each row once.

    Cautions of the loop on its goal come first, then those of each stage.
    """
    order = {stage: number for number, stage in enumerate(VERSIONS)} | {"generations": -1}
    rows = sorted(dict.fromkeys(cautions), key=lambda one: order.get(one.stage, len(order)))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Caution._fields)
        writer.writerows(rows)


def read_cautions(path: str | Path) -> list[Caution]:
    """Read the table that :func:`write_cautions` wrote.

    Raises
    ------
    PhonsmithError
        The file is missing or has other columns.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            head, *rows = list(csv.reader(file)) or [[]]
    except FileNotFoundError:
        raise PhonsmithError(f"{path}: no such file") from None
    if tuple(head) != Caution._fields or any(len(row) != len(head) for row in rows):
        raise PhonsmithError(f"{path}: not a table of warnings; delete the file and run again")
    return [Caution(*row) for row in rows]
