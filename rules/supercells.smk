"""Displaced and rattled supercells."""


rule make_supercells:
    """The supercells of one crystal, and phonopy's file of its displacements."""
    input:
        "results/{campaign}/relaxed/{structure}.extxyz",
    output:
        cells="results/{campaign}/supercells/gen{generation}/{structure}.extxyz",
        displacements="results/{campaign}/supercells/gen{generation}/{structure}.yaml",
    log:
        "results/{campaign}/logs/supercells/gen{generation}/{structure}.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=30,
        slurm_partition=partition("cpu"),
    params:
        supercells=unless_recorded(cells_made),
        structure=setting("structures/{structure}", exclude={"role", "born"}),
        reference=untracked(setting("reference")),
        recorded=if_recorded(reference_physics),
        seed=unless_recorded(setting("seed")),
        sources=SOURCES,
        version=VERSIONS["supercells"],
    message:
        "{wildcards.campaign}: making supercells of {wildcards.structure}"
    script:
        "../scripts/make_supercells.py"
