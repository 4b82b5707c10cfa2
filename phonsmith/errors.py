"""The one exception that users see."""


class PhonsmithError(Exception):
    """Something the user can mend: says in one line what is wrong, where, and what to do.

    Scripts and the Snakefile print its text alone, without a traceback.
    """
