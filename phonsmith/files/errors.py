"""The one exception that users see, and how any other one becomes it."""

import errno
import os
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAKE_ROOM = "make room and start again, what is finished stays"
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
    """An error that the user can fix: one line with what is wrong, where, and what to do.

    Scripts and the Snakefile print its text alone, without a traceback; several problems are
    several lines. What a server sends back may end up in it, so that secrets are blacked out.
    ``details`` hold the traceback of an exception that was not foreseen.
    """

    details: str = ""

    def __init__(self, text: object = "") -> None:
        super().__init__(without_secrets(str(text)))


class Unforeseen(PhonsmithError):  # noqa: N818 - named after what it stands for
    """An exception that phonsmith has no words for; see :func:`in_our_words`."""


def in_our_words(error: BaseException, where: str = "") -> PhonsmithError:
    """Any exception as one of ours, in one line; ``where`` names the file, the key or the step.

    A :class:`PhonsmithError` stays what it is, with ``where`` in front.
    """
    prefix = f"{where}: " if where else ""
    if isinstance(error, PhonsmithError):
        if not where:
            return error
        found = PhonsmithError(f"{prefix}{error}")
        found.details = error.details
        return found
    if type(error).__module__.startswith("pydantic"):
        from pydantic import ValidationError

        from phonsmith.files.problems import problems_of

        if isinstance(error, ValidationError):
            return PhonsmithError("\n".join(f"{prefix}{one}" for one in problems_of(error)))
    if isinstance(error, KeyboardInterrupt):
        return PhonsmithError("interrupted; start again, what is finished stays")
    if words := _of_the_disk(error):
        return PhonsmithError(prefix + words)
    reason = " ".join(str(error).split())
    reason = reason if len(reason) <= 300 else reason[:300] + " …"
    found = Unforeseen(f"{prefix}{type(error).__name__}: {reason or 'no reason given'}")
    found.details = without_secrets("".join(traceback.format_exception(error)))
    return found


def _of_the_disk(error: BaseException) -> str:
    """What is to do where a disk is full; empty for any other exception."""
    if not isinstance(error, OSError):
        return ""
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):
        return (
            "no temporary folder has room or may be written to (TMPDIR, /tmp, /var/tmp); make "
            "room, or set the environment variable TMPDIR to a folder that has some"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        place = error.filename or "a folder"
        return (
            f"{place}: may not be written or read (permission denied, or a read-only disk); change "
            "its permissions (chmod, chown), or run in a folder of your own"
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
        """Note an exception of the body, with ``where`` in front of its text, and go on."""
        try:
            yield
        except Exception as error:
            self.found.append(in_our_words(error, where))

    def raise_all(self, where: str) -> None:
        """Raise one PhonsmithError with a line for each problem, ``where`` in front of each."""
        texts = list(dict.fromkeys(f"{where}: {error}" for error in self.found))
        if not texts:
            return
        if len(texts) > SHOWN:
            texts[SHOWN:] = [f"{where}: and {len(texts) - SHOWN} further problems"]
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
    "this was not foreseen: if the input is right, please report it with the traceback, which is "
    "at the end of {log}"
)


class TryAgain(PhonsmithError):  # noqa: N818 - an outcome rather than an error
    """A failure that another try of the job may mend; every other PhonsmithError stays.

    ``wants`` is what the next try needs more of: "memory", "time", or "" for nothing.
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
    """Labels that phonons of a crystal need are not there, since the reference method failed."""


class DataWarning(UserWarning):
    """Data are used, but not as one may expect: in the log, in the report, and after the run."""
