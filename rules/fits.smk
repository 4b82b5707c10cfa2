"""Machine-learned potentials: trained, or taken as they are, and their errors on the data."""


def foundation_files(wildcards):
    """The files of a foundation model and of its replay data that are here or made here."""
    foundation = fit_of(wildcards).foundation
    files = [foundation.file] if foundation.file else []
    if foundation.replay:
        files.append(foundation.replay.file)
    return [file_of(file) for file in files]


rule find_foundation:
    """Where a foundation model is, downloaded if it has to be, and its checksum.

    A rule of its own, so that a missing file is told before any label, and so that the download
    happens where the workflow runs: nodes of a cluster often have no network.
    """
    input:
        foundation_files,
    output:
        "results/{campaign}/fits/{fit}/foundation.json",
    log:
        "results/{campaign}/logs/fits/{fit}/foundation.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        foundation=untracked(setting("fits/{fit}/foundation")),
        identity=setting("fits/{fit}/foundation", exclude={"trust"}),
        version=versions("fits", "datasets"),
    message:
        "{wildcards.campaign}: finding the foundation model of {wildcards.fit}"
    script:
        "../scripts/find_foundation.py"


rule fetch_fit:
    """Bring the recorded forces of a potential here: where Snakemake runs, which has a network."""
    input:
        own_files,
    output:
        "results/{campaign}/sources/fits/{fit}.json",
    log:
        "results/{campaign}/logs/sources/fits/{fit}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        fit=untracked(setting("fits/{fit}")),
        recorded=recipe,
        sources=SOURCES,
    message:
        "{wildcards.campaign}: fetching the recorded forces of {wildcards.fit}"
    script:
        "../scripts/fetch_recorded.py"


def training_data(wildcards):
    fit = fit_of(wildcards)
    if potential := potential_named(fit):
        return {"existing": model_of(potential)}
    if kind_of(fit).source(fit):
        return {
            "recorded": f"results/{wildcards.campaign}/sources/fits/{wildcards.fit}.json"
        }
    folder = f"results/{wildcards.campaign}/datasets/gen{wildcards.generation}"
    files = {"train": f"{folder}/train.extxyz", "baseline": f"{folder}/baseline.json"}
    if getattr(fit, "foundation", None):
        files["foundation"] = "results/{campaign}/fits/{fit}/foundation.json".format(
            **wildcards
        )
    return files


def readers_if_recorded_fit(wildcards):
    """The version of the readers, where the fit is recorded forces, else None."""
    return (
        VERSIONS["readers"]
        if kind_of(fit_of(wildcards)).source(fit_of(wildcards))
        else None
    )


rule fit:
    """Train one potential.

    Checkpoints of an interrupted training lie in ``work``, outside the outputs, and are taken up
    by the next try.
    """
    input:
        unpack(training_data),
    output:
        # the old potential stays until the new one is there
        potential=update("results/{campaign}/fits/{fit}/gen{generation}/potential.json"),
        model=update(directory("results/{campaign}/fits/{fit}/gen{generation}/model")),
        record=update("results/{campaign}/fits/{fit}/gen{generation}/fit.json"),
    log:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.log",
    benchmark:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.tsv"
    conda:
        ENVIRONMENT
    threads: lambda wildcards: fit_of(wildcards).resources.threads
    resources:
        **runs_on(on_gpu),
        mem_mb=memory_mb(lambda wildcards: fit_of(wildcards).resources.memory_mb),
        runtime=minutes(lambda wildcards: fit_of(wildcards).resources.runtime_minutes),
    params:
        fit=untracked(setting("fits/{fit}")),
        recipe=recipe,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        work="results/{campaign}/fits/{fit}/gen{generation}/work",
        readers=readers_if_recorded_fit,
        version=versions("fits", "structures", "labels", "datasets"),
    message:
        "{wildcards.campaign}: fitting {wildcards.fit}, generation {wildcards.generation}"
    script:
        "../scripts/fit.py"


def tested_fits(wildcards):
    """How many fits have errors on labels."""
    return len(campaign(wildcards.campaign).tested)


def training_set(wildcards):
    """What the fit learnt from: nothing where it was not trained here."""
    path = "results/{campaign}/datasets/gen{generation}/train.extxyz"
    trained = wildcards.fit in campaign(wildcards.campaign).trained
    return [path.format(**wildcards)] if trained else []


def test_set(wildcards):
    """What no fit learnt from: all labels of the campaign where none is trained.

    For recorded forces those of their crystals: displaced cells are no test of the other fits.
    """
    settings, fit = campaign(wildcards.campaign), fit_of(wildcards)
    if kind_of(fit).source(fit):
        held = kind_of(fit).structures(fit)
        return labelled(lambda settings: held)(wildcards)
    if settings.trained:
        return [
            "results/{campaign}/datasets/gen{generation}/test.extxyz".format(
                **wildcards
            )
        ]
    both = [*databases("train")(wildcards), *databases("test")(wildcards)]
    return labelled(lambda settings: list(settings.structures))(wildcards) + both


rule fit_errors:
    """Errors of energies, forces and stresses on the training and the test set."""
    input:
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model="results/{campaign}/fits/{fit}/gen{generation}/model",
        train=training_set,
        test=test_set,
    output:
        errors="results/{campaign}/fits/{fit}/gen{generation}/errors.csv",
        predictions="results/{campaign}/fits/{fit}/gen{generation}/predictions.csv.gz",
    log:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.errors.log",
    benchmark:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.errors.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(tested_fits)
    resources:
        **runs_on(on_gpu),
        mem_mb=memory_mb(2000, 2000),
        runtime=minutes(60),
    params:
        version=versions("errors", "datasets"),
    message:
        "{wildcards.campaign}: errors of {wildcards.fit} on its data"
    script:
        "../scripts/fit_errors.py"


RECORDS["fits"] = lambda name: [
    [one.label or fit, f"results/{name}/fits/{fit}/gen{{accepted}}/fit.json"]
    for fit, one in campaign(name).fits.items()
]
