"""Disordered structures by the reference method and by every fit: runs, analysis, figures."""


def runs_of_disorder(name, method):
    """(name, number) of all runs of a potential."""
    return [
        (protocol, number)
        for protocol, runs in campaign(name).disorder.runs.items()
        for number in range(runs.count(method))
    ]


def methods_of_disorder(wildcards):
    """The potentials that make the runs: the reference, and fits that compute any cell."""
    settings = campaign(wildcards.campaign)
    fits = [f"{fit}/gen{accepted(wildcards)}" for fit in settings.disordering]
    return fits if settings.recorded else ["reference", *fits]


def every_run(pattern):
    """A function for input: the files of ``pattern``, one for each run of a potential."""
    return lambda wildcards: [
        pattern.format(**dict(wildcards.items()), protocol=name, run=number)
        for name, number in runs_of_disorder(wildcards.campaign, wildcards.method)
    ]


def of_every_method(pattern):
    """A function for input: the files of ``pattern``, one for each potential."""
    return lambda wildcards: [
        pattern.format(campaign=wildcards.campaign, method=method)
        for method in methods_of_disorder(wildcards)
    ]


use rule distil as disorder_run with:
    input:
        unpack(method_files),
        unpack(crystal_at_start("disorder/runs/{protocol}")),
    output:
        snapshots="results/{campaign}/disorder/{method}/{protocol}/{run}.extxyz",
        outcome="results/{campaign}/disorder/{method}/{protocol}/{run}.json",
    log:
        "results/{campaign}/logs/disorder/{method}/{protocol}/{run}.log",
    benchmark:
        "results/{campaign}/logs/disorder/{method}/{protocol}/{run}.tsv"
    resources:
        **runs_on(method_on_gpu),
        mem_mb=memory_mb(3000),
        runtime=minutes(
            lambda wildcards: look_up(wildcards, "disorder/runs/{protocol}/runtime_minutes")
        ),
    params:
        reference=untracked(setting("reference")),
        driven=untracked(lambda wildcards: False),
        physics=method_physics,
        protocol=setting("disorder/runs/{protocol}/protocol"),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        seed=setting("seed"),
        stage="disorder",
        work="results/{campaign}/disorder/{method}/{protocol}/work/{run}",
        version=versions("disorder", "distillation", "structures", "supercells", "labels"),
    message:
        "{wildcards.campaign}: run {wildcards.run} of {wildcards.protocol} with {wildcards.method}"


rule disorder_crystals:
    """Relax the reference crystals with one potential at each pressure."""
    input:
        unpack(method_files),
    output:
        "results/{campaign}/disorder/{method}/crystals.json",
    log:
        "results/{campaign}/logs/disorder/{method}/crystals.log",
    benchmark:
        "results/{campaign}/logs/disorder/{method}/crystals.tsv"
    threads: 1
    resources:
        **runs_on(method_on_gpu),
        mem_mb=memory_mb(3000),
        runtime=minutes(240),
    params:
        reference=untracked(setting("reference")),
        physics=method_physics,
        disorder=setting("disorder", exclude={"runs", "analysis", "fits"}),
        pressures=lambda wildcards: campaign(wildcards.campaign).disorder.pressures_gpa,
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        version=versions("disorder", "structures", "labels"),
    message:
        "{wildcards.campaign}: crystals under pressure with {wildcards.method}"
    script:
        "../scripts/disorder_crystals.py"


def described_methods(wildcards):
    """Number of potentials, whose runs are described side by side."""
    return len(methods_of_disorder(wildcards))


rule describe_disorder:
    """Describe all snapshots of one potential, and compute curves of the last ones."""
    input:
        runs=every_run(rules.disorder_run.output.snapshots),
        crystals=rules.disorder_crystals.output[0],
    output:
        snapshots="results/{campaign}/disorder/{method}/snapshots.csv",
        curves="results/{campaign}/disorder/{method}/curves.csv",
        cautions="results/{campaign}/disorder/{method}/cautions.json",
    log:
        "results/{campaign}/logs/disorder/{method}/snapshots.log",
    benchmark:
        "results/{campaign}/logs/disorder/{method}/snapshots.tsv"
    threads: share_of_cores(described_methods)
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(1500, 1500),
        runtime=minutes(240),
    params:
        disorder=setting("disorder", exclude={"fits"}),
        version=versions("descriptions", "disorder", "distillation", "structures", "labels"),
    message:
        "{wildcards.campaign}: analysis of the runs with {wildcards.method}"
    script:
        "../scripts/describe_disorder.py"


