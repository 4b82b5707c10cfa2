"""Phonons of the reference method and of every fit."""


def masses(wildcards):
    """Masses in the campaign of a crystal, or of the crystal from which it is scaled."""
    structure = look_up(wildcards, "structures/{structure}")
    if structure.masses is None and structure.scaled:
        structure = look_up(wildcards, f"structures/{structure.scaled.of}")
    return structure.masses


def born(wildcards):
    """The BORN file of the structure, given or computed, if any."""
    given = look_up(wildcards, "structures/{structure}").born
    computed = "results/{campaign}/labels/born/{structure}.BORN".format(**wildcards)
    wanted = is_dft(wildcards) and reference_of(wildcards).born_charges
    return given or (computed if wanted else [])


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


def phonons_of_fits(wildcards):
    """How many jobs compute phonons of the fits of a campaign."""
    settings = campaign(wildcards.campaign)
    return len(settings.fits) * len(settings.phonons.cells)


rule fit_phonons:
    """Force constants, bands and density of states of a fit, in its relaxed or the reference's cell.

    One job for all crystals. The output holds the verdicts on them. Phonons, spectrum and record of
    each crystal lie in the folder of the same name: a result is computed again if its own inputs
    changed.
    """
    input:
        potential="results/{campaign}/fits/{fit}/gen{generation}/potential.json",
        model="results/{campaign}/fits/{fit}/gen{generation}/model",
        environment=environment_of_fit,
        reference=every(rules.reference_phonons.output.phonons, structure="benchmarked"),
    output:
        # kept until the job ends: `again` is read from it
        update("results/{campaign}/phonons/{fit}/gen{generation}/{cell}.json"),
    log:
        "results/{campaign}/logs/phonons/{fit}/gen{generation}/{cell}.log",
    benchmark:
        "results/{campaign}/logs/phonons/{fit}/gen{generation}/{cell}.tsv"
    threads: share_of_cores(phonons_of_fits)
    resources:
        **runs_on(on_gpu),
        mem_mb=memory_mb(1000, 2000),
        runtime=minutes(120),
    params:
        structures=setting("benchmarked"),
        phonons=setting("phonons", exclude={"cells"}),
        displaced=setting("supercells/displaced"),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=lambda wildcards: tries_of_crystals(wildcards, rules.fit_phonons.output[0]),
        fixed_volume=scaled_crystals,
        version=versions("phonons", "structures", "supercells"),
    message:
        "{wildcards.campaign}: phonons with {wildcards.fit}, {wildcards.cell} cell"
    script:
        "../scripts/fit_phonons.py"


def phonons_of_all_fits(wildcards):
    """[fit, cell] of the phonons of every fit."""
    settings = campaign(wildcards.campaign)
    return [[fit, cell] for fit in settings.fits for cell in settings.phonons.cells]


rule phonons_tables:
    """Tabulate the settings of the reference phonons, and all frequencies at Γ."""
    input:
        phonons=every(rules.reference_phonons.output.phonons, structure="benchmarked"),
        reference=every(rules.reference_phonons.output.spectrum, structure="benchmarked"),
        # in the order of phonons_of_all_fits
        fits=every(
            rules.fit_phonons.output[0],
            fit="fits",
            generation=accepted,
            cell="phonons/cells",
        ),
    output:
        phonons=reported("results/{campaign}/tables/phonons.csv", "phonons", "phonons"),
        gamma=reported("results/{campaign}/tables/gamma.csv", "phonons", "gamma"),
    log:
        "results/{campaign}/logs/tables/phonons.log",
    localrule: True
    params:
        structures=setting("benchmarked"),
        fits=phonons_of_all_fits,
        version=versions("phonons", "structures", "supercells"),
    message:
        "{wildcards.campaign}: tables of phonons"
    script:
        "../scripts/phonons_tables.py"


STAGES["phonons"] = Part(
    tables=lambda name: {"phonons.csv": None, "gamma.csv": None},
    warnings=lambda name: [
        [one.label or fit, f"results/{name}/phonons/{fit}/gen{{accepted}}/{cell}.json"]
        for fit, one in campaign(name).fits.items()
        for cell in campaign(name).phonons.cells
        if campaign(name).benchmarked
    ],
)
