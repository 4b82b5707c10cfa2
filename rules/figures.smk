"""The warnings of all stages, and the report.

A figure of the whole campaign is one file per format, and any of them can be asked for by name. The
report asks for the SVG; its job writes the other formats of the campaign as well. Band structures
are many small figures: one job draws those of a fit, and writes a list of them; a single one can be
asked for too. Each stage draws its own figures.
"""


def warnings_of_stages(name):
    """Results that may hold warnings, by stage: [subject, file]."""
    return {
        stage: part.warnings(name) for stage, part in STAGES.items() if part.warnings is not None
    }


def records_with_warnings(wildcards):
    """The results of all stages that may hold warnings."""
    return [
        path.format(accepted=accepted(wildcards))
        for found in warnings_of_stages(wildcards.campaign).values()
        for _, path in found
    ]


def subjects_of_warnings(wildcards):
    """Subjects of the warnings in these results, by stage."""
    return {
        stage: [subject for subject, _ in found]
        for stage, found in warnings_of_stages(wildcards.campaign).items()
    }


def last_verdict(wildcards):
    """The last verdict of the loop, if any."""
    if campaign(wildcards.campaign).loop is None:
        return []
    return path_of_verdict(wildcards.campaign, accepted(wildcards))


def settings_of_warnings(wildcards):
    """The settings that warnings may depend on: the address of a data set is none of them."""
    settings = campaign(wildcards.campaign).as_written()
    settings.pop("figures", None)
    databases = settings.get("datasets", {}).get("databases", {})
    for holder in (settings["reference"], *databases.values()):
        holder.get("source", {}).pop("url", None)
    return settings


rule warnings_table:
    """Collect the warnings of all stages: stage, subject, message."""
    input:
        records=records_with_warnings,
        databases=every(rules.label_database.output.failures, database="datasets/databases"),
        structures="results/{campaign}/tables/structures.csv",
        phonons="results/{campaign}/tables/phonons.csv",
        labels="results/{campaign}/tables/labels.csv",
        rmse=table("rmse.csv"),
        fits=table("fits.csv"),
        errors=table("errors.csv"),
        generations=table("generations.csv"),
        verdict=last_verdict,
    output:
        ensure(
            reported("results/{campaign}/tables/warnings.csv", "figures", "warnings"),
            non_empty=True,
        ),
    log:
        "results/{campaign}/logs/tables/warnings.log",
    localrule: True
    params:
        campaign=settings_of_warnings,
        subjects=subjects_of_warnings,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: gathering warnings"
    script:
        "../scripts/warnings_table.py"


def captioned_tables(wildcards):
    """Tables at the end of the report: [file, caption]."""
    return captioned(tables_of(wildcards.campaign))


def captioned_figures(wildcards):
    """Figures to embed: [path without suffix, caption]."""
    return captioned(figures_of(wildcards.campaign))


def bands_of_report(wildcards):
    """The fits whose band structures the report shows, or the reference alone."""
    settings = campaign(wildcards.campaign)
    return (settings.fits or ["reference"]) if settings.benchmarked else []


def fits_with_phonons(wildcards):
    """The fits whose phonons are compared."""
    settings = campaign(wildcards.campaign)
    return settings.fits if settings.benchmarked else []


rule model_card:
    """Describe a trained potential beside its model: data, errors, limits, how to load it.

    The tables are those of the last generation, and so are the fits that have a card.
    """
    input:
        potential=rules.fit.output.potential,
        model=rules.fit.output.model,
        record=rules.fit.output.record,
        train="results/{campaign}/datasets/gen{generation}/train.extxyz",
        verdict=last_verdict,
        warnings="results/{campaign}/tables/warnings.csv",
        structures="results/{campaign}/tables/structures.csv",
        phonons="results/{campaign}/tables/phonons.csv",
        labels="results/{campaign}/tables/labels.csv",
        rmse=table("rmse.csv"),
        fits=table("fits.csv"),
        errors=table("errors.csv"),
    output:
        ensure(
            reported(
                "results/{campaign}/fits/{fit}/gen{generation}/model_card.md",
                "fits",
                "model_card",
            ),
            non_empty=True,
        ),
    log:
        "results/{campaign}/logs/fits/{fit}/gen{generation}.model_card.log",
    localrule: True
    params:
        campaign=settings_of_warnings,
        accepted=accepted,
        version=versions("figures", "fits"),
    message:
        "{wildcards.campaign}: writing the model card of {wildcards.fit}"
    script:
        "../scripts/model_card.py"


rule report:
    """Write the report: a campaign on one page.

    The costs are those that the jobs left among the logs. They are no inputs: a job that ran again
    with equal results makes no page stale.
    """
    input:
        crystals=every("results/{campaign}/relaxed/{structure}.extxyz", structure="benchmarked"),
        phonons_of_reference=every(rules.reference_phonons.output.spectrum, structure="benchmarked"),
        phonons_of_fits=every(
            rules.fit_phonons.output[0],
            fit=fits_with_phonons,
            generation=accepted,
            cell=first_cell,
        ),
        potentials=every(rules.fit.output.potential, fit="fits", generation=accepted),
        cards=every(rules.model_card.output[0], fit="described", generation=accepted),
        by_structure=figure("rmse_by_structure"),
        sweeps=every("results/{campaign}/figures/sweep_{sweep}.svg", sweep="sweeps"),
        phonon_vs_force=figure("phonon_vs_force"),
        database_errors=figure("database_errors"),
        generations=figure("generations"),
        generations_table=table("generations.csv"),
        parity=every("results/{campaign}/figures/parity/{fit}.svg", fit="tested"),
        application_tables=lambda wildcards: [
            f"results/{wildcards.campaign}/tables/{file}"
            for file, _ in captioned_tables(wildcards)
        ],
        application_figures=lambda wildcards: [
            f"results/{wildcards.campaign}/figures/{stem}.svg"
            for stem, _ in captioned_figures(wildcards)
        ],
        bands=every("results/{campaign}/figures/bands/{fit}/figures.json", fit=bands_of_report),
        rmse=table("rmse.csv"),
        warnings="results/{campaign}/tables/warnings.csv",
        structures="results/{campaign}/tables/structures.csv",
        phonons="results/{campaign}/tables/phonons.csv",
        gamma="results/{campaign}/tables/gamma.csv",
        labels="results/{campaign}/tables/labels.csv",
        fits=table("fits.csv"),
        errors=table("errors.csv"),
        mechanics=table("mechanics.csv"),
    output:
        ensure(reported("results/{campaign}/report.html", "figures", "report"), non_empty=True),
    log:
        "results/{campaign}/logs/report.log",
    localrule: True
    params:
        campaign=lambda wildcards: campaign(wildcards.campaign).as_written(),
        application_tables=captioned_tables,
        application_figures=captioned_figures,
        logs=untracked(lambda wildcards: f"results/{wildcards.campaign}/logs"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: writing the report"
    script:
        "../scripts/report.py"


STAGES["figures"] = Part(
    tables=lambda name: {"warnings.csv": None},
    files=lambda name: ["report.html"],
)
