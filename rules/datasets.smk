"""Training and test sets."""


rule make_dataset:
    """Training set of one generation, the cells held back from it, and the energy zero of its fits.

    It does not depend on crystals that no fit learns from, other than by recorded isolated atoms.
    """
    input:
        train_structures=labelled(learnt),
        recorded_atoms=labelled(held_out_with_atoms),
        pristine=pristine_crystals,
        accepted=accepted_pristine,
        database_train=databases("train"),
        isolated_atoms=isolated_atoms,
        enough_labels=ancient("results/{campaign}/labels/gen{generation}.json"),
        levels=ancient(levels_compared),
    output:
        train=ensure(
            "results/{campaign}/datasets/gen{generation}/train.extxyz", non_empty=True
        ),
        held_back="results/{campaign}/datasets/gen{generation}/held_back.extxyz",
        baseline="results/{campaign}/datasets/gen{generation}/baseline.json",
        outliers="results/{campaign}/datasets/gen{generation}/outliers.json",
    log:
        "results/{campaign}/logs/datasets/gen{generation}.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(4000),
        runtime=minutes(30),
    params:
        datasets=setting(
            "datasets", exclude={"databases", "allow_mixed_levels_of_theory"}
        ),
        kinds=unless_recorded(
            lambda wildcards: sorted(look_up(wildcards, "supercells/kinds"))
        ),
        # beside the inputs, since all of them count as one set for Snakemake
        held_out=lambda wildcards: held_out_with_atoms(campaign(wildcards.campaign)),
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
        test_structures=labelled(held_out),
        database_test=databases("test"),
    output:
        test="results/{campaign}/datasets/gen{generation}/test.extxyz",
        outliers="results/{campaign}/datasets/gen{generation}/outliers.csv",
        summary="results/{campaign}/datasets/gen{generation}/summary.csv",
    log:
        "results/{campaign}/logs/datasets/gen{generation}.test.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        datasets=setting(
            "datasets", exclude={"databases", "allow_mixed_levels_of_theory"}
        ),
        version=versions("datasets", "labels"),
    message:
        "{wildcards.campaign}: making the test set of generation {wildcards.generation}"
    script:
        "../scripts/make_test_set.py"
