"""Settings, files and resources of the reference method, shared by rules of several stages."""

from snakemake.common.tbdstring import TBDString
from phonsmith.files.sources import listed as listed_files
from phonsmith.labels.reference import DftReference
from phonsmith.labels.registry import method_kind, potential_of

LABEL_EFFORT = {
    "side_by_side",
    "runtime_minutes",
    "min_label_fraction",
}  # keys that no label depends on


UNKNOWN_NEED = (
    2000,
    480,
)  # MB of a run and minutes of a job, until the cells are known


def reference_of(wildcards):
    """The reference method of the campaign."""
    return campaign(wildcards.campaign).reference


def recorded_files(wildcards):
    """The record of the fetched files of the crystal, if it is recorded."""
    recorded = campaign(wildcards.campaign).recorded
    return "results/{campaign}/sources/{structure}.json" if recorded else []


def own_files(wildcards):
    """Files in a local folder of the user; they are read again when they change."""
    if "database" in wildcards.keys():
        source = look_up(wildcards, "datasets/databases/{database}").source
    elif "fit" in wildcards.keys():
        source = fit_of(wildcards).source
    else:
        source = campaign(wildcards.campaign).recorded.source
    return [f"{source.folder}/{name}" for name in listed_files(source)] if source.folder else []


def reference_physics(wildcards):
    """The settings of the reference method, and of the crystal if any, that affect labels."""
    reference = reference_of(wildcards)
    physics = reference.physics_of(getattr(wildcards, "structure", None))
    if files := method_kind(reference).contents(reference):
        physics = {**physics, "pseudopotential_contents": files}
    return with_code(physics, potential_of(reference))


def readers_if_recorded(wildcards):
    """The version of the readers if crystals and labels are recorded, else None."""
    return VERSIONS["readers"] if campaign(wildcards.campaign).recorded else None


def if_recorded(value_of):
    """A function for params: the value where crystals and labels are recorded, else None."""
    return lambda wildcards: (
        value_of(wildcards) if campaign(wildcards.campaign).recorded else None
    )


def unless_recorded(value_of):
    """A function for params: the value where labels are computed, else None."""
    return lambda wildcards: (
        None if campaign(wildcards.campaign).recorded else value_of(wildcards)
    )


def reference_model(wildcards):
    """The files that the reference method computes with: a model, or pseudopotentials."""
    reference = reference_of(wildcards)
    if potential := potential_of(reference):
        return model_of(potential)
    return method_kind(reference).files(reference)


def reference_on_gpu(wildcards):
    """Whether the reference method uses a GPU if available."""
    reference = reference_of(wildcards)
    return method_kind(reference).takes_gpu(reference)


def is_dft(wildcards):
    """Whether the reference method runs a DFT code, in jobs that do not compute with a fit."""
    by_fit = getattr(wildcards, "method", "reference") != "reference"
    return not by_fit and isinstance(reference_of(wildcards), DftReference)


def work_folder(wildcards):
    """Where the DFT codes of a campaign run."""
    return SITE.scratch or f"results/{wildcards.campaign}/labels/work"


def label_store(wildcards):
    """Folder of finished labels: of the campaign, or shared by campaigns."""
    return config["label_store"] or f"results/{wildcards.campaign}/labels/store"


# params of all jobs that compute with the reference method, and of those that label a batch of cells
OF_REFERENCE = {
    "reference": untracked(setting("reference")),
    "work": untracked(work_folder),
    "store": untracked(label_store),
}


OF_BATCH = {
    **OF_REFERENCE,
    "labels": setting("labels", exclude=LABEL_EFFORT | {"max_energy_spread_ev_per_atom"}),
    "runtime": untracked(setting("labels/runtime_minutes")),
}


def of_one_run(otherwise):
    """A function for threads: the cores of one run of a DFT code, and ``otherwise`` without one."""
    return lambda wildcards: (reference_of(wildcards).cores if is_dft(wildcards) else otherwise)


def label_threads(jobs_of):
    """A function for threads: the cores of all runs of a job, or a share of all cores."""

    def of(wildcards):
        if not is_dft(wildcards):
            return share_of_cores(jobs_of)(wildcards)
        settings = campaign(wildcards.campaign)
        return settings.reference.cores * settings.labels.side_by_side

    return of


# What a DFT job needs by the cost model: of the campaign's settings, the cells among the inputs of
# the job, and the names of its crystal and transition.


def need_of_batches(needs, settings, cells, structure, **names):
    """One of the batches in which cells are labelled."""
    labels = settings.labels
    return needs.need_of_labels(
        cells,
        settings.reference,
        structure,
        batches=labels.batches_per_structure,
        side_by_side=labels.side_by_side,
    )


def need_of_crystal(needs, settings, cells, structure, **names):
    """A relaxation, or Born charges."""
    return needs.need_of_crystal(cells[0], settings.reference, structure)


@functools.cache
def need(need_of, name, structure, transition, files, modified):
    """MB of a run and minutes of a job with the cells in ``files``, made when ``modified``."""
    from phonsmith.files.extxyz import read_frames
    from phonsmith.plan import job_resources

    cells = [cell for file in files for cell in read_frames(file)]
    names = {"structure": structure, "transition": transition}
    try:
        found = need_of(job_resources, campaign(name), cells, **names)
    except PhonsmithError:  # pseudopotentials may be seen by the nodes alone
        return UNKNOWN_NEED
    return found.memory_mb, found.minutes


def labelling(need_of, side_by_side=False, job=500, process=1500, further=None):
    """Resources of a labelling job: memory and minutes, more when they were not enough, and the try.

    With a DFT code from the cost model by ``need_of``, else that of a job and of each of its
    processes. ``further`` is the pattern of cells that are no inputs.
    """

    def expected(wildcards, input):
        """A guess where the cells are not there yet, and unsaid in a dry run."""
        if workflow.dryrun:
            return TBDString(), TBDString()
        files = input.get("crystals", input.get("crystal", input[0]))
        files = [files] if isinstance(files, str) else [*files]
        files += [further.format(**wildcards)] if further else []
        if not workflow.is_main_process or not all(map(os.path.exists, files)):
            return UNKNOWN_NEED
        names = [getattr(wildcards, name, None) for name in ("structure", "transition")]
        modified = tuple(map(os.path.getmtime, files))
        return need(need_of, wildcards.campaign, *names, tuple(files), modified)

    def memory(wildcards, input, rulename, attempt, threads):
        if not is_dft(wildcards):
            return memory_mb(job, process)(wildcards, rulename, attempt, threads)
        settings = campaign(wildcards.campaign)
        runs = settings.labels.side_by_side if side_by_side else 1
        each = settings.reference.memory_mb or expected(wildcards, input)[0]
        if isinstance(each, TBDString):
            return each
        return memory_mb(500 + runs * each)(wildcards, rulename, attempt, threads)

    def runtime(wildcards, input, rulename, attempt):
        given = campaign(wildcards.campaign).labels.runtime_minutes
        known = is_dft(wildcards) and not given
        amount = expected(wildcards, input)[1] if known else given
        if isinstance(amount, TBDString):
            return amount
        return grown(amount or UNKNOWN_NEED[1], "time", wildcards, rulename, attempt)

    return {"mem_mb": memory, "runtime": runtime, "attempt": attempt}


def batch_numbers(wildcards):
    """The batches in which cells of one structure or data set are labelled."""
    return range(campaign(wildcards.campaign).labels.batches_per_structure)
