"""Band structures of every fit and of the reference, drawn."""


def structures_drawn(wildcards):
    """The crystals whose bands a job draws: the requested crystal, or all."""
    one = getattr(wildcards, "structure", None)
    return [one] if one else campaign(wildcards.campaign).benchmarked


def formats_of_bands(wildcards):
    """The formats in which a job draws bands: the requested format, or all."""
    one = getattr(wildcards, "format", None)
    return [one] if one else campaign(wildcards.campaign).figures.formats


rule draw_bands:
    """Band structures of all structures, one fit against the reference."""
    input:
        reference=every(rules.reference_phonons.output.spectrum, structure=structures_drawn),
        phonons=every(rules.fit_phonons.output[0], generation=accepted, cell=first_cell),
        benchmarks=every(rules.benchmark.output[0], generation=accepted),
        structures="results/{campaign}/tables/structures.csv",
    output:
        index="results/{campaign}/figures/bands/{fit}/figures.json",
    log:
        "results/{campaign}/logs/figures/bands/{fit}.log",
    localrule: True
    params:
        structures=structures_drawn,
        labels=fit_labels,
        level_of_theory=setting("level_of_theory"),
        cell=first_cell,
        formats=formats_of_bands,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing band structures of {wildcards.fit}"
    script:
        "../scripts/draw_bands.py"


use rule draw_bands as draw_bands_of_one with:
    output:
        figure=reported(
            "results/{campaign}/figures/bands/{fit}/{structure}.{format}", "benchmarks", "bands"
        ),
    log:
        "results/{campaign}/logs/figures/bands/{fit}/{structure}.{format}.log",
    message:
        "{wildcards.campaign}: drawing the bands of {wildcards.structure} by {wildcards.fit}"


rule draw_reference_bands:
    """Band structures of all structures by the reference method alone."""
    input:
        reference=every(rules.reference_phonons.output.spectrum, structure=structures_drawn),
        structures="results/{campaign}/tables/structures.csv",
    output:
        index="results/{campaign}/figures/bands/reference/figures.json",
    log:
        "results/{campaign}/logs/figures/bands/reference.log",
    localrule: True
    params:
        structures=structures_drawn,
        level_of_theory=setting("level_of_theory"),
        formats=formats_of_bands,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing band structures of the reference"
    script:
        "../scripts/draw_reference_bands.py"


use rule draw_reference_bands as draw_reference_bands_of_one with:
    output:
        figure=reported(
            "results/{campaign}/figures/bands/reference/{structure}.{format}",
            "benchmarks",
            "bands",
        ),
    log:
        "results/{campaign}/logs/figures/bands/reference/{structure}.{format}.log",
    message:
        "{wildcards.campaign}: drawing the bands of {wildcards.structure} by the reference"


ruleorder: draw_reference_bands > draw_bands
ruleorder: draw_reference_bands_of_one > draw_bands_of_one
