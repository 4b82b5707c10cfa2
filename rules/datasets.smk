"""Training and test sets."""


def levels_compared(wildcards):
    """The record of the comparison of recorded crystals, if they are recorded."""
    recorded = campaign(wildcards.campaign).recorded
    pattern = rules.recorded_levels.output[0]
    return pattern.format(campaign=wildcards.campaign) if recorded else []


def held_out(wildcards):
    """The structures that no fit learns from."""
    settings = campaign(wildcards.campaign)
    return sorted(set(settings.structures) - set(settings.learnt))


def held_out_with_atoms(wildcards):
    """Those among them whose labels may hold isolated atoms: recorded ones."""
    return held_out(wildcards) if campaign(wildcards.campaign).recorded else []


def pristine_crystals(wildcards):
    """The relaxed crystals to which constraints apply."""
    settings = campaign(wildcards.campaign)
    constraints = settings.datasets.constraints
    if constraints is None:
        return []
    if constraints.structures == "all":
        names = [name for name in settings.learnt if name in settings.at_rest]
    else:
        names = constraints.structures
    return [f"results/{wildcards.campaign}/relaxed/{name}.extxyz" for name in names]


def accepted_pristine(wildcards):
    """Decisions of the gate on the pristine crystals."""
    names = [Path(path).stem for path in pristine_crystals(wildcards)]
    return [ACCEPTED.format(campaign=wildcards.campaign, structure=name) for name in names]


def distilled(use):
    """A function for input: the labelled snapshots that fits learn from or are tested on."""

    def of(wildcards):
        runs = campaign(wildcards.campaign).distilled(use)
        return [labelled_snapshots(wildcards.campaign, name, number) for name, number in runs]

    return of


def isolated_atoms(wildcards):
    reference = campaign(wildcards.campaign).reference
    if getattr(reference, "isolated_atoms", False):
        return [f"results/{wildcards.campaign}/labels/isolated_atoms.extxyz"]
    return []


rule make_dataset:
    """Training set of one generation, the cells held back from it, and the energy zero of its fits.

    It does not depend on crystals that no fit learns from, other than by recorded isolated atoms.
    """
    input:
        train_structures=every(
            rules.gather_labels.output.labels,
            generation=up_to_this,
            structure="learnt",
        ),
        recorded_atoms=every(
            rules.gather_labels.output.labels,
            generation=up_to_this,
            structure=held_out_with_atoms,
        ),
        pristine=pristine_crystals,
        accepted=accepted_pristine,
        database_train=every(
            rules.label_database.output.train,
            database="datasets/databases",
        ),
        distilled_train=distilled("train"),
        isolated_atoms=isolated_atoms,
        enough_labels=ancient("results/{campaign}/labels/gen{generation}.json"),
        levels=ancient(levels_compared),
    output:
        train=ensure("results/{campaign}/datasets/gen{generation}/train.extxyz", non_empty=True),
        held_back="results/{campaign}/datasets/gen{generation}/held_back.extxyz",
        baseline="results/{campaign}/datasets/gen{generation}/baseline.json",
        outliers="results/{campaign}/datasets/gen{generation}/outliers.json",
    log:
        "results/{campaign}/logs/datasets/gen{generation}.log",
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(4000),
        runtime=minutes(30),
    params:
        datasets=setting("datasets", exclude={"databases", "allow_mixed_levels_of_theory"}),
        kinds=unless_recorded(lambda wildcards: sorted(look_up(wildcards, "supercells/kinds"))),
        # beside the inputs, since all of them count as one set for Snakemake
        held_out=held_out_with_atoms,
        seed=setting("seed"),
        version=versions("datasets", "structures", "labels"),
    message:
        "{wildcards.campaign}: making the training set of generation {wildcards.generation}"
    script:
        "../scripts/make_dataset.py"


rule make_test_set:
    """Test set of one generation: cells held back from training, and crystals that only test."""
    input:
        train="results/{campaign}/datasets/gen{generation}/train.extxyz",
        held_back="results/{campaign}/datasets/gen{generation}/held_back.extxyz",
        outliers="results/{campaign}/datasets/gen{generation}/outliers.json",
        test_structures=every(
            rules.gather_labels.output.labels,
            generation=up_to_this,
            structure=held_out,
        ),
        database_test=every(
            rules.label_database.output.test,
            database="datasets/databases",
        ),
        distilled_test=distilled("test"),
    output:
        test="results/{campaign}/datasets/gen{generation}/test.extxyz",
        outliers="results/{campaign}/datasets/gen{generation}/outliers.csv",
        summary="results/{campaign}/datasets/gen{generation}/summary.csv",
    log:
        "results/{campaign}/logs/datasets/gen{generation}.test.log",
    localrule: True
    params:
        datasets=setting("datasets", exclude={"databases", "allow_mixed_levels_of_theory"}),
        version=versions("datasets", "labels"),
    message:
        "{wildcards.campaign}: making the test set of generation {wildcards.generation}"
    script:
        "../scripts/make_test_set.py"
