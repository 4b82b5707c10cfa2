"""The figures and tables of the papers: `snakemake paper-small`, and on a cluster `snakemake paper`.

What shows a figure stands in config/paper.yaml, which is read when a target of this file is asked
for. The two scales have campaigns of their own.
"""

from phonsmith.paper.reading import check_files, figures_named, load_paper, published_in
from phonsmith.paper.requests import requests_in_words

PAPER = "config/paper.yaml"


@functools.cache
def paper():
    """The figures of the papers; the run ends where their table is faulty."""
    try:
        return load_paper(PAPER, campaigns_here())
    except Exception as error:
        stop(error)


def files_shown(name):
    """The figures and tables that a campaign makes, below its results."""
    settings = campaign(name)
    methods = [*settings.fits, "reference"]
    figures = [*figures_of(name), *(f"parity/{fit}" for fit in settings.tested)]
    figures += [f"bands/{method}/{one}" for method in methods for one in settings.benchmarked]
    tables = [f"tables/{table}" for table in tables_of(name)]
    return {*tables, *(f"figures/{figure}.svg" for figure in figures)}


def figures_asked_for(wildcards):
    """The figures of a page: the requested figure, or all."""
    try:
        return figures_named(paper(), getattr(wildcards, "entry", None))
    except PhonsmithError as error:
        stop(f"{PAPER}: {error}")


def campaigns_of_paper(scale, figures):
    """The usable campaigns of some figures."""
    found = [name for entry in figures for name in paper().figures[entry].at(scale).files]
    return usable(dict.fromkeys(found)) if found else []


@functools.cache
def say_requests(names):
    """Print what campaigns ask of a cluster, once."""
    folders = {name: Path("results") / name for name in names}
    print(f"\n{requests_in_words(folders, SITE.gpu.partition)}", flush=True)


def files_of_paper(wildcards):
    """A function for input: the files of the figures, of those campaigns that can be used.

    A dry run at full scale ends with the requests.
    """
    figures = figures_asked_for(wildcards)
    names = campaigns_of_paper(wildcards.scale, figures)
    if names and wildcards.scale == "full" and workflow.dryrun:
        atexit.register(say_requests, tuple(sorted(names)))
    for name in names:
        try:
            check_files(paper(), name, files_shown(name))
        except PhonsmithError as error:
            stop(error)
    parts = [paper().figures[entry].at(wildcards.scale) for entry in figures]
    return list(
        dict.fromkeys(
            f"results/{name}/{file}"
            for part in parts
            for name, files in part.files.items()
            for file in files
            if name in names
        )
    )


def sources_of_paper(wildcards):
    """Description, reference and published values of the campaigns, also of unusable ones."""
    found = {}
    for entry in figures_asked_for(wildcards):
        figure = paper().figures[entry]
        for name in (*figure.at(wildcards.scale).files, *figure.published_in):
            settings = load_campaign(f"config/campaigns/{name}.yaml")
            found[name] = {
                "description": settings.description,
                "reference": settings.level_of_theory,
                "published": [one.model_dump() for one in published_in(name, settings)],
            }
    return found


def files_made(wildcards):
    """Existing files of the figures: path, and time of modification."""
    targets = [
        target
        for entry in figures_asked_for(wildcards)
        for target in paper().figures[entry].at(wildcards.scale).targets
    ]
    return {path: os.path.getmtime(path) for path in targets if os.path.exists(path)}


rule paper_page:
    """All figures of the papers on one page, at one scale."""
    input:
        files_of_paper,
    output:
        "results/paper/{scale}.html",
    log:
        "results/paper/logs/{scale}.log",
    wildcard_constraints:
        scale="full|small",
    localrule: True
    params:
        paper=lambda wildcards: paper().model_dump(mode="json"),
        figures=figures_asked_for,
        sources=sources_of_paper,
        version=VERSIONS["figures"],
    message:
        "papers: writing {output}"
    script:
        "../scripts/paper_page.py"


use rule paper_page as paper_figure with:
    output:
        "results/paper/{scale}/{entry}.html",
    log:
        "results/paper/logs/{scale}/{entry}.log",
    wildcard_constraints:
        scale="full|small",
        entry=r"[A-Za-z0-9][A-Za-z0-9._-]*",


use rule paper_page as paper_page_now with:
    # whatever is there, and nothing else is made
    input:
        [],
    output:
        "results/paper/{scale}-now.html",
    log:
        "results/paper/logs/{scale}-now.log",
    params:
        paper=lambda wildcards: paper().model_dump(mode="json"),
        figures=figures_asked_for,
        sources=sources_of_paper,
        made=files_made,
        version=VERSIONS["figures"],


@functools.cache
def campaigns_with_plan():
    """The usable campaigns at full scale; the reasons why others are not are printed once."""
    read = {name: checked_campaign(name) for name in sorted(paper().campaigns("full"))}
    problems = {name: found for name, found in read.items() if isinstance(found, Exception)}
    if len(problems) == len(read):
        stop(*problems.values())
    if workflow.is_main_process:
        for error in problems.values():
            say(error)
    return [name for name in read if name not in problems]


def plans_of_paper(wildcards):
    """A function for input: the plans of the campaigns at full scale that can be used."""
    return [f"results/{name}/plan_jobs.csv" for name in campaigns_with_plan()]


rule:
    name:
        "paper-plan"
    input:
        plans_of_paper,
    log:
        "results/paper/logs/plan.log",
    localrule: True
    params:
        campaigns=lambda wildcards: campaigns_with_plan(),
        gpu=SITE.gpu.partition,
    message:
        "papers: requests of all campaigns at full scale"
    script:
        "../scripts/paper_plan.py"


rule:
    name:
        "paper"
    input:
        "results/paper/full.html",
    localrule: True


rule:
    name:
        "paper-small"
    input:
        "results/paper/small.html",
    localrule: True


COMMANDS += ["paper", "paper-small", "paper-plan"]
