"""Data of a teacher: runs of the reference method whose snapshots are labels."""


wildcard_constraints:
    protocol=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    run=r"\d+",


def crystal_at_start(runs):
    """A function for input: the relaxed crystal that a run starts from, and the decision on it.

    ``runs`` is the path of the runs in the settings.
    """

    def of(wildcards):
        structure = look_up(wildcards, runs).protocol.start.structure
        if structure is None:
            return {}
        name = wildcards.campaign
        return {
            "crystal": f"results/{name}/relaxed/{structure}.extxyz",
            "accepted": ACCEPTED.format(campaign=name, structure=structure),
        }

    return of


rule distil:
    """Make one run of the teacher.

    Its checkpoints lie in ``work``, outside the outputs, and are taken up by the next try.
    """
    input:
        unpack(crystal_at_start("distillation/{protocol}")),
        model=reference_model,
    output:
        snapshots="results/{campaign}/distillation/{protocol}/{run}.extxyz",
        outcome="results/{campaign}/distillation/{protocol}/{run}.json",
    log:
        "results/{campaign}/logs/distillation/{protocol}/{run}.log",
    benchmark:
        "results/{campaign}/logs/distillation/{protocol}/{run}.tsv"
    retries: RETRIES
    threads: 1
    resources:
        **runs_on(reference_on_gpu),
        mem_mb=memory_mb(3000),
        runtime=minutes(
            lambda wildcards: look_up(wildcards, "distillation/{protocol}/runtime_minutes")
        ),
    params:
        reference=untracked(setting("reference")),
        physics=reference_physics,
        protocol=setting("distillation/{protocol}/protocol"),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        seed=setting("seed"),
        stage="distillation",
        work="results/{campaign}/distillation/{protocol}/work/{run}",
        version=versions("distillation", "structures", "supercells", "labels"),
    message:
        "{wildcards.campaign}: run {wildcards.run} of {wildcards.protocol} with the teacher"
    script:
        "../scripts/distil.py"


def runs_of_teacher(pattern):
    """A function for input: the files of ``pattern``, one for each run of the teacher."""
    return lambda wildcards: [
        pattern.format(campaign=wildcards.campaign, protocol=name, run=number)
        for name, runs in campaign(wildcards.campaign).distillation.items()
        for number in range(runs.runs)
    ]


rule distillation_table:
    """Runs of the teacher: how far they came, their snapshots and their cost."""
    input:
        runs_of_teacher(rules.distil.output.outcome),
    output:
        "results/{campaign}/tables/distillation.csv",
    log:
        "results/{campaign}/logs/tables/distillation.log",
    localrule: True
    params:
        uses=lambda wildcards: {
            name: runs.use for name, runs in campaign(wildcards.campaign).distillation.items()
        },
        version=VERSIONS["distillation"],
    message:
        "{wildcards.campaign}: table of the teacher's runs"
    script:
        "../scripts/distillation_table.py"


STAGES["distillation"] = Part(
    tables=lambda name: (
        {"distillation.csv": "Runs of the teacher"} if campaign(name).distillation else {}
    ),
    warnings=lambda name: [
        [f"{data}, run {number}", f"results/{name}/distillation/{data}/{number}.json"]
        for data, runs in campaign(name).distillation.items()
        for number in range(runs.runs)
    ],
)
