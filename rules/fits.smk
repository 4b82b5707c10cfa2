"""Machine-learned potentials: trained or existing, and their errors on the data."""


def foundation_files(wildcards):
    """The local files of a foundation model and of its replay data."""
    foundation = fit_of(wildcards).foundation
    files = [foundation.file] if foundation.file else []
    if foundation.replay:
        files.append(foundation.replay.file)
    return [file_of(file) for file in files]


rule find_foundation:
    """Find or download a foundation model, and record its path and checksum.

    A separate rule, so that a missing file is reported before any label, and so that the download
    happens where the workflow runs: nodes of a cluster often have no network.
    """
    input:
        foundation_files,
    output:
        "results/{campaign}/fits/{fit}/foundation.json",
    log:
        "results/{campaign}/logs/fits/{fit}/foundation.log",
    localrule: True
    params:
        foundation=untracked(setting("fits/{fit}/foundation")),
        identity=setting("fits/{fit}/foundation", exclude={"trust"}),
        version=versions("fits", "datasets"),
    message:
        "{wildcards.campaign}: finding the foundation model of {wildcards.fit}"
    script:
        "../scripts/find_foundation.py"


def recipe(wildcards):
    """Settings that affect a fit: without names, resources and device."""
    fit = fit_of(wildcards)
    return with_code(fit.identity(), potential_named(fit), environment_named(fit))


rule fetch_fit:
    """Fetch the recorded forces of a potential where Snakemake runs, which has a network."""
    input:
        own_files,
    output:
        "results/{campaign}/sources/fits/{fit}.json",
    log:
        "results/{campaign}/logs/sources/fits/{fit}.log",
    localrule: True
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
    potential = potential_named(fit)
    if potential and wildcards.fit not in campaign(wildcards.campaign).trained:
        return {"existing": model_of(potential)}
    if kind_of(fit).source(fit):
        return {"recorded": f"results/{wildcards.campaign}/sources/fits/{wildcards.fit}.json"}
    folder = f"results/{wildcards.campaign}/datasets/gen{wildcards.generation}"
    files = {"train": f"{folder}/train.extxyz", "baseline": f"{folder}/baseline.json"}
    if potential:
        files["existing"] = model_of(potential)
    else:
        files["environment"] = environment_of_fit(wildcards)
    if kind_of(fit).fits_crystals:
        files["crystals"] = every(
            "results/{campaign}/supercells/gen0/{structure}.yaml", structure="learnt"
        )(wildcards)
    if kind_of(fit).finds_foundation(fit):
        files["foundation"] = "results/{campaign}/fits/{fit}/foundation.json".format(**wildcards)
    return files


def readers_if_recorded_fit(wildcards):
    """The version of the readers, where the fit is recorded forces, else None."""
    return VERSIONS["readers"] if kind_of(fit_of(wildcards)).source(fit_of(wildcards)) else None


def descriptor_cache(wildcards):
    """Folder and size (GB) of the descriptors that fits share."""
    here = f"results/{wildcards.campaign}/fits/.descriptors"
    folder = f"{SITE.scratch}/descriptors" if SITE.scratch else here
    return [folder, SITE.descriptor_cache_gb]


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
    threads: lambda wildcards: fit_of(wildcards).resources.threads
    resources:
        **runs_on(on_gpu),
        mem_mb=memory_mb(lambda wildcards: fit_of(wildcards).resources.memory_mb),
        runtime=minutes(lambda wildcards: fit_of(wildcards).resources.runtime_minutes),
    params:
        fit=untracked(setting("fits/{fit}")),
        recipe=recipe,
        level_of_theory=setting("level_of_theory"),
        work="results/{campaign}/fits/{fit}/gen{generation}/work",
        cache=untracked(descriptor_cache),
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
    """Training data of the fit; nothing if it was not trained here."""
    path = "results/{campaign}/datasets/gen{generation}/train.extxyz"
    trained = wildcards.fit in campaign(wildcards.campaign).trained
    return [path.format(**wildcards)] if trained else []


def labels_up_to(wildcards, generation, structures):
    """The labels of crystals in all generations up to one."""
    return every(
        rules.gather_labels.output.labels,
        generation=lambda wildcards: range(generation + 1),
        structure=lambda wildcards: structures,
    )(wildcards)


