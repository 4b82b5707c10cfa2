"""Displaced and rattled supercells."""


def cost_of_grid(wildcards):
    """The settings of the reference method where its cost decides between supercells."""
    if look_up(wildcards, "supercells/grid") is None:
        return None
    return reference_physics(wildcards)


rule make_supercells:
    """The supercells of one crystal, phonopy's file of its displacements, and warnings.

    The warnings are those of recorded data: what was refused of them, and why. Their levels of
    theory stand beside the warnings.
    """
    input:
        crystal="results/{campaign}/relaxed/{structure}.extxyz",
        recorded=recorded_files,
        accepted=ACCEPTED,
    output:
        cells="results/{campaign}/supercells/gen0/{structure}.extxyz",
        displacements="results/{campaign}/supercells/gen0/{structure}.yaml",
        cautions="results/{campaign}/labels/recorded/{structure}.json",
    log:
        "results/{campaign}/logs/supercells/gen0/{structure}.log",
    localrule: True  # seconds; a job on a cluster would take longer to start
    threads: 1
    resources:
        mem_mb=2000,
    params:
        supercells=unless_recorded(cells_made),
        structure=setting("structures/{structure}", exclude=NOT_OF_CELLS),
        reference=untracked(setting("reference")),
        recorded=if_recorded(reference_physics),
        cost=unless_recorded(cost_of_grid),
        seed=unless_recorded(setting("seed")),
        sources=SOURCES,
        readers=readers_if_recorded,
        version=versions("supercells", "structures", "labels"),
    message:
        "{wildcards.campaign}: making supercells of {wildcards.structure}"
    script:
        "../scripts/make_supercells.py"
