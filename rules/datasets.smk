"""Training and test sets."""


rule make_dataset:
    """Training and test set of one generation, and the energy zero of its fits."""
    input:
        train_structures=labelled(learnt),
        test_structures=labelled(held_out),
        pristine=pristine_crystals,
        verdicts=verdicts_on_pristine,
        database_train=databases("train"),
        database_test=databases("test"),
        isolated_atoms=isolated_atoms,
        enough_labels=ancient("results/{campaign}/labels/gen{generation}.json"),
    output:
        train=ensure(
            "results/{campaign}/datasets/gen{generation}/train.extxyz", non_empty=True
        ),
        test="results/{campaign}/datasets/gen{generation}/test.extxyz",
        baseline="results/{campaign}/datasets/gen{generation}/baseline.json",
        outliers="results/{campaign}/datasets/gen{generation}/outliers.csv",
        summary="results/{campaign}/datasets/gen{generation}/summary.csv",
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
        held_out=lambda wildcards: held_out(campaign(wildcards.campaign)),
        seed=setting("seed"),
        version=VERSIONS["datasets"],
    message:
        "{wildcards.campaign}: making the data set of generation {wildcards.generation}"
    script:
        "../scripts/make_dataset.py"
