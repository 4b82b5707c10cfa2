"""Students: errors on distilled test sets against cost, along dynamics, and against data size."""


rule speeds:
    """Measure the time of a step of molecular dynamics with all potentials, side by side."""
    input:
        potentials=every(rules.fit.output.potential, fit="tested", generation=accepted),
        models=every(rules.fit.output.model, fit="tested", generation=accepted),
        environments=lambda wildcards: [
            path
            for fit in campaign(wildcards.campaign).tested
            for path in record_of(environment_named(campaign(wildcards.campaign).fits[fit]))
        ],
        reference=reference_model,
        cells=lambda wildcards: expand(
            rules.distil.output.snapshots,
            campaign=wildcards.campaign,
            protocol=campaign(wildcards.campaign).timed,
            run=0,
        ),
    output:
        "results/{campaign}/benchmarks/speeds.csv",
    log:
        "results/{campaign}/logs/benchmarks/speeds.log",
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(4000),
        runtime=minutes(120),
    params:
        reference=untracked(setting("reference")),
        physics=reference_physics,
        fits=setting("tested"),
        version=versions("benchmarks"),
    message:
        "{wildcards.campaign}: speed of all potentials"
    script:
        "../scripts/speeds.py"


rule error_against_cost:
    """Errors of the fits on the test sets against the time of a step, as table and figure."""
    input:
        errors=rules.errors_table.output[0],
        speeds=rules.speeds.output[0],
    output:
        reported(
            "results/{campaign}/tables/error_against_cost.csv", "benchmarks", "error_against_cost"
        ),
    log:
        "results/{campaign}/logs/tables/error_against_cost.log",
    localrule: True
    params:
        version=VERSIONS["benchmarks"],
    message:
        "{wildcards.campaign}: errors against cost"
    script:
        "../scripts/error_against_cost.py"


def labels_beside_sizes(wildcards):
    """Names of the fits in legends, without those of sweeps over the number of distilled cells."""
    sizes = campaign(wildcards.campaign).sizes
    return {fit: label for fit, label in fit_labels(wildcards).items() if fit not in sizes}


rule draw_error_against_cost:
    """Draw the errors of the fits on the test sets against the time of a step."""
    input:
        table=rules.error_against_cost.output[0],
        speeds=rules.speeds.output[0],
    output:
        reported(
            "results/{campaign}/figures/error_against_cost.{format}",
            "benchmarks",
            "error_against_cost",
        ),
    log:
        "results/{campaign}/logs/figures/error_against_cost.{format}.log",
    localrule: True
    params:
        reference=setting("level_of_theory"),
        labels=labels_beside_sizes,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing errors against cost"
    script:
        "../scripts/draw_error_against_cost.py"


def protocols_tested(name):
    """Protocols of the molecular dynamics whose snapshots are for tests, by data set."""
    tested = {
        data: campaign(name).distillation[data] for data, _ in campaign(name).distilled("test")
    }
    return {data: runs.protocol for data, runs in tested.items() if not runs.searches}


rule errors_along:
    """Errors of the fits along molecular dynamics: of each snapshot, and of a melt and quench."""
    input:
        predictions=every(rules.fit_errors.output.predictions, fit="tested", generation=accepted),
        # in the order of the predictions
        test=lambda wildcards: tested_on(wildcards, accepted(wildcards)),
    output:
        along=reported(
            "results/{campaign}/tables/errors_along.csv", "benchmarks", "errors_along_table"
        ),
        parts=reported("results/{campaign}/tables/melt_quench.csv", "benchmarks", "melt_quench"),
    log:
        "results/{campaign}/logs/tables/errors_along.log",
    localrule: True
    params:
        # one dict, since all params count as one set for Snakemake: fits, and whether their
        # energies are shifted
        fits=lambda wildcards: {
            name: campaign(wildcards.campaign).exists(name)
            for name in campaign(wildcards.campaign).tested
        },
        protocols=lambda wildcards: {
            data: protocol.model_dump(mode="json")
            for data, protocol in protocols_tested(wildcards.campaign).items()
        },
        version=versions(
            *("benchmarks", "distillation", "datasets", "errors", "labels", "phonons", "readers")
        ),
    message:
        "{wildcards.campaign}: errors along the runs"
    script:
        "../scripts/errors_along.py"


