"""Phase transitions with temperature and pressure, by the reference method and by fits."""


def transition_of(wildcards):
    """The settings of the transition."""
    return look_up(wildcards, "transitions/{transition}")


def pressing_of(wildcards):
    """The settings of a pressure-driven transition that enthalpies depend on."""
    keys = {"pressures_gpa", "volumes", "tolerance_mev_per_atom"}
    return transition_of(wildcards).model_dump(mode="json", include=keys)


def need_of_enthalpies(needs, settings, cells, structure, transition):
    """All relaxations of a crystal under pressure."""
    relaxations = settings.transitions[transition].relaxations
    return needs.need_of_crystal(cells[0], settings.reference, structure, relaxations=relaxations)


rule enthalpies:
    """One crystal relaxed at the pressures of a transition, and at volumes, by one method.

    It starts from the crystal as it was read: what is lost without pressure may exist under it.
    """
    input:
        unpack(method_files),
        crystal="results/{campaign}/structures/{structure}.extxyz",
    output:
        # kept until the job ends: `again` is read from it
        update("results/{campaign}/transitions/{method}/{transition}/{structure}.json"),
    log:
        "results/{campaign}/logs/transitions/{method}/{transition}/{structure}.log",
    benchmark:
        "results/{campaign}/logs/transitions/{method}/{transition}/{structure}.tsv"
    retries: RETRIES
    threads: of_one_run(otherwise=1)
    resources:
        **runs_on(method_on_gpu),
        **labelling(need_of_enthalpies, job=1000, process=2000),
    params:
        **OF_REFERENCE,
        physics=method_physics,
        pressing=pressing_of,
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=tries_again("enthalpies"),
        version=versions("transitions", "structures", "labels", "benchmarks", "thermodynamics"),
    message:
        "{wildcards.campaign}: {wildcards.structure} under pressure with {wildcards.method}"
    script:
        "../scripts/enthalpies.py"


def is_pressed(wildcards):
    """Whether pressure drives the transition."""
    return transition_of(wildcards).driven_by == "pressure"


def enthalpies_of_transition(wildcards):
    """The enthalpies of the crystals of a transition by the method, where pressure drives it."""
    if not is_pressed(wildcards):
        return []
    structures = transition_of(wildcards).structures
    return expand(rules.enthalpies.output[0], structure=structures, **wildcards)


def thermodynamics_of_transition(wildcards):
    """The thermodynamics of its crystals by the method, where free energies are compared."""
    transition = transition_of(wildcards)
    if is_pressed(wildcards) and not transition.temperatures_kelvin:
        return []
    pattern = rules.thermodynamics.output[0]
    return expand(pattern, structure=transition.structures, **wildcards)


def spectra_of_transition(wildcards):
    """Phonons without pressure of its crystals by the method, where pressure drives it."""
    settings = campaign(wildcards.campaign)
    cell = "reference" if is_reference(wildcards) else "relaxed"
    if not is_pressed(wildcards) or cell not in ("reference", *settings.phonons.cells):
        return []
    known = set(settings.at_rest)
    return expand(
        "results/{campaign}/phonons/{method}/{cell}/{structure}.npz",
        structure=[one for one in transition_of(wildcards).structures if one in known],
        cell=cell,
        **wildcards,
    )


def phonons_of_transition(wildcards):
    """These phonons as input: of the reference the files, of a fit the index of all crystals."""
    spectra = spectra_of_transition(wildcards)
    if is_reference(wildcards) or not spectra:
        return {"spectra": spectra}
    return {"phonons": "results/{campaign}/phonons/{method}/relaxed.json".format(**wildcards)}


rule transition:
    """Find the points at which the stable crystal of a transition changes, by a method."""
    input:
        unpack(phonons_of_transition),
        enthalpies=enthalpies_of_transition,
        thermodynamics=thermodynamics_of_transition,
    output:
        "results/{campaign}/transitions/{method}/{transition}.json",
    log:
        "results/{campaign}/logs/transitions/{method}/{transition}.log",
    localrule: True
    params:
        transition=setting("transitions/{transition}", exclude={"published", "all_generations"}),
        spectra=untracked(spectra_of_transition),
        refuse_imaginary=lambda wildcards: (
            not is_pressed(wildcards)
            and look_up(wildcards, "thermodynamics/imaginary") != "report"
        ),
        tolerance_thz=setting("benchmarks/imaginary_tolerance_thz"),
        version=versions(
            "transitions",
            "structures",
            "supercells",
            "labels",
            "phonons",
            "benchmarks",
            "thermodynamics",
        ),
    message:
        "{wildcards.campaign}: transition {wildcards.transition} with {wildcards.method}"
    script:
        "../scripts/transition.py"


def published_transitions(transition):
    """Published values of a transition as plain data."""
    return [one.model_dump(mode="json") for one in transition.published]