def tested_on(wildcards, generation):
    """Data on which no fit was trained: all labels of the campaign if no fit is trained."""
    settings = campaign(wildcards.campaign)
    if settings.trained:
        name = wildcards.campaign
        return [rules.make_test_set.output.test.format(campaign=name, generation=generation)]
    databases = rules.label_database.output
    further = [
        *(every(part, database="datasets/databases") for part in (databases.train, databases.test)),
        *map(distilled, ("train", "test")),
    ]
    labels = labels_up_to(wildcards, generation, list(settings.structures))
    return labels + [path for files in further for path in files(wildcards)]


def test_set(wildcards):
    """Data to test a fit on; of recorded forces the labels of their crystals.

    Displaced cells of these do not test the other fits.
    """
    fit, generation = fit_of(wildcards), this_generation(wildcards)
    kind = kind_of(fit)
    if kind.source(fit):
        return labels_up_to(wildcards, generation, kind.structures(fit))
    return tested_on(wildcards, generation)


rule fit_errors:
    """Errors of energies, forces and stresses on the training and the test set."""
    input:
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model="results/{campaign}/fits/{fit}/gen{generation}/model",
        environment=environment_of_fit,
        train=training_set,
        test=test_set,
    output:
        errors="results/{campaign}/fits/{fit}/gen{generation}/errors.csv",
        predictions="results/{campaign}/fits/{fit}/gen{generation}/predictions.csv.gz",
    log:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.errors.log",
    benchmark:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.errors.tsv"
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


rule errors_table:
    """Errors of all fits on their training and test sets."""
    input:
        every(rules.fit_errors.output.errors, fit="with_errors", generation=accepted),
    output:
        reported("results/{campaign}/tables/errors.csv", "fits", "errors"),
    log:
        "results/{campaign}/logs/tables/errors.log",
    localrule: True
    params:
        fits=setting("with_errors"),
        version=VERSIONS["errors"],
    message:
        "{wildcards.campaign}: table of errors on labels"
    script:
        "../scripts/errors_table.py"


rule fits_table:
    """Time, memory and size of every fit."""
    input:
        every(rules.fit.output.record, fit="fits", generation=accepted),
    output:
        reported("results/{campaign}/tables/fits.csv", "fits", "fits"),
    log:
        "results/{campaign}/logs/tables/fits.log",
    localrule: True
    params:
        fits=lambda wildcards: {
            name: fit.kind for name, fit in campaign(wildcards.campaign).fits.items()
        },
        version=versions("fits", "datasets"),
    message:
        "{wildcards.campaign}: table of fits"
    script:
        "../scripts/fits_table.py"


rule draw_parity:
    """Predicted against reference energies, forces and stresses of one fit."""
    input:
        every(rules.fit_errors.output.predictions, generation=accepted),
    output:
        reported("results/{campaign}/figures/parity/{fit}.{format}", "fits", "parity"),
    log:
        "results/{campaign}/logs/figures/parity/{fit}.{format}.log",
    localrule: True
    params:
        label=lambda wildcards: fit_of(wildcards).label or wildcards.fit,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing parity of {wildcards.fit}"
    script:
        "../scripts/draw_parity.py"


def databases_tested_on(settings):
    """Existing databases with cells to test on, where some fit is tested."""
    found = settings.datasets.databases.items()
    return [name for name, one in found if one.test_files and settings.tested]


rule draw_database_errors:
    """Errors of the fits on the test cells of existing databases."""
    input:
        every(rules.fit_errors.output.predictions, fit="tested", generation=accepted),
    output:
        reported("results/{campaign}/figures/database_errors.{format}", "fits", "database_errors"),
    log:
        "results/{campaign}/logs/figures/database_errors.{format}.log",
    localrule: True
    params:
        fits=setting("tested"),
        databases=lambda wildcards: databases_tested_on(campaign(wildcards.campaign)),
        labels=fit_labels,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing errors on the databases"
    script:
        "../scripts/draw_database_errors.py"


def figures_of_fits(name):
    """Errors of the fits, fit by fit and by data set."""
    settings = campaign(name)
    parity = [f"parity/{fit}" for fit in settings.tested]
    errors = ["database_errors"] if databases_tested_on(settings) else []
    return dict.fromkeys([*parity, *errors])


STAGES["fits"] = Part(
    tables=lambda name: {
        **({"fits.csv": None} if campaign(name).fits else {}),
        **({"errors.csv": None} if campaign(name).with_errors else {}),
    },
    figures=figures_of_fits,
    warnings=lambda name: [
        [one.label or fit, f"results/{name}/fits/{fit}/gen{{accepted}}/fit.json"]
        for fit, one in campaign(name).fits.items()
    ],
)
