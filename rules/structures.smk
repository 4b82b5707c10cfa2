"""Crystals: read, checked, and relaxed with the reference method."""

from phonsmith.structures.databases.addresses import fetched_path
from phonsmith.structures.verdicts import Verdict, left_out, refuse, why_left_out


rule fetch_crystal:
    """Fetch one crystal from its database, once; where Snakemake runs, which has a network.

    The file is kept and may be committed. It depends on nothing: delete it to fetch it again.
    """
    output:
        ensure("config/structures/fetched/{origin}/{entry}.extxyz", non_empty=True),
    log:
        "results/.logs/crystals/{origin}/{entry}.log",
    wildcard_constraints:
        origin=r"[^/]+",
        entry=r"[^/]+",
    localrule: True
    message:
        "fetching crystal {wildcards.entry} of {wildcards.origin}"
    script:
        "../scripts/fetch_crystal.py"


rule fetch_recorded:
    """Fetch the files of one crystal in the recorded data set."""
    input:
        own_files,
    output:
        "results/{campaign}/sources/{structure}.json",
    log:
        "results/{campaign}/logs/sources/{structure}.log",
    localrule: True
    params:
        structure=setting("structures/{structure}", exclude=NOT_OF_CELLS),
        reference=untracked(setting("reference")),
        recorded=if_recorded(reference_physics),
        sources=SOURCES,
    message:
        "{wildcards.campaign}: fetching the recorded data of {wildcards.structure}"
    script:
        "../scripts/fetch_recorded.py"


def crystal_file(wildcards):
    """The crystal's file: given, fetched, or that of the crystal from which it is scaled."""
    structure = look_up(wildcards, "structures/{structure}")
    if structure.scaled:
        return f"results/{wildcards.campaign}/relaxed/{structure.scaled.of}.extxyz"
    fetched = fetched_path(structure)
    return structure.file or (str(fetched) if fetched else [])


rule read_structure:
    """Read one crystal from its file, a database, or the recorded data set."""
    input:
        crystal=crystal_file,
        recorded=recorded_files,
    output:
        ensure("results/{campaign}/structures/{structure}.extxyz", non_empty=True),
    log:
        "results/{campaign}/logs/structures/{structure}.read.log",
    localrule: True
    params:
        structure=setting("structures/{structure}", exclude=NOT_OF_CELLS),
        reference=untracked(setting("reference")),
        recorded=if_recorded(reference_physics),
        sources=SOURCES,
        readers=readers_if_recorded,
        version=versions("structures", "labels"),
    message:
        "{wildcards.campaign}: reading crystal {wildcards.structure}"
    script:
        "../scripts/read_structure.py"


def verdict_on_crystal(name, structure):
    """The verdict on a crystal, None before it is relaxed."""
    pattern = rules.relax_structure.output.verdict
    return if_there(Verdict.load, Path(pattern.format(campaign=name, structure=structure)))


def relaxations_again(wildcards):
    """How often the crystal is relaxed again after it did not converge, see Verdict.tries_again."""
    settings = campaign(wildcards.campaign).relaxation
    verdict = verdict_on_crystal(wildcards.campaign, wildcards.structure)
    return verdict.tries_again(settings.max_steps, settings.on_change) if verdict else 0


def is_relaxed(wildcards):
    """Whether the crystals are relaxed; recorded crystals are not."""
    settings = campaign(wildcards.campaign)
    return settings.relaxation.reference and settings.recorded is None


def if_relaxed(value_of):
    """A function for params: the value where the reference method relaxes crystals, else None."""
    return lambda wildcards: value_of(wildcards) if is_relaxed(wildcards) else None