def outcomes_of_disorder(wildcards):
    """Outcomes of the runs of each potential, by its key."""
    name = wildcards.campaign
    pattern = rules.disorder_run.output.outcome
    return {
        method.partition("/")[0]: [
            pattern.format(campaign=name, method=method, protocol=protocol, run=number)
            for protocol, number in runs_of_disorder(name, method)
        ]
        for method in methods_of_disorder(wildcards)
    }


rule disorder_tables:
    """All snapshots, how each run ended, and means over the last cells of the runs."""
    input:
        snapshots=of_every_method(rules.describe_disorder.output.snapshots),
        curves=of_every_method(rules.describe_disorder.output.curves),
        outcomes=lambda wildcards: sum(outcomes_of_disorder(wildcards).values(), []),
    output:
        snapshots=reported(
            "results/{campaign}/tables/disorder_snapshots.csv", "disorder", "disorder"
        ),
        curves=reported("results/{campaign}/tables/disorder_curves.csv", "disorder", "disorder"),
        runs=reported("results/{campaign}/tables/disorder_runs.csv", "disorder", "disorder"),
        overview=reported("results/{campaign}/tables/disorder.csv", "disorder", "disorder"),
    log:
        "results/{campaign}/logs/tables/disorder.log",
    localrule: True
    params:
        outcomes=outcomes_of_disorder,
        scattering=setting("disorder/analysis/scattering"),
        version=versions("descriptions", "disorder", "distillation"),
    message:
        "{wildcards.campaign}: tables of disordered structures"
    script:
        "../scripts/disorder_tables.py"


rule draw_disorder:
    """Draw curves of the last cells, or similarity to a crystal against pressure."""
    input:
        snapshots=rules.disorder_tables.output.snapshots,
        curves=rules.disorder_tables.output.curves,
        runs=rules.disorder_tables.output.runs,
    output:
        reported(
            "results/{campaign}/figures/disorder/{protocol}/{drawn}.{format}",
            "disorder",
            "disorder_figure",
        ),
    log:
        "results/{campaign}/logs/figures/disorder/{protocol}/{drawn}.{format}.log",
    wildcard_constraints:
        drawn=r"structure_factor|pair_distribution|angles|density|similarities|similarity-[a-z0-9-]+",
    localrule: True
    params:
        reference=setting("level_of_theory"),
        labels=fit_labels,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing {wildcards.drawn} of {wildcards.protocol}"
    script:
        "../scripts/draw_disorder.py"


def figures_of_disorder(name):
    """Curves of each protocol, and under changing pressure density and similarities."""
    disorder = campaign(name).disorder
    if disorder is None:
        return {}
    found = {}
    for protocol, runs in disorder.runs.items():
        pressures = {gpa for part in runs.protocol.program() for gpa in part.gpa or ()}
        drawn = {
            "structure_factor": "Static structure factor of the last cells",
            "pair_distribution": "Pair distribution of the last cells",
            "angles": "Bond angles of the last cells",
        }
        if len(pressures) > 1:
            drawn["density"] = "Density against pressure"
            drawn["similarities"] = "Similarity to crystals against pressure"
            drawn |= {
                f"similarity-{crystal}": f"Similarity to {crystal} at equal pressure"
                for crystal in disorder.crystals
            }
        found |= {
            f"disorder/{protocol}/{key}": f"{text}, {protocol}" for key, text in drawn.items()
        }
    return found


def warnings_of_disorder(name):
    """What could not be described, by potential."""
    settings = campaign(name)
    if settings.disorder is None:
        return []
    fits = [
        [settings.fits[fit].label or fit, f"{fit}/gen{{accepted}}"] for fit in settings.disordering
    ]
    reference = [] if settings.recorded else [["reference", "reference"]]
    pattern = "results/{name}/disorder/{method}/cautions.json"
    return [[label, pattern.format(name=name, method=method)] for label, method in reference + fits]


STAGES["disorder"] = Part(
    tables=lambda name: (
        {
            "disorder.csv": "Disordered structures: last cells, mean over runs",
            "disorder_runs.csv": "Runs of disordered structures",
            "disorder_snapshots.csv": None,
            "disorder_curves.csv": None,
        }
        if campaign(name).disorder
        else {}
    ),
    figures=figures_of_disorder,
    warnings=warnings_of_disorder,
)
