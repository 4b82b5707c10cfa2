"""Environments of calculators whose packages conflict with those of phonsmith."""


def pins_of(potential):
    """The environment of a potential with its pins; None for that of phonsmith."""
    if not potential or not potential.computes_in:
        return None
    try:
        return environment(potential.computes_in)
    except PhonsmithError as error:
        stop(error)


def environment_of(potential):
    """The record of the environment of a potential, as an input of rules that compute with it.

    Ancient, since its name tells apart other pins: one that is made again makes nothing stale.
    """
    pins = pins_of(potential)
    return [ancient(str(pins.record))] if pins else []


def environment_of_fit(wildcards):
    """The record of the environment of a fit that is an existing potential; empty for others."""
    return environment_of(potential_named(fit_of(wildcards)))


rule make_environment:
    """Make an environment once: where Snakemake runs, which has a network."""
    output:
        f"{ENVIRONMENTS}/{{environment}}-{{pins}}/{ENVIRONMENT_RECORD}",
    log:
        "results/.logs/environments/{environment}-{pins}.log",
    wildcard_constraints:
        environment=r"[A-Za-z0-9][A-Za-z0-9._-]*",
        pins=r"[0-9a-f]{12}",
    localrule: True
    conda:
        ENVIRONMENT
    message:
        "making the environment {wildcards.environment} (once; some minutes)"
    script:
        "../scripts/make_environment.py"
