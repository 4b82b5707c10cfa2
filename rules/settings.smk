"""From the settings of a campaign to the inputs and params of rules.

Snakemake compares the params of a rule with those of the last run as a set of values without names:
params that could exchange their values belong in one dict.
"""

import inspect


def look_up(wildcards, path):
    """The settings at ``path``: keys parted by slashes, wildcards in braces, as in ``fits/{fit}``."""
    path = path.format(**wildcards)
    value = campaign(wildcards.campaign)
    for key in path.split("/"):
        if isinstance(value, dict) and key not in value:
            stop(
                f"campaign {wildcards.campaign} has no {path}{nearest(key, value) or ';'} "
                f"it has {listed(list(value)) or 'none'}"
            )
        value = value[key] if isinstance(value, dict) else getattr(value, key)
    return value


def setting(path, exclude=None):
    """A function for params: the settings at ``path``, as plain JSON.

    ``exclude`` names, as for pydantic, keys that must make nothing stale.
    """

    def of(wildcards):
        value = look_up(wildcards, path)
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json", exclude=exclude)
        return value

    return of


def every(pattern, **values):
    """A function for input: the files of ``pattern``, one for every combination of values.

    The values of a wildcard come from a function of the job's wildcards, or from the settings at a
    path, of which they are the items or the keys: ``structure="benchmarked"``, ``fit="fits"``.
    Wildcards that are not named are those of the job.
    """

    def of(wildcards):
        known = {
            name: value(wildcards) if callable(value) else look_up(wildcards, value)
            for name, value in values.items()
        }
        same = {name: one for name, one in wildcards.items() if name not in known}
        return expand(pattern, **same, **known)

    return of


TAKES_OUTPUT = inspect.signature(lambda wildcards, output: None)
"""By this Snakemake knows params that it must not compare: functions of outputs, whose names change
with the folder."""


def untracked(value_of):
    """A function for params: settings that a script needs but that do not affect results.

    Snakemake compares all params with those of the last run, other than those of functions that
    take the outputs. Settings with such keys (the address of a data set) are handed over whole in
    this way, and what counts of them stands in a param beside.
    """

    def of(wildcards, **outputs):
        return value_of(wildcards)

    of.__signature__ = TAKES_OUTPUT
    return of
