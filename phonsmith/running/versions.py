"""The stages of the pipeline and the version of each.

A rule passes the version of its stage through ``params``, and the versions of the other stages
whose code it runs: raising one makes Snakemake redo that stage, what follows, and what shares its
code. Raise it when a change of code changes results, and only then; where the potentials of one
architecture alone change, raise ``VERSION`` of its settings. ``readers`` is what recorded data and
databases are read by: computed labels do not depend on it. ``descriptions`` is the analysis of
runs, apart from ``disorder``, the runs themselves.
"""

VERSIONS = {
    "structures": 2,
    "supercells": 2,
    "labels": 1,
    "readers": 2,
    "distillation": 1,
    "datasets": 1,
    "fits": 2,
    "errors": 1,
    "phonons": 1,
    "benchmarks": 2,
    "generations": 4,
    "thermodynamics": 3,
    "transitions": 4,
    "conductivity": 3,
    "disorder": 1,
    "descriptions": 2,
    "figures": 2,
    "plan": 4,
}

MODULES = {
    "structures": ("structures",),
    "supercells": ("supercells",),
    "labels": ("labels",),
    "readers": ("labels.recorded",),
    "distillation": ("distillation",),
    "datasets": ("datasets",),
    "fits": ("fits",),
    "errors": ("fits.errors",),
    "phonons": ("phonons", "labels.born", "files.phonopy_files"),
    "benchmarks": ("benchmarks", "thermodynamics.equations_of_state"),
    "generations": ("generations",),
    "thermodynamics": ("thermodynamics",),
    "transitions": ("transitions",),
    "conductivity": ("conductivity",),
    "disorder": ("disorder",),
    "descriptions": (
        "disorder.crystallites",
        "disorder.data_map",
        "disorder.description",
        "disorder.neighbours",
        "disorder.scattering",
        "disorder.similarity",
        "disorder.tables",
    ),
}
"""The modules of each stage; code that stages share belongs to the first of them."""


def versions(*stages: str) -> dict[str, int]:
    """Return the versions of the stages whose code a rule runs, its own first."""
    return {stage: VERSIONS[stage] for stage in stages}
