"""Content of a finished campaign: each rules file adds its part at its end."""

from typing import Callable, NamedTuple


class Part(NamedTuple):
    """Contribution of a stage to a campaign: functions of the campaign's name.

    ``tables`` and ``figures`` give file names (figures without ending), each with the caption under
    which the report shows it; None where the report has a place of its own for it, or does not show
    it. ``files`` are further ones. ``warnings`` lists [subject, JSON file] of the results that may
    hold warnings; ``{accepted}`` in a path is the generation whose fits are used.
    """

    tables: Callable = lambda name: {}
    figures: Callable = lambda name: {}
    files: Callable = lambda name: []
    warnings: Callable | None = None


def reported(path, stage, caption):
    """Flag an output for ``snakemake --report``, under its campaign and stage.

    ``caption`` is the name of a text in ``rules/captions/``.
    """
    return report(
        path,
        caption=f"captions/{caption}.rst",
        category="{campaign}",
        subcategory=stage,
        labels={"result": path.removeprefix("results/{campaign}/")},
    )


COMMANDS = ["all"]
"""Targets by name: the rules without wildcards of all stages."""


STAGES = {}
"""What each stage, or part of one, adds: ``STAGES[name] = Part(...)`` ends its rules file."""


def tables_of(name):
    """The tables of a campaign with their captions."""
    return {k: v for part in STAGES.values() for k, v in part.tables(name).items()}


def figures_of(name):
    """The figures of a campaign with their captions."""
    return {k: v for part in STAGES.values() for k, v in part.figures(name).items()}


def captioned(files):
    """Tables or figures at the end of the report: [name, caption]."""
    return [[file, caption] for file, caption in files.items() if caption]


def targets_of(name):
    """All files of a finished campaign; figures are parts of its report."""
    files = [f"tables/{table}" for table in tables_of(name)]
    files += [file for part in STAGES.values() for file in part.files(name)]
    return [f"results/{name}/{file}" for file in files]


def everything(wildcards):
    """A function for input: all campaigns that config.yaml names."""
    names = usable(config["campaigns"])
    return [target for name in names for target in targets_of(name)]


def table(file):
    """A function for input: this table, where the campaign has it."""
    return lambda wildcards: (
        f"results/{wildcards.campaign}/tables/{file}"
        if file in tables_of(wildcards.campaign)
        else []
    )


def figure(stem):
    """A function for input: this figure, as the report shows it, where the campaign has it."""
    return lambda wildcards: (
        f"results/{wildcards.campaign}/figures/{stem}.svg"
        if stem in figures_of(wildcards.campaign)
        else []
    )
