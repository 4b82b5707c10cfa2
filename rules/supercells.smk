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
        supercells=setting("supercells"),
        structure=setting("structures/{structure}"),
        reference=setting("reference"),
        seed=setting("seed"),
        sources=SOURCES,
        version=VERSIONS["supercells"],
    message:
        "{wildcards.campaign}: making supercells of {wildcards.structure}"
    script:
        "../scripts/make_supercells.py"