rule relax_structure:
    """Relax one crystal with the reference method, and judge the result."""
    input:
        "results/{campaign}/structures/{structure}.extxyz",
        model=reference_model,
    output:
        crystal=ensure("results/{campaign}/relaxed/{structure}.extxyz", non_empty=True),
        # kept until the job ends: `again` is read from it
        verdict=update("results/{campaign}/relaxed/{structure}.json"),
    log:
        "results/{campaign}/logs/relaxed/{structure}.log",
    benchmark:
        "results/{campaign}/logs/relaxed/{structure}.tsv"
    retries: RETRIES
    threads: of_one_run(otherwise=1)
    resources:
        **runs_on(reference_on_gpu),
        **labelling(need_of_crystal),
    params:
        **OF_REFERENCE,
        method=if_relaxed(reference_physics),
        relaxation=untracked(setting("relaxation")),
        tolerances=setting("relaxation", exclude=RELAXATION_EFFORT),
        again=relaxations_again,
        relax=is_relaxed,
        fixed_volume=is_scaled,
        version=versions("structures", "labels"),
    message:
        "{wildcards.campaign}: relaxing {wildcards.structure} with the reference method"
    script:
        "../scripts/relax_structure.py"


# Params that are made from verdicts take wildcards alone: Snakemake does not compare others.
# It makes them once more when the job is ready, so that they are those of the crystal in use.


def crystal_left_out(wildcards):
    """Reason for omitting the crystal; empty if it is used.

    Where it stops at the crystal, what was decided before stays: to stop makes nothing stale.
    """
    verdict = verdict_on_crystal(wildcards.campaign, wildcards.structure)
    if not verdict:
        return ""
    policy = campaign(wildcards.campaign).relaxation.on_change
    decided = Path(ACCEPTED.format(**wildcards))
    if refuse(wildcards.structure, verdict, policy):
        try:
            return left_out(decided) if decided.exists() else ""
        except PhonsmithError as error:
            stop(error)
    return why_left_out(verdict, policy)


rule accept_crystal:
    """Gate: continue with the relaxed crystal, omit it, or stop the campaign.

    All rules that use a relaxed crystal wait for it. Another policy reruns it only where the
    crystal is left out under one policy and used under the other.
    """
    input:
        "results/{campaign}/relaxed/{structure}.json",
    output:
        "results/{campaign}/accepted/{structure}.json",
    log:
        "results/{campaign}/logs/accepted/{structure}.log",
    localrule: True
    params:
        on_change=untracked(setting("relaxation/on_change")),
        left_out=crystal_left_out,
        version=VERSIONS["structures"],
    message:
        "{wildcards.campaign}: judging relaxed crystal {wildcards.structure}"
    script:
        "../scripts/accept_crystal.py"


ACCEPTED = rules.accept_crystal.output[0]


def crystals_refused(wildcards):
    """Reasons for which crystals stop the campaign, one line for each."""
    settings = campaign(wildcards.campaign)
    policy, found = settings.relaxation.on_change, []
    for structure in settings.structures:
        verdict = verdict_on_crystal(wildcards.campaign, structure)
        found.append(refuse(structure, verdict, policy) if verdict else "")
    return [why for why in found if why]


rule check_crystals:
    """Whether a crystal stops the campaign: the gate for crystals already in use."""
    input:
        verdicts=every(rules.relax_structure.output.verdict, structure="structures"),
    output:
        "results/{campaign}/accepted.json",
    log:
        "results/{campaign}/logs/accepted.log",
    priority: 1  # before anything that uses them
    localrule: True
    params:
        refused=crystals_refused,
        version=VERSIONS["structures"],
    message:
        "{wildcards.campaign}: checking the crystals"
    script:
        "../scripts/check_crystals.py"


rule structures_table:
    """Tabulate space groups before and after relaxation, volumes, and messages."""
    input:
        verdicts=every(rules.relax_structure.output.verdict, structure="structures"),
        accepted=every(ACCEPTED, structure="structures"),
        checked="results/{campaign}/accepted.json",
    output:
        reported("results/{campaign}/tables/structures.csv", "structures", "structures"),
    log:
        "results/{campaign}/logs/tables/structures.log",
    localrule: True
    params:
        structures=lambda wildcards: list(campaign(wildcards.campaign).structures),
        version=VERSIONS["structures"],
    message:
        "{wildcards.campaign}: table of crystals"
    script:
        "../scripts/structures_table.py"


STAGES["structures"] = Part(
    tables=lambda name: {"structures.csv": None},
    warnings=lambda name: [
        [structure, f"results/{name}/relaxed/{structure}.json"]
        for structure in campaign(name).structures
    ],
)