rule draw_errors_along:
    """Draw errors of the fits against time along the runs of one data set."""
    input:
        along=rules.errors_along.output.along,
    output:
        reported(
            "results/{campaign}/figures/errors_along/{protocol}.{format}",
            "benchmarks",
            "errors_along",
        ),
    log:
        "results/{campaign}/logs/figures/errors_along/{protocol}.{format}.log",
    localrule: True
    params:
        protocol=setting("distillation/{protocol}/protocol"),
        reference=setting("level_of_theory"),
        labels=fit_labels,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing errors along {wildcards.protocol}"
    script:
        "../scripts/draw_errors_along.py"


def sized_recipes(wildcards):
    """Settings of the fits of the sweeps over the number of distilled cells."""
    settings = campaign(wildcards.campaign)
    return {name: settings.fits[name].model_dump(mode="json") for name in settings.sizes}


rule error_against_size:
    """Errors on the test sets against the number of distilled cells, mean and spread over fits."""
    input:
        errors=rules.errors_table.output[0],
        train=lambda wildcards: accepted_dataset(wildcards, "train"),
    output:
        reported(
            "results/{campaign}/tables/error_against_size.csv", "benchmarks", "error_against_size"
        ),
    log:
        "results/{campaign}/logs/tables/error_against_size.log",
    localrule: True
    params:
        fits=sized_recipes,
        series=setting("sizes"),
        version=versions("benchmarks", "fits", "datasets"),
    message:
        "{wildcards.campaign}: errors against the size of the distilled data"
    script:
        "../scripts/error_against_size.py"


rule draw_error_against_size:
    """Draw the errors on the test sets against the number of distilled cells."""
    input:
        rules.error_against_size.output[0],
    output:
        reported(
            "results/{campaign}/figures/error_against_size.{format}",
            "benchmarks",
            "error_against_size",
        ),
    log:
        "results/{campaign}/logs/figures/error_against_size.{format}.log",
    localrule: True
    params:
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing errors against the size of the distilled data"
    script:
        "../scripts/draw_error_against_size.py"


def compares_speed(name):
    """Whether errors are compared with cost: of students, beside their teacher."""
    settings = campaign(name)
    taught = settings.distillation and potential_of(settings.reference)
    return bool(taught and settings.tested)


def errors_along_runs(name):
    """Whether fits are tested along molecular dynamics."""
    return bool(campaign(name).tested and protocols_tested(name))


def tables_of_students(name):
    """Errors on the test sets against cost, along the runs, and against the number of cells."""
    tables = {}
    if compares_speed(name):
        tables["error_against_cost.csv"] = "Errors on the test sets and time of a step"
    if errors_along_runs(name):
        kinds = {protocol.kind for protocol in protocols_tested(name).values()}
        tables["errors_along.csv"] = None
        if "melt-quench" in kinds:
            tables["melt_quench.csv"] = (
                "Melt and quench: errors over the last snapshots of crystal, liquid and amorphous "
                "solid"
            )
    if campaign(name).sizes:
        tables["error_against_size.csv"] = "Errors on the test sets and size of the distilled data"
    return tables


def figures_of_students(name):
    """The figures of these tables; one along the runs of each data set."""
    figures = {}
    if compares_speed(name):
        figures["error_against_cost"] = "Errors on the test sets against the time of a step"
    if errors_along_runs(name):
        figures |= {
            f"errors_along/{data}": f"Errors along the runs of {data}; shaded: last snapshots of a "
            "part"
            for data in protocols_tested(name)
        }
    if campaign(name).sizes:
        figures["error_against_size"] = (
            "Errors on the test sets against the number of distilled cells: mean and standard "
            "deviation over fits"
        )
    return figures


STAGES["students"] = Part(tables=tables_of_students, figures=figures_of_students)
