"""Machine-learned potentials: trained, or taken as they are, and their errors on the data."""


def recipe(wildcards):
    """What a fit depends on: its settings without names and resources."""
    return fit_of(wildcards).model_dump(mode="json", exclude={"label", "resources"})


def training_data(wildcards):
    if fit_of(wildcards).kind == "existing":
        return {}
    folder = f"results/{wildcards.campaign}/datasets/gen{wildcards.generation}"
    return {"train": f"{folder}/train.extxyz", "baseline": f"{folder}/baseline.json"}


def on_gpu(wildcards):
    return fit_of(wildcards).kind == "mace"


def gpus(wildcards):
    return 1 if on_gpu(wildcards) else 0


def fit_partition(wildcards):
    return partition("gpu" if on_gpu(wildcards) else "cpu")


rule fit:
    """Train one potential.

    Checkpoints of an interrupted training lie in ``work``, outside the outputs, and are taken up
    by the next try.
    """
    input:
        unpack(training_data),
    output:
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model=directory("results/{campaign}/fits/{fit}/gen{generation}/model"),
        record="results/{campaign}/fits/{fit}/gen{generation}/fit.json",
    params:
        fit=recipe,
        has_energies=lambda wildcards: campaign(wildcards.campaign).has_energies,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        work="results/{campaign}/fits/{fit}/gen{generation}/work",
        version=VERSIONS["fits"],
    log:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.log",
    benchmark:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.tsv"
    threads: lambda wildcards: fit_of(wildcards).resources.threads
    resources:
        mem_mb=lambda wildcards, attempt: fit_of(wildcards).resources.memory_mb * attempt,
        runtime=lambda wildcards: fit_of(wildcards).resources.runtime_minutes,
        slurm_partition=fit_partition,
        gpu=gpus,
    message:
        "{wildcards.campaign}: fitting {wildcards.fit}, generation {wildcards.generation}"
    script:
        "../scripts/fit.py"


rule fit_errors:
    """Errors of energies, forces and stresses on the training and the test set."""
    input:
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model="results/{campaign}/fits/{fit}/gen{generation}/model",
        train="results/{campaign}/datasets/gen{generation}/train.extxyz",
        test="results/{campaign}/datasets/gen{generation}/test.extxyz",
    output:
        errors="results/{campaign}/fits/{fit}/gen{generation}/errors.csv",
        predictions="results/{campaign}/fits/{fit}/gen{generation}/predictions.csv.gz",
    params:
        version=VERSIONS["fits"],
    log:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.errors.log",
    benchmark:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.errors.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=60,
        slurm_partition=fit_partition,
        gpu=gpus,
    message:
        "{wildcards.campaign}: errors of {wildcards.fit} on its data"
    script:
        "../scripts/fit_errors.py"
