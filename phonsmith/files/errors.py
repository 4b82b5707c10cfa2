"""Errors reported to users, and the conversion of other exceptions to them."""

import errno
import os
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAKE_ROOM = "free some space and restart; finished results are kept"
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
SHOWN = 100
"""Problems printed at most; beyond, their number."""

SECRETS = ("MP_API_KEY",)
"""Environment variables whose values must not reach logs, reports or records."""


def without_secrets(text: str) -> str:
    """Return the text with the values of secret environment variables blacked out."""
    for name in SECRETS:
        value = os.environ.get(name, "").strip()
        if value:
            text = text.replace(value, f"({name})")
    return text


class PhonsmithError(Exception):
    """An error that the user can fix: one line with the problem, its place and the remedy.

    Scripts and the Snakefile print only its text, without traceback; several problems are several
    lines. Secrets are blacked out, since responses of servers may contain them. ``details`` holds
    the traceback of an unexpected exception.
    """

    details: str = ""

    def __init__(self, text: object = "") -> None:
        super().__init__(without_secrets(str(text)))


class Unforeseen(PhonsmithError):  # noqa: N818 - named after its meaning
    """An unexpected exception; see :func:`in_our_words`."""


def in_our_words(error: BaseException, where: str = "") -> PhonsmithError:
    """Convert any exception to a one-line error; ``where`` names the file, the key or the step.

    A :class:`PhonsmithError` keeps its text, with ``where`` in front of each line.
    """
    prefix = f"{where}: " if where else ""
    if isinstance(error, PhonsmithError):
        if not where:
            return error
        found = PhonsmithError(_before_lines(prefix, str(error)))
        found.details = error.details
        return found
    if type(error).__module__.startswith("pydantic"):
        from pydantic import ValidationError

        from phonsmith.files.problems import problems_of

        if isinstance(error, ValidationError):
            return PhonsmithError("\n".join(f"{prefix}{one}" for one in problems_of(error)))
    if isinstance(error, KeyboardInterrupt):
        return PhonsmithError("interrupted; finished results are kept, restart to resume")
    if words := _of_the_disk(error):
        return PhonsmithError(prefix + words)
    reason = " ".join(str(error).split())
    reason = reason if len(reason) <= 300 else reason[:300] + " …"
    found = Unforeseen(f"{prefix}{type(error).__name__}: {reason or 'no reason given'}")
    found.details = without_secrets("".join(traceback.format_exception(error)))
    return found


def _before_lines(prefix: str, text: str) -> str:
    """Put a prefix in front of each line, which is a problem of its own."""
    return "\n".join(prefix + line for line in text.splitlines() or [""])


def _of_the_disk(error: BaseException) -> str:
    """Remedy for a full disk or missing permissions; empty for any other exception."""
    if not isinstance(error, OSError):
        return ""
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):
        return (
            "no temporary folder (TMPDIR, /tmp, /var/tmp) is writable and has free space; free "
            "some space, or set the environment variable TMPDIR to another folder"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        place = error.filename or "a folder"
        return (
            f"{place}: permission denied, or read-only disk; change the permissions (chmod, "
            "chown), or run in a folder you own"
        )
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    place = f" (writing {error.filename})" if error.filename else ""
    other = ""
    if error.filename and Path(str(error.filename)).is_relative_to(tempfile.gettempdir()):
        other = "; or set the environment variable TMPDIR to a folder on another disk"
    return f"the disk is full{place}: {MAKE_ROOM}{other}"


class Problems:
    """Collects problems instead of stopping at the first."""

    def __init__(self) -> None:
        self.found: list[PhonsmithError] = []

    @contextmanager
    def of(self, where: str = "") -> Iterator[None]:
        """Record an exception of the body, with ``where`` in front of its text, and continue."""
        try:
            yield
        except Exception as error:
            self.found.append(in_our_words(error, where))

    @contextmanager
    def below(self, key: str) -> Iterator[None]:
        """Record an exception whose text begins with a key below ``key``, and continue."""
        try:
            yield
        except PhonsmithError as error:
            self.found.append(PhonsmithError(_before_lines(f"{key}.", str(error))))

    def raise_all(self, where: str = "") -> None:
        """Raise one PhonsmithError with a line for each problem, ``where`` in front of each."""
        prefix = f"{where}: " if where else ""
        lines = [line for error in self.found for line in str(error).splitlines() or [""]]
        texts = [prefix + line for line in dict.fromkeys(lines)]
        if not texts:
            return
        if len(texts) > SHOWN:
            texts[SHOWN:] = [f"{prefix}{len(texts) - SHOWN} more problems"]
        together = PhonsmithError("\n".join(texts))
        together.details = "\n".join(filter(None, (error.details for error in self.found)))
        raise together


def as_lines(error: BaseException, log: str | Path | None = None) -> str:
    """Return an exception as lines for the terminal; a traceback goes to the end of ``log``.

    Without ``log``, or where it cannot be written, the traceback comes with the lines.
    """
    ours = in_our_words(error)
    lines = [f"phonsmith: {line}" for line in str(ours).splitlines() or [""]]
    if not ours.details:
        return "\n".join(lines)
    try:
        if log is None:
            raise OSError
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        with Path(log).open("a", encoding="utf-8") as stream:
            stream.write(ours.details)
    except OSError:
        return "\n".join([ours.details, *lines])
    return "\n".join([*lines, f"phonsmith: {NOT_FORESEEN.format(log=log)}"])


NOT_FORESEEN = (
    "unexpected error: if the input is correct, please report it with the traceback at the end of "
    "{log}"
)


class TryAgain(PhonsmithError):  # noqa: N818 - an outcome rather than an error
    """A failure that a retry of the job may fix; every other PhonsmithError is final.

    ``wants`` is the resource to increase for the next attempt: "memory", "time", or "".
    """

    def __init__(self, text: str, wants: str = "") -> None:
        super().__init__(text)
        self.wants = wants

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.wants)


class UnusablePotential(PhonsmithError):  # noqa: N818 - a finding rather than an error
    """A potential that gives no usable result for a crystal: a finding, not a failed job."""


class NotRelaxed(UnusablePotential):
    """A crystal does not relax within ``relaxation.max_steps``."""


class MissingLabels(PhonsmithError):  # noqa: N818 - a finding rather than an error
    """Labels for phonons of a crystal are missing, since the reference method failed."""


class DataWarning(UserWarning):
    """Data are used in an unexpected way; reported in the log, in the report and after the run."""
