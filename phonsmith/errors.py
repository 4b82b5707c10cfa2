"""The one exception that users see."""

import os

SECRETS = ("MP_API_KEY",)
"""Environment variables whose values must not reach logs, reports or records."""


def without_secrets(text: str) -> str:
    """The text with the values of secret environment variables blacked out."""
    for name in SECRETS:
        value = os.environ.get(name, "").strip()
        if value:
            text = text.replace(value, f"({name})")
    return text


class PhonsmithError(Exception):
    """Something the user can mend: says in one line what is wrong, where, and what to do.

    Scripts and the Snakefile print its text alone, without a traceback. What a server sends back
    may end up in it, so that secrets are blacked out.
    """

    def __init__(self, text: object = "") -> None:
        super().__init__(without_secrets(str(text)))


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


class MissingLabels(PhonsmithError):  # noqa: N818 - a finding rather than an error
    """Labels that phonons of a crystal need are not there, since the reference method failed."""
