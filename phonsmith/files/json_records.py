"""Results that are kept as JSON."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict

from phonsmith.files.reading_writing import read_as, write_json


class Record(BaseModel):
    """Base of what is stored as JSON: unknown keys and NaN are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StoredRecord(Record):
    """A record in a separate file; ``IN_WORDS`` is its name in messages."""

    IN_WORDS: ClassVar[str]

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        PhonsmithError
            The file is missing or holds something else.
        """
        return read_as(path, cls.IN_WORDS, cls.model_validate)
