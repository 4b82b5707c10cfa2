"""Figures and the report.

A figure of the whole campaign is one file per format, and the format is a wildcard: any of them can
be asked for by name, and another format or resolution touches no other file. Band structures are
many small figures: one job draws those of a fit, and writes a list of them; a single one can be
asked for too.
"""


wildcard_constraints:
    format=r"svg|png|pdf",


def structures_drawn(wildcards):
    """The crystals whose bands a job draws: the one that was asked for, or all."""
    one = getattr(wildcards, "structure", None)
    return [one] if one else campaign(wildcards.campaign).benchmarked


def formats_drawn(wildcards):
    """The formats, likewise."""
    one = getattr(wildcards, "format", None)
    return [one] if one else campaign(wildcards.campaign).figures.formats


def of_drawn(pattern):
    """A function for input: ``pattern`` for these crystals, at the accepted generation."""

    def of(wildcards):
        generation = "{generation}" in pattern
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=getattr(wildcards, "fit", ""),
            generation=accepted_generation(wildcards.campaign) if generation else "",
            cell=first_cell(wildcards),
            structure=structures_drawn(wildcards),
        )

    return of


rule draw_bands:
    """Band structures of all structures, one fit against the reference."""
    input:
        reference=of_drawn(
            "results/{campaign}/phonons/reference/reference/{structure}.npz"
        ),
        spectra=of_drawn(
            "results/{campaign}/phonons/{fit}/gen{generation}/{cell}/{structure}.npz"
        ),
        benchmarks=of_drawn(
            "results/{campaign}/benchmarks/{fit}/gen{generation}/{structure}.json"
        ),
        structures="results/{campaign}/tables/structures.csv",
    output:
        index="results/{campaign}/figures/bands/{fit}/figures.json",
    log:
        "results/{campaign}/logs/figures/bands/{fit}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        structures=structures_drawn,
        labels=fit_labels,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        cell=first_cell,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing band structures of {wildcards.fit}"
    script:
        "../scripts/draw_bands.py"


use rule draw_bands as draw_bands_of_one with:
    output:
        figure="results/{campaign}/figures/bands/{fit}/{structure}.{format}",
    log:
        "results/{campaign}/logs/figures/bands/{fit}/{structure}.{format}.log",
    message:
        "{wildcards.campaign}: drawing the bands of {wildcards.structure} by {wildcards.fit}"


rule draw_reference_bands:
    """Band structures of all structures by the reference method alone."""
    input:
        reference=of_drawn(
            "results/{campaign}/phonons/reference/reference/{structure}.npz"
        ),
        structures="results/{campaign}/tables/structures.csv",
    output:
        index="results/{campaign}/figures/bands/reference/figures.json",
    log:
        "results/{campaign}/logs/figures/bands/reference.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        structures=structures_drawn,
        level_of_theory=lambda wildcards: campaign(wildcards.campaign).level_of_theory,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing band structures of the reference"
    script:
        "../scripts/draw_reference_bands.py"


use rule draw_reference_bands as draw_reference_bands_of_one with:
    output:
        figure="results/{campaign}/figures/bands/reference/{structure}.{format}",
    log:
        "results/{campaign}/logs/figures/bands/reference/{structure}.{format}.log",
    message:
        "{wildcards.campaign}: drawing the bands of {wildcards.structure} by the reference"


ruleorder: draw_reference_bands > draw_bands
ruleorder: draw_reference_bands_of_one > draw_bands_of_one


rule draw_rmse:
    """RMSE against structure."""
    input:
        "results/{campaign}/tables/rmse.csv",
    output:
        "results/{campaign}/figures/rmse_by_structure.{format}",
    log:
        "results/{campaign}/logs/figures/rmse_by_structure.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=fit_labels,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing RMSE against structure ({wildcards.format})"
    script:
        "../scripts/draw_rmse.py"


