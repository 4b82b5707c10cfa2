"""Phonons of the reference method and of every fit."""


rule reference_phonons:
    """Force constants, bands and density of states from the labels of the displaced cells."""
    input:
        displacements="results/{campaign}/supercells/gen0/{structure}.yaml",
        labels="results/{campaign}/labels/gen0/{structure}.extxyz",
        born=born,
    output:
        phonons="results/{campaign}/phonons/reference/reference/{structure}.yaml",
        spectrum="results/{campaign}/phonons/reference/reference/{structure}.npz",
    log:
        "results/{campaign}/logs/phonons/reference/{structure}.log",
    benchmark:
        "results/{campaign}/logs/phonons/reference/{structure}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **runs_on("cpu"),
        mem_mb=memory_mb(2000),
        runtime=minutes(60),
    params:
        phonons=setting("phonons", exclude={"cells"}),
        masses=masses,
        version=versions("phonons", "structures", "supercells"),
    message:
        "{wildcards.campaign}: reference phonons of {wildcards.structure}"
    script:
        "../scripts/reference_phonons.py"


rule fit_phonons:
    """The same for a fit, in the cell it relaxes to or in the reference's cell."""
    input:
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model="results/{campaign}/fits/{fit}/gen{generation}/model",
        reference="results/{campaign}/phonons/reference/reference/{structure}.yaml",
    output:
        phonons="results/{campaign}/phonons/{fit}/gen{generation}/{cell}/{structure}.yaml",
        spectrum="results/{campaign}/phonons/{fit}/gen{generation}/{cell}/{structure}.npz",
        # kept until the job ends: `again` is read from it
        verdict=update(
            "results/{campaign}/phonons/{fit}/gen{generation}/{cell}/{structure}.json"
        ),
    log:
        "results/{campaign}/logs/phonons/{fit}/gen{generation}/{cell}/{structure}.log",
    benchmark:
        "results/{campaign}/logs/phonons/{fit}/gen{generation}/{cell}/{structure}.tsv"
    conda:
        ENVIRONMENT
    threads: share_of_cores(phonons_of_fits)
    resources:
        **runs_on(on_gpu),
        mem_mb=memory_mb(1000, 2000),
        runtime=minutes(120),
    params:
        phonons=setting("phonons", exclude={"cells"}),
        displaced=setting("supercells/displaced"),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=tries_again(
            "results/{campaign}/phonons/{fit}/gen{generation}/{cell}/{structure}.json"
        ),
        fixed_volume=is_scaled,
        version=versions("phonons", "structures", "supercells"),
    message:
        "{wildcards.campaign}: phonons of {wildcards.structure} with {wildcards.fit}, "
        "{wildcards.cell} cell"
    script:
        "../scripts/fit_phonons.py"


rule phonons_tables:
    """What the reference phonons were computed with, and all frequencies at Γ."""
    input:
        phonons=of_benchmarked(
            "results/{campaign}/phonons/reference/reference/{structure}.yaml"
        ),
        reference=of_benchmarked(
            "results/{campaign}/phonons/reference/reference/{structure}.npz"
        ),
        fits=spectra_of_all_fits,
    output:
        phonons="results/{campaign}/tables/phonons.csv",
        gamma="results/{campaign}/tables/gamma.csv",
    log:
        "results/{campaign}/logs/tables/phonons.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        structures=lambda wildcards: campaign(wildcards.campaign).benchmarked,
        fits=lambda wildcards: phonons_of_all_fits(wildcards.campaign),
        version=versions("phonons", "structures", "supercells"),
    message:
        "{wildcards.campaign}: tables of phonons"
    script:
        "../scripts/phonons_tables.py"


RECORDS["phonons"] = lambda name: [
    [
        f"{one.label or fit}, {structure}",
        f"results/{name}/phonons/{fit}/gen{{accepted}}/{cell}/{structure}.json",
    ]
    for fit, one in campaign(name).fits.items()
    for cell in campaign(name).phonons.cells
    for structure in campaign(name).benchmarked
]
