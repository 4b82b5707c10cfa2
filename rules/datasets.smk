"""Training and test sets."""


def labelled(role):
    """A function for input: labels of the structures with this role, up to the generation."""

    def of(wildcards):
        structures = campaign(wildcards.campaign).structures
        return expand(
            "results/{campaign}/labels/gen{generation}/{structure}.extxyz",
            campaign=wildcards.campaign,
            generation=range(int(wildcards.generation) + 1),
            structure=[name for name, one in structures.items() if one.role == role],
        )

    return of


def pristine_crystals(wildcards):
    settings = campaign(wildcards.campaign)
    constraints = settings.datasets.constraints
    if constraints is None:
        return []
    names = settings.benchmarked if constraints.structures == "all" else constraints.structures
    return [f"results/{wildcards.campaign}/relaxed/{name}.extxyz" for name in names]


def databases(part):
    """A function for input: the ``train`` or ``test`` part of every database."""

    def of(wildcards):
        return expand(
            "results/{campaign}/labels/databases/{database}/{part}.extxyz",
            campaign=wildcards.campaign,
            database=campaign(wildcards.campaign).datasets.databases,
            part=part,
        )

    return of


def isolated_atoms(wildcards):
    reference = campaign(wildcards.campaign).reference
    if getattr(reference, "isolated_atoms", False):
        return [f"results/{wildcards.campaign}/labels/isolated_atoms.extxyz"]
    return []


rule make_dataset:
    """Training and test set of one generation, and the energy zero of its fits."""
    input:
        train_structures=labelled("train"),
        test_structures=labelled("test"),
        pristine=pristine_crystals,
        database_train=databases("train"),
        database_test=databases("test"),
        isolated_atoms=isolated_atoms,
    output:
        train=ensure("results/{campaign}/datasets/gen{generation}/train.extxyz", non_empty=True),
        test="results/{campaign}/datasets/gen{generation}/test.extxyz",
        baseline="results/{campaign}/datasets/gen{generation}/baseline.json",
        outliers="results/{campaign}/datasets/gen{generation}/outliers.csv",
        summary="results/{campaign}/datasets/gen{generation}/summary.csv",
    params:
        datasets=setting("datasets"),
        seed=setting("seed"),
        version=VERSIONS["datasets"],
    log:
        "results/{campaign}/logs/datasets/gen{generation}.log",
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=30,
        slurm_partition=partition("cpu"),
    message:
        "{wildcards.campaign}: making the data set of generation {wildcards.generation}"
    script:
        "../scripts/make_dataset.py"