rule draw_sweep:
    """RMSE against one setting of the fits."""
    input:
        "results/{campaign}/tables/rmse.csv",
    output:
        "results/{campaign}/figures/sweep_{sweep}.{format}",
    log:
        "results/{campaign}/logs/figures/sweep_{sweep}.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        swept=swept,
        axis_label=lambda wildcards: sweep_of(wildcards).label,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing sweep {wildcards.sweep} ({wildcards.format})"
    script:
        "../scripts/draw_sweep.py"


rule draw_parity:
    """Predicted against reference energies, forces and stresses of one fit."""
    input:
        lambda wildcards: expand(
            "results/{campaign}/fits/{fit}/gen{generation}/predictions.csv.gz",
            campaign=wildcards.campaign,
            fit=wildcards.fit,
            generation=accepted_generation(wildcards.campaign),
        ),
    output:
        "results/{campaign}/figures/parity/{fit}.{format}",
    log:
        "results/{campaign}/logs/figures/parity/{fit}.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        label=lambda wildcards: fit_of(wildcards).label or wildcards.fit,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing parity of {wildcards.fit} ({wildcards.format})"
    script:
        "../scripts/draw_parity.py"


def sparse_points(wildcards):
    fits = campaign(wildcards.campaign).fits
    return {name: fit.sparse_points() for name, fit in fits.items()}


rule draw_phonon_vs_force:
    """Phonon RMSE against force RMSE of the fits."""
    input:
        rmse="results/{campaign}/tables/rmse.csv",
        errors="results/{campaign}/tables/errors.csv",
    output:
        "results/{campaign}/figures/phonon_vs_force.{format}",
    log:
        "results/{campaign}/logs/figures/phonon_vs_force.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=fit_labels,
        sparse_points=sparse_points,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing phonon against force RMSE ({wildcards.format})"
    script:
        "../scripts/draw_phonon_vs_force.py"


