"""Environments of calculators whose packages conflict with those of phonsmith."""


def pins_of(name):
    """An environment with its pins; None for that of phonsmith."""
    if name is None:
        return None
    try:
        return environment(name)
    except PhonsmithError as error:
        stop(error)


def record_of(name):
    """The record of an environment, as an input of rules that compute with it.

    Ancient, since its name tells apart other pins: one that is made again makes nothing stale.
    """
    pins = pins_of(name)
    return [ancient(str(pins.record))] if pins else []


def environment_of_fit(wildcards):
    """The record of the environment in which a fit computes; empty for that of phonsmith."""
    return record_of(environment_named(fit_of(wildcards)))


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
