"""Functions on crystals, cells, fits and generations, shared by rules of several stages."""

from phonsmith.files.reading_writing import read_as
from phonsmith.potentials.environments import FOLDERS as ENVIRONMENTS
from phonsmith.potentials.environments import RECORD as ENVIRONMENT_RECORD
from phonsmith.potentials.environments import environment
from phonsmith.potentials.own_code import code_of
from phonsmith.potentials.loaded_files import files_of
from phonsmith.fits.registry import environment_named, kind_of, potential_named, takes_gpu
from phonsmith.structures.settings import RELAXATION_EFFORT
from phonsmith.structures.verdicts import Effort

# --- crystals and cells --------------------------------------------------------------------------

NOT_OF_CELLS = {
    "role",
    "born",
    "masses",
    "materials_project",
    "optimade",
    "recorded_volumes",
    "recorded_energies",
}
"""Keys of a structure that affect supercells and labels only through the crystal."""


def is_scaled(wildcards):
    """Whether the crystal is held at its volume."""
    return look_up(wildcards, "structures/{structure}").scaled is not None


def scaled_crystals(wildcards):
    """The crystals that are held at their volumes."""
    crystals = campaign(wildcards.campaign).structures
    return [name for name, crystal in crystals.items() if crystal.scaled is not None]


def as_lists(multiples):
    """Three numbers or three rows of numbers, as in JSON."""
    return [list(row) if isinstance(row, tuple) else row for row in multiples]


def cells_made(wildcards):
    """Sizes and kinds of the cells: displaced ones always, rattled ones where fits use them.

    Of one crystal, or for a plan of all.
    """
    asked = "rattled" in look_up(wildcards, "supercells/kinds")
    rattled = asked and bool(campaign(wildcards.campaign).fits)
    without = {"multiples"} if rattled else {"multiples", "rattled"}
    if look_up(wildcards, "supercells/grid") is None:
        without |= {"grid", "way"}
    cells = setting("supercells", exclude=without)(wildcards)
    cells["kinds"] = ["displaced", "rattled"] if rattled else ["displaced"]
    named = look_up(wildcards, "supercells/multiples")
    asked = [wildcards.structure] if hasattr(wildcards, "structure") else named
    multiples = {name: as_lists(named[name]) for name in asked if name in named}
    return {**cells, "multiples": multiples} if multiples else cells


@functools.cache
def as_of(load, path, modified):
    """The content of a result, read by ``load``; a damaged file ends the run with one line."""
    try:
        return load(path)
    except PhonsmithError as error:
        stop(error)