def of_every_tested_fit(pattern):
    """The same for the fits that give energies and forces of any cell."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).tested,
            generation=accepted_generation(wildcards.campaign),
            allow_missing=True,
        )

    return of


def tested_databases(wildcards):
    """Existing databases with cells to test on, where some fit is tested."""
    settings = campaign(wildcards.campaign)
    found = settings.datasets.databases.items()
    return [name for name, one in found if one.test_files and settings.tested]


rule draw_database_errors:
    """Errors of the fits on the test cells of existing databases."""
    input:
        of_every_tested_fit(
            "results/{campaign}/fits/{fit}/gen{generation}/predictions.csv.gz"
        ),
    output:
        "results/{campaign}/figures/database_errors.{format}",
    log:
        "results/{campaign}/logs/figures/database_errors.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        fits=lambda wildcards: campaign(wildcards.campaign).tested,
        databases=tested_databases,
        labels=fit_labels,
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing errors on the databases ({wildcards.format})"
    script:
        "../scripts/draw_database_errors.py"


rule draw_generations:
    """Phonon RMSE against the number of labels, generation by generation."""
    input:
        "results/{campaign}/tables/generations.csv",
    output:
        "results/{campaign}/figures/generations.{format}",
    log:
        "results/{campaign}/logs/figures/generations.{format}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        labels=fit_labels,
        goal=setting("loop/goal/rmse_thz"),
        dpi=dpi,
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing RMSE against labels ({wildcards.format})"
    script:
        "../scripts/draw_generations.py"


def records_with_warnings(wildcards):
    """The results of all stages that may hold warnings, see RECORDS."""
    name = wildcards.campaign
    return [
        path.format(accepted=accepted_generation(name))
        for of_stage in RECORDS.values()
        for _, path in of_stage(name)
    ]


def failures_of_databases(wildcards):
    """What was refused of each existing data set."""
    return expand(
        "results/{campaign}/labels/databases/{database}/failures.json",
        campaign=wildcards.campaign,
        database=campaign(wildcards.campaign).datasets.databases,
    )


def last_verdict(wildcards):
    """The verdict with which the loop ends, where there is one."""
    name = wildcards.campaign
    if campaign(name).loop is None:
        return []
    return f"results/{name}/generations/gen{accepted_generation(name)}.json"


def settings_of_warnings(wildcards):
    """The settings that warnings may depend on: the address of a data set is none of them."""
    settings = campaign(wildcards.campaign).as_written()
    settings.pop("figures", None)
    databases = settings.get("datasets", {}).get("databases", {})
    for holder in (settings["reference"], *databases.values()):
        holder.get("source", {}).pop("url", None)
    return settings


def if_fits(path):
    """A function for input: ``path`` where the campaign has fits."""
    return lambda wildcards: (
        path.format(**wildcards) if campaign(wildcards.campaign).fits else []
    )


def if_compared(path):
    """The same where phonons are compared: there are fits, and crystals with phonons."""
    return lambda wildcards: (
        if_fits(path)(wildcards) if campaign(wildcards.campaign).benchmarked else []
    )


def if_with_errors(path):
    """The same where some fit has a table of errors."""
    return lambda wildcards: (
        path.format(**wildcards) if campaign(wildcards.campaign).with_errors else []
    )


rule warnings_table:
    """What readers have to know beside the numbers, of all stages: stage, subject, message."""
    input:
        records=records_with_warnings,
        databases=failures_of_databases,
        structures="results/{campaign}/tables/structures.csv",
        phonons="results/{campaign}/tables/phonons.csv",
        labels="results/{campaign}/tables/labels.csv",
        rmse=if_compared("results/{campaign}/tables/rmse.csv"),
        fits=if_fits("results/{campaign}/tables/fits.csv"),
        errors=if_with_errors("results/{campaign}/tables/errors.csv"),
        verdict=last_verdict,
    output:
        ensure("results/{campaign}/tables/warnings.csv", non_empty=True),
    log:
        "results/{campaign}/logs/tables/warnings.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        campaign=settings_of_warnings,
        subjects=lambda wildcards: {
            stage: [subject for subject, _ in of_stage(wildcards.campaign)]
            for stage, of_stage in RECORDS.items()
        },
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: gathering warnings"
    script:
        "../scripts/warnings_table.py"


def of_loop(pattern):
    """A function for input: ``pattern`` where the campaign has a loop."""
    return lambda wildcards: (
        pattern.format(**wildcards) if campaign(wildcards.campaign).loop else []
    )


def other_formats(wildcards):
    """Figures that the page does not hold itself, but the campaign asks for."""
    settings = campaign(wildcards.campaign)
    compared = settings.fits and settings.benchmarked
    stems = ["rmse_by_structure"] if compared else []
    stems += [f"sweep_{sweep}" for sweep in settings.sweeps]
    stems += ["phonon_vs_force"] if settings.tested and compared else []
    stems += [f"parity/{fit}" for fit in settings.tested]
    stems += ["generations"] if settings.loop else []
    stems += ["database_errors"] if tested_databases(wildcards) else []
    stems += [stem for stem, _ in application_figures(wildcards.campaign)]
    return expand(
        "results/{campaign}/figures/{stem}.{format}",
        campaign=wildcards.campaign,
        stem=stems,
        format=[one for one in settings.figures.formats if one != "svg"],
    )


def if_tested(path):
    """The same where it has fits with errors on labels."""
    return lambda wildcards: (
        path.format(**wildcards) if campaign(wildcards.campaign).tested else []
    )


def application_figures(name):
    """Figures of the applications of a campaign for its report: [path without ending, caption]."""
    settings, figures = campaign(name), []
    if settings.thermodynamics:
        figures += [
            [
                "equations_of_state",
                "Energy against volume, from the minimum of each method.",
            ]
        ]
    if settings.thermodynamics and settings.thermodynamics.quasi_harmonic:
        figures += [
            [
                "thermal_expansion",
                "Volume and thermal expansion of the volume, quasi-harmonic, at the pressure "
                "nearest to zero.",
            ]
        ]
    for one, transition in settings.transitions.items():
        figures += [[f"transitions/{one}", f"{one}: {ABOUT[transition.driven_by]}"]]
        if one in settings.transitions_in_loop:
            figures += [
                [
                    f"transitions/generations/{one}",
                    f"{one}: the transition against the generation of the fits, mean and standard "
                    "deviation over repeats.",
                ]
            ]
    for one in settings.conducting:
        figures += [
            [
                f"conductivity/{one}",
                f"{one}: thermal conductivity, the mean and along directions.",
            ],
            [
                f"conductivity/cumulative/{one}",
                f"{one}: conductivity of all modes below a frequency and a mean free path; "
                "relaxation-time approximation for the paths.",
            ],
        ]
        if one in settings.conducting_in_loop:
            figures += [
                [
                    f"conductivity/generations/{one}",
                    f"{one}: thermal conductivity against the generation of the fits, mean and "
                    "standard deviation over repeats.",
                ]
            ]
    return figures


rule report:
    """Everything about a campaign on one page."""
    input:
        by_structure=if_compared("results/{campaign}/figures/rmse_by_structure.svg"),
        sweeps=lambda wildcards: expand(
            "results/{campaign}/figures/sweep_{sweep}.svg",
            campaign=wildcards.campaign,
            sweep=campaign(wildcards.campaign).sweeps,
        ),
        phonon_vs_force=lambda wildcards: (
            if_tested("results/{campaign}/figures/phonon_vs_force.svg")(wildcards)
            if campaign(wildcards.campaign).benchmarked
            else []
        ),
        database_errors=lambda wildcards: (
            f"results/{wildcards.campaign}/figures/database_errors.svg"
            if tested_databases(wildcards)
            else []
        ),
        generations=of_loop("results/{campaign}/figures/generations.svg"),
        generations_table=of_loop("results/{campaign}/tables/generations.csv"),
        parity=lambda wildcards: expand(
            "results/{campaign}/figures/parity/{fit}.svg",
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).tested,
        ),
        other_formats=other_formats,
        application_tables=lambda wildcards: [
            f"results/{wildcards.campaign}/tables/{file}"
            for file, _ in application_tables(wildcards.campaign)
        ],
        application_figures=lambda wildcards: [
            f"results/{wildcards.campaign}/figures/{stem}.svg"
            for stem, _ in application_figures(wildcards.campaign)
        ],
        bands=lambda wildcards: expand(
            "results/{campaign}/figures/bands/{fit}/figures.json",
            campaign=wildcards.campaign,
            fit=(
                (campaign(wildcards.campaign).fits or ["reference"])
                if campaign(wildcards.campaign).benchmarked
                else []
            ),
        ),
        rmse=if_compared("results/{campaign}/tables/rmse.csv"),
        warnings="results/{campaign}/tables/warnings.csv",
        structures="results/{campaign}/tables/structures.csv",
        phonons="results/{campaign}/tables/phonons.csv",
        gamma="results/{campaign}/tables/gamma.csv",
        labels="results/{campaign}/tables/labels.csv",
        fits=if_fits("results/{campaign}/tables/fits.csv"),
        errors=if_with_errors("results/{campaign}/tables/errors.csv"),
        mechanics=lambda wildcards: (
            f"results/{wildcards.campaign}/tables/mechanics.csv"
            if campaign(wildcards.campaign).benchmarks.mechanics
            else []
        ),
    output:
        ensure("results/{campaign}/report.html", non_empty=True),
    log:
        "results/{campaign}/logs/report.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        campaign=lambda wildcards: campaign(wildcards.campaign).as_written(),
        application_tables=lambda wildcards: application_tables(wildcards.campaign),
        application_figures=lambda wildcards: application_figures(wildcards.campaign),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: writing the report"
    script:
        "../scripts/report.py"
