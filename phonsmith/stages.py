"""The stages of the pipeline and the version of each.

A rule passes the version of its stage through ``params``: raising it makes Snakemake redo that
stage and what follows. Raise it when a change of code changes results, and only then. ``readers``
is what recorded data and databases are read by: computed labels do not depend on it.
"""

VERSIONS = {
    "structures": 2,
    "supercells": 2,
    "labels": 1,
    "readers": 2,
    "datasets": 1,
    "fits": 1,
    "errors": 1,
    "phonons": 1,
    "benchmarks": 2,
    "generations": 3,
    "thermodynamics": 2,
    "transitions": 3,
    "conductivity": 3,
    "figures": 1,
    "plan": 2,
}
