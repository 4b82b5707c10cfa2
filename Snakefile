"""phonsmith: structures → supercells → labels → data sets → fits → phonons → benchmarks → figures."""

from snakemake.utils import min_version

min_version("9.0")


include: "rules/start.smk"
include: "rules/mended.smk"
include: "rules/settings.smk"
include: "rules/resources.smk"
include: "rules/targets.smk"
include: "rules/messages.smk"
include: "rules/common.smk"
include: "rules/environments.smk"
include: "rules/reference.smk"
include: "rules/structures.smk"
include: "rules/supercells.smk"
include: "rules/labels.smk"
include: "rules/distillation.smk"
include: "rules/datasets.smk"
include: "rules/fits.smk"
include: "rules/phonons.smk"
include: "rules/benchmarks.smk"
include: "rules/sweeps.smk"
include: "rules/mechanics.smk"
include: "rules/students.smk"
include: "rules/bands.smk"
include: "rules/thermodynamics.smk"
include: "rules/transitions.smk"
include: "rules/conductivity.smk"
include: "rules/disorder.smk"
# after the applications: a goal may use their results
include: "rules/generations.smk"
include: "rules/figures.smk"
include: "rules/plan.smk"
include: "rules/paper.smk"


for each in workflow.modifier.rules:  # those of this workflow alone, if it is a module
    each.conda_env = ENVIRONMENT  # with --software-deployment-method conda


rule all:
    default_target: True
    input:
        everything,


onstart:
    tell_host(log)
    forget_copies_of_killed_runs()
    show_progress()


onsuccess:
    say_where_to_look()


onerror:
    say_what_is_wrong()
