"""The one exception that users see."""


class PhonsmithError(Exception):
    """Something the user can mend: says in one line what is wrong, where, and what to do.

    Scripts and the Snakefile print its text alone, without a traceback.
    """


class UnusablePotential(PhonsmithError):  # noqa: N818 - a finding rather than an error
    """A potential that gives no usable result for a crystal: a finding, not a failed job."""


class MissingLabels(PhonsmithError):  # noqa: N818 - a finding rather than an error
    """Labels that phonons of a crystal need are not there, since the reference method failed."""