def if_there(load, path):
    """The content of a result, read again only if the file changes; None before it exists."""
    try:
        return as_of(load, str(path), path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


def tries_again(rule):
    """A function for params: how often a result with relaxations is computed again, see Effort.

    The result is the JSON file among the outputs of the rule; it stays until the job ends.
    """

    def of(wildcards):
        outputs = getattr(rules, rule).output
        (pattern,) = [file for file in outputs if file.endswith(".json")]
        path = Path(pattern.format(**wildcards))
        effort = if_there(Effort.load, path)
        limit = campaign(wildcards.campaign).relaxation.max_steps
        return effort.tries_again(limit) if effort else 0

    return of


def tries_of_crystals(wildcards, path):
    """As :func:`tries_again`, for the crystals in a file of results by name; 0 is omitted."""
    limit = campaign(wildcards.campaign).relaxation.max_steps
    efforts = if_there(Effort.load_each, Path(path.format(**wildcards))) or {}
    again = {name: effort.tries_again(limit) for name, effort in efforts.items()}
    return {name: count for name, count in again.items() if count}


# --- fits ----------------------------------------------------------------------------------------


def fit_of(wildcards):
    """The recipe of the fit."""
    return look_up(wildcards, "fits/{fit}")


def on_gpu(wildcards):
    """Whether the fit is a MACE, which uses a GPU if available."""
    return takes_gpu(fit_of(wildcards))


def fit_labels(wildcards):
    """Names of the fits in legends, in the order of the campaign, which determines colours."""
    fits = campaign(wildcards.campaign).fits
    return {name: fit.label or name for name, fit in fits.items()}


def with_code(settings, potential, name=None):
    """Settings for params, with what a potential computes with beside them.

    That is the source of a calculator of the user's own, and the pins of an environment: that of
    the potential, or the given one.
    """
    code = code_of(potential.calculator) if potential else {}
    pins = pins_of(name or (potential.computes_in if potential else None))
    return {
        **settings,
        **({"code": code} if code else {}),
        **({"environment_sha256": pins.sha256} if pins else {}),
    }


def file_of(path):
    """The file, or for the model of a campaign's fit its folder, which is the output of a rule."""
    made = MADE.fullmatch(path)
    return f"{made['folder']}/model" if made and made["fit"] else path


def model_of(potential):
    """Inputs of a potential: model file, files named in its arguments, environment."""
    model = [potential.model_file] if potential.model_file else []
    files = [file_of(file) for file in (*model, *files_of(potential))]
    return [*files, *record_of(potential.computes_in)]


# --- generations ---------------------------------------------------------------------------------


def verdict_in(path):
    """The verdict on a generation as plain data; a damaged file ends the run with one line."""

    def parts(found):
        return {"stop": found["stop"], "next_cells": dict(found["next_cells"])}

    try:
        return read_as(path, "a verdict on a generation", parts)
    except PhonsmithError as error:
        stop(error)


def path_of_verdict(name, generation):
    """The file of the verdict on a generation."""
    return rules.judge_generation.output[0].format(campaign=name, generation=generation)


def accepted_generation(name):
    """The generation whose fits are used downstream: the last generation of the loop.

    The only place that asks the checkpoint: where a verdict is missing, Snakemake makes it first
    and asks again. If all results after it exist, as those of a campaign that had no loop before,
    Snakemake would not make it unless it is forced to.
    """
    if campaign(name).loop is None:
        return 0
    for generation in range(campaign(name).loop.max_generations):
        path = path_of_verdict(name, generation)
        if not Path(path).is_file():
            workflow.dag.forcefiles.add(path)
        verdict = checkpoints.judge_generation.get(campaign=name, generation=generation)
        if verdict_in(verdict.output[0])["stop"]:
            return generation
    stop(f"campaign {name}: the loop does not end; delete results/{name}/generations and restart")


def accepted(wildcards):
    """The generation whose fits are used downstream, for the campaign of a job."""
    return accepted_generation(wildcards.campaign)


def up_to_accepted(wildcards):
    """All generations whose labels count."""
    return range(accepted(wildcards) + 1)


def this_generation(wildcards):
    """The generation of a job."""
    return int(wildcards.generation)


def up_to_this(wildcards):
    """The generation of a job and all before it."""
    return range(this_generation(wildcards) + 1)


def before_this(wildcards):
    """All generations before that of a job."""
    return range(this_generation(wildcards))


# --- what applications compute with --------------------------------------------------------------


def methods_of(wildcards, recorded):
    """Methods of an application: the reference, if it gives results, and every accepted fit.

    ``recorded`` is whether recorded data give them; a reference that computes does always.
    """
    settings = campaign(wildcards.campaign)
    fits = [f"{fit}/gen{accepted(wildcards)}" for fit in settings.fits]
    return fits if settings.recorded and not recorded else ["reference", *fits]


def methods_later(name, recorded):
    """Methods before the accepted generation is known: [label, path of the method].

    ``{accepted}`` in the path is the generation.
    """
    settings = campaign(name)
    fits = [[one.label or fit, f"{fit}/gen{{accepted}}"] for fit, one in settings.fits.items()]
    reference = [["reference", "reference"]]
    return fits if settings.recorded and not recorded else [*reference, *fits]


def methods_before(wildcards):
    """The trained fits of all generations before the accepted generation."""
    return [
        f"{fit}/gen{generation}"
        for generation in range(accepted(wildcards))
        for fit in campaign(wildcards.campaign).trained
    ]


def is_reference(wildcards):
    """Whether an application computes with the reference method, not with a fit."""
    return wildcards.method == "reference"


def method_files(wildcards):
    """The files that an application computes with, for ``unpack``."""
    if is_reference(wildcards):
        return {"model": reference_model(wildcards)}
    folder = "results/{campaign}/fits/{method}".format(**wildcards)
    return {
        "potential": f"{folder}/potential.json",
        "model": f"{folder}/model",
        "environment": environment_of_method(wildcards),
    }


def environment_of_method(wildcards):
    """The environment of the fit that an application computes with, if any."""
    fit = campaign(wildcards.campaign).fits[wildcards.method.partition("/")[0]]
    return record_of(environment_named(fit))


def method_on_gpu(wildcards):
    """Whether an application computes with a MACE fit, which uses a GPU if available."""
    if is_reference(wildcards):
        return reference_on_gpu(wildcards)
    fit = wildcards.method.partition("/")[0]
    return takes_gpu(campaign(wildcards.campaign).fits[fit])


def method_physics(wildcards):
    """Settings that affect results of the reference method; fits are identified by their files."""
    return reference_physics(wildcards) if is_reference(wildcards) else None


# --- figures -------------------------------------------------------------------------------------


def formats_drawn(wildcards):
    """The formats that a job draws: the requested one, or all for the SVG that the report embeds."""
    formats = campaign(wildcards.campaign).figures.formats
    asked = wildcards.format
    return list(dict.fromkeys(["svg", *formats])) if asked == "svg" else [asked]


def first_cell(wildcards):
    return campaign(wildcards.campaign).phonons.cells[0]
