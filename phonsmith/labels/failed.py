"""The failure of one label."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from phonsmith.files.errors import PhonsmithError, TryAgain


class LabelFailed(Exception):  # noqa: N818 - the word of the design
    """A cell could not be labelled; the text is the reason in words.

    ``wants`` is what another try of the whole job may bring: more "memory" or "time", or "".
    ``output`` holds the last lines of the code's output.
    """

    def __init__(self, reason: str, wants: str = "", output: str = "") -> None:
        super().__init__(reason)
        self.wants = wants
        self.output = output

    def for_good(self, what: str) -> PhonsmithError:
        """Return the error that ends a job, unless another try has what was wanted."""
        text = f"{what}: {self}"
        return TryAgain(text, self.wants) if self.wants else PhonsmithError(text)

    def __reduce__(self) -> tuple[type[Self], tuple[str, ...]]:
        return type(self), (str(self), self.wants, self.output)


@contextmanager
def failing_for_good(code: str, what: str) -> Iterator[None]:
    """Turn the failure of what a whole campaign needs into an error.

    Parameters
    ----------
    code
        The code that runs.
    what
        What it computes, for the message.

    Raises
    ------
    PhonsmithError
        The body raised :class:`LabelFailed`.
    """
    try:
        yield
    except LabelFailed as failed:
        raise failed.for_good(f"{code}: {what} fails") from None