def transition_methods(wildcards, transition):
    """Methods of a transition: those of applications, and fits of previous generations."""
    before = transition in campaign(wildcards.campaign).transitions_in_loop
    recorded = recorded_suffices(wildcards.campaign, transition)
    found = methods_of(wildcards, recorded)
    return found + (methods_before(wildcards) if before else [])


def recorded_suffices(name, transition):
    """Whether recorded data give the transition: by free energies at recorded volumes."""
    settings = campaign(name)
    driven_by = settings.transitions[transition].driven_by
    return settings.has_volumes and driven_by == "temperature"


def transition_results(wildcards):
    """The results of one transition, or of all of them, by all methods."""
    one = getattr(wildcards, "transition", None)
    return [
        path
        for transition in ([one] if one else campaign(wildcards.campaign).transitions)
        for path in expand(
            rules.transition.output[0],
            campaign=wildcards.campaign,
            method=transition_methods(wildcards, transition),
            transition=transition,
        )
    ]


rule transitions_tables:
    """All transitions by all methods: every crossing, and an overview beside published values."""
    input:
        transition_results,
    output:
        transitions=reported(
            "results/{campaign}/tables/transitions.csv", "transitions", "transitions"
        ),
        overview=reported(
            "results/{campaign}/tables/transitions_overview.csv", "transitions", "transitions"
        ),
    log:
        "results/{campaign}/logs/tables/transitions.log",
    localrule: True
    params:
        groups=setting("groups"),
        labels=fit_labels,
        level_of_theory=setting("level_of_theory"),
        published=lambda wildcards: {
            name: published_transitions(one)
            for name, one in campaign(wildcards.campaign).transitions.items()
        },
        version=versions("transitions", "structures", "labels", "benchmarks", "thermodynamics"),
    message:
        "{wildcards.campaign}: tables of the phase transitions"
    script:
        "../scripts/transitions_tables.py"


def without_repeats(wildcards):
    """What a transition is computed with, of repeats of a fit the first."""
    leaders = {"reference", *campaign(wildcards.campaign).groups}
    recorded = recorded_suffices(wildcards.campaign, wildcards.transition)
    found = methods_of(wildcards, recorded)
    return [one for one in found if one.partition("/")[0] in leaders]


rule draw_transition:
    """Free energies or enthalpies of the crystals of one transition, reference and fits."""
    input:
        every(rules.transition.output[0], method=without_repeats),
    output:
        reported(
            "results/{campaign}/figures/transitions/{transition}.{format}",
            "transitions",
            "transition",
        ),
    log:
        "results/{campaign}/logs/figures/transitions/{transition}.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        level_of_theory=setting("level_of_theory"),
        published=lambda wildcards: published_transitions(transition_of(wildcards)),
        structures=setting("transitions/{transition}/structures"),
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing transition {wildcards.transition}"
    script:
        "../scripts/draw_transition.py"


rule draw_transition_generations:
    """A transition against the generation of the fits."""
    input:
        "results/{campaign}/tables/transitions.csv",
    output:
        reported(
            "results/{campaign}/figures/transitions/generations/{transition}.{format}",
            "transitions",
            "transition_generations",
        ),
    log:
        "results/{campaign}/logs/figures/transitions/generations/{transition}.{format}.log",
    localrule: True
    params:
        labels=fit_labels,
        groups=setting("groups"),
        level_of_theory=setting("level_of_theory"),
        structures=lambda wildcards: transition_of(wildcards).structures[:2],
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing transition {wildcards.transition} against generations "
        "({wildcards.format})"
    script:
        "../scripts/draw_transition_generations.py"


ABOUT = {
    "temperature": "free energies relative to the first crystal.",
    "pressure": "enthalpies relative to the first crystal.",
}


def figures_of_transitions(name):
    """Figures of each transition, and if requested against the generation of the fits."""
    settings, figures = campaign(name), {}
    for one, transition in settings.transitions.items():
        figures[f"transitions/{one}"] = f"{one}: {ABOUT[transition.driven_by]}"
        if one in settings.transitions_in_loop:
            figures[f"transitions/generations/{one}"] = (
                f"{one}: the transition against the generation of the fits, mean and standard "
                "deviation over repeats."
            )
    return figures


def tables_of_transitions(name):
    """Every crossing, and an overview for the report."""
    if not campaign(name).transitions:
        return {}
    return {
        "transitions.csv": None,
        "transitions_overview.csv": "Phase transitions",
    }


STAGES["transitions"] = Part(
    tables=tables_of_transitions,
    figures=figures_of_transitions,
    warnings=lambda name: [
        [
            f"{subject}, {transition}",
            f"results/{name}/transitions/{method}/{transition}.json",
        ]
        for transition in campaign(name).transitions
        for subject, method in methods_later(name, recorded=recorded_suffices(name, transition))
    ],
)
