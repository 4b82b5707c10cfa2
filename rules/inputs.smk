"""Functions for input, params and resources of the rules, in the order of the street."""

# --- structures ----------------------------------------------------------------------------


NOT_OF_CELLS = {
    "role",
    "born",
    "masses",
    "materials_project",
    "optimade",
    "recorded_volumes",
    "recorded_energies",
}
"""Keys of a structure that no supercell or label depends on, other than by the crystal."""


def is_scaled(wildcards):
    """Whether the crystal is held at its volume."""
    return look_up(wildcards, "structures/{structure}").scaled is not None


def masses(wildcards):
    """Masses that the campaign names for a crystal, or for the one it is scaled from."""
    structure = look_up(wildcards, "structures/{structure}")
    if structure.masses is None and structure.scaled:
        structure = look_up(wildcards, f"structures/{structure.scaled.of}")
    return structure.masses


def crystal_file(wildcards):
    """The crystal's file: given, fetched from a database, or that of the one it is scaled from."""
    structure = look_up(wildcards, "structures/{structure}")
    if structure.scaled:
        return f"results/{wildcards.campaign}/relaxed/{structure.scaled.of}.extxyz"
    fetched = fetched_path(structure)
    return structure.file or (str(fetched) if fetched else [])


def recorded_files(wildcards):
    """The record that the files of the crystal in the data set are here, if it is recorded."""
    recorded = campaign(wildcards.campaign).recorded
    return "results/{campaign}/sources/{structure}.json" if recorded else []


def own_files(wildcards):
    """Files in a folder of the user's own: when they change, they are read anew."""
    if "database" in wildcards.keys():
        source = look_up(wildcards, "datasets/databases/{database}").source
    elif "fit" in wildcards.keys():
        source = fit_of(wildcards).source
    else:
        source = campaign(wildcards.campaign).recorded.source
    return (
        [f"{source.folder}/{name}" for name in listed_files(source)]
        if source.folder
        else []
    )


ACCEPTED = "results/{campaign}/accepted/{structure}.json"
"""What the gate makes of the verdict on a crystal."""

RELAXATION_EFFORT = {"reference", "on_change", "max_steps"}
"""Keys that no relaxed crystal depends on, and no result of relaxations that converged."""


@functools.cache
def verdict_as_of(path, modified):
    """A verdict on a crystal; a damaged one ends the run with one line."""
    try:
        return Verdict.load(path)
    except PhonsmithError as error:
        stop(error)


def verdict_on_crystal(name, structure):
    """The verdict on a crystal, None before it is relaxed."""
    path = Path(f"results/{name}/relaxed/{structure}.json")
    try:
        return verdict_as_of(str(path), path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


# Params that are made from verdicts take wildcards alone: Snakemake does not compare others.
# It makes them once more when the job is ready, so that they are those of the crystal in use.


def crystal_left_out(wildcards):
    """Why the campaign leaves the crystal out, empty where it does not.

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


def crystals_left_out(wildcards):
    """Why it leaves crystals out, by structure; those that it does not are not in it."""
    settings, found = campaign(wildcards.campaign), {}
    for structure in settings.structures:
        verdict = verdict_on_crystal(wildcards.campaign, structure)
        if verdict and (why := why_left_out(verdict, settings.relaxation.on_change)):
            found[structure] = why
    return found


def crystals_refused(wildcards):
    """Why the campaign stops at crystals, one line for each."""
    settings = campaign(wildcards.campaign)
    policy, found = settings.relaxation.on_change, []
    for structure in settings.structures:
        verdict = verdict_on_crystal(wildcards.campaign, structure)
        found.append(refuse(structure, verdict, policy) if verdict else "")
    return [why for why in found if why]


def relaxations_again(wildcards):
    """How often the crystal is relaxed again after it did not converge, see Verdict.tries_again."""
    settings = campaign(wildcards.campaign).relaxation
    verdict = verdict_on_crystal(wildcards.campaign, wildcards.structure)
    return verdict.tries_again(settings.max_steps, settings.on_change) if verdict else 0


@functools.cache
def effort_as_of(path, modified):
    """The effort of a result with relaxations; a damaged one ends the run with one line."""
    try:
        return Effort.load(path)
    except PhonsmithError as error:
        stop(error)


def tries_again(pattern):
    """A function for params: how often a result with relaxations is computed again, see Effort.

    ``pattern`` is its JSON file: an output that stays until the job ends.
    """

    def of(wildcards):
        path = Path(pattern.format(**wildcards))
        try:
            effort = effort_as_of(str(path), path.stat().st_mtime_ns)
        except FileNotFoundError:
            return 0
        return effort.tries_again(campaign(wildcards.campaign).relaxation.max_steps)

    return of


def is_relaxed(wildcards):
    """Whether the crystals are relaxed: recorded ones are as they were calculated."""
    settings = campaign(wildcards.campaign)
    return settings.relaxation.reference and settings.recorded is None


def reference_physics(wildcards):
    """The settings of the reference method that labels depend on, of the crystal if there is one."""
    reference = reference_of(wildcards)
    physics = reference.physics_of(getattr(wildcards, "structure", None))
    if files := pseudopotential_contents(reference):
        physics = {**physics, "pseudopotential_contents": files}
    return with_code(physics, getattr(reference, "potential", None))


def with_code(settings, potential):
    """Settings for params, with the source of a calculator of the user's own, if there is one."""
    code = code_of(potential.calculator) if potential else {}
    return {**settings, "code": code} if code else settings


def isolated_atom_box(wildcards):
    """The box of isolated atoms, where it is a setting."""
    return getattr(reference_of(wildcards), "isolated_atom_edges_angstrom", None)


def if_relaxed(value_of):
    """A function for params: the value where the reference method relaxes crystals, else None."""
    return lambda wildcards: value_of(wildcards) if is_relaxed(wildcards) else None


def readers_if_recorded(wildcards):
    """The version of the readers, where they give crystals and labels, else None."""
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


# --- supercells ----------------------------------------------------------------------------


def as_lists(multiples):
    """Three numbers or three rows of them, as JSON has them."""
    return [list(row) if isinstance(row, tuple) else row for row in multiples]


def cells_made(wildcards):
    """Sizes and kinds of the cells: displaced ones always, rattled ones where fits use them.

    Of one crystal, or for a plan of all.
    """
    asked = "rattled" in look_up(wildcards, "supercells/kinds")
    rattled = asked and bool(campaign(wildcards.campaign).fits)
    without = {"multiples"} if rattled else {"multiples", "rattled"}
    cells = setting("supercells", exclude=without)(wildcards)
    cells["kinds"] = ["displaced", "rattled"] if rattled else ["displaced"]
    named = look_up(wildcards, "supercells/multiples")
    asked = [wildcards.structure] if hasattr(wildcards, "structure") else named
    multiples = {name: as_lists(named[name]) for name in asked if name in named}
    return {**cells, "multiples": multiples} if multiples else cells


# --- labels --------------------------------------------------------------------------------

LABEL_EFFORT = {
    "side_by_side",
    "runtime_minutes",
    "min_label_fraction",
}  # keys that no label depends on


def file_of(path):
    """The file itself; of a model of some campaign's fit the folder, which is what a rule makes."""
    made = MADE.fullmatch(path)
    return f"{made['folder']}/model" if made and made["fit"] else path


def model_of(potential):
    """The model file of a potential, if it has one, and files that its arguments name."""
    model = [potential.model] if potential.model else []
    return [file_of(file) for file in (*model, *files_of(potential))]


def reference_model(wildcards):
    """The files that the reference method computes with: a model, or pseudopotentials."""
    reference = reference_of(wildcards)
    if reference.method == "calculator":
        return model_of(reference.potential)
    if reference.method == "espresso" and reference.pseudopotentials.files:
        source = reference.pseudopotentials
        return [f"{source.folder}/{name}" for name in source.files.values()]
    return []


def reference_on_gpu(wildcards):
    """Whether the reference method is a MACE that takes a GPU where it finds one."""
    reference = reference_of(wildcards)
    return reference.method == "calculator" and reference.potential.takes_gpu


def is_dft(wildcards):
    """Whether the reference method runs a DFT code, in jobs that do not compute with a fit."""
    by_fit = getattr(wildcards, "method", "reference") != "reference"
    return not by_fit and reference_of(wildcards).method in ("espresso", "vasp")


def work_folder(wildcards):
    """Where the DFT codes of a campaign run."""
    return SITE.scratch or f"results/{wildcards.campaign}/labels/work"


def label_store(wildcards):
    """Where finished labels are: with the campaign, or where campaigns share them."""
    return config["label_store"] or f"results/{wildcards.campaign}/labels/store"


def of_one_run(otherwise):
    """A function for threads: the cores of one run of a DFT code, and ``otherwise`` without one."""
    return lambda wildcards: (
        reference_of(wildcards).cores if is_dft(wildcards) else otherwise
    )


def label_threads(jobs_of):
    """A function for threads: the cores of all runs of a job, or a share of all cores."""

    def of(wildcards):
        if not is_dft(wildcards):
            return share_of_cores(jobs_of)(wildcards)
        settings = campaign(wildcards.campaign)
        return settings.reference.cores * settings.labels.side_by_side

    return of


UNKNOWN_NEED = (
    2000,
    480,
)  # MB of a run and minutes of a job, until the cells are known


@functools.cache
def need(rulename, name, structure, transition, files, modified):
    """What the cost model says that a DFT job needs: MB of a run, and minutes.

    ``modified`` is when the cells in ``files`` were made.
    """
    from phonsmith import needs
    from phonsmith.extxyz import read_frames

    settings = campaign(name)
    reference, labels = settings.reference, settings.labels
    cells = [cell for file in files for cell in read_frames(file)]
    try:
        if rulename == "label_isolated_atoms":
            elements = {symbol for cell in cells for symbol in cell.symbols}
            found = needs.need_of_atoms(elements, reference)
        elif rulename in LABELLING:
            found = needs.need_of_labels(
                cells,
                reference,
                structure,
                batches=(
                    len(cells)
                    if rulename == "label_cell"
                    else labels.batches_per_structure
                ),
                side_by_side=labels.side_by_side,
            )
        elif rulename == "thermodynamics":
            found = needs.need_of_thermodynamics(
                cells[0],
                [cell for cell in cells[1:] if cell.info["kind"] == "displaced"],
                reference,
                structure,
                settings.thermodynamics,
                side_by_side=labels.side_by_side,
            )
        else:
            found = needs.need_of_crystal(
                cells[0],
                reference,
                structure,
                relaxations=(
                    settings.transitions[transition].relaxations if transition else 1
                ),
            )
    except PhonsmithError:  # pseudopotentials may be seen by the nodes alone
        return UNKNOWN_NEED
    return found.memory_mb, found.minutes


def files_of_need(wildcards, input, rulename):
    """The crystals and cells that tell what a job needs."""
    if rulename == "thermodynamics":
        # as many displaced cells of the same size as for the reference phonons at rest
        cells = "results/{campaign}/supercells/gen0/{structure}.extxyz"
        return input.crystal, cells.format(**wildcards)
    if rulename == "enthalpies":
        return (input.crystal,)
    return tuple(input.get("crystals", input[:1]))


def expected(wildcards, input, rulename):
    """The same for a job; a guess where the cells are not there yet, and unsaid in a dry run."""
    structure = getattr(wildcards, "structure", None)
    transition = getattr(wildcards, "transition", None)
    files = files_of_need(wildcards, input, rulename)
    known = rulename in WITH_COSTS and all(map(os.path.exists, files))
    if workflow.dryrun:
        return TBDString(), TBDString()
    if not workflow.is_main_process or not known:
        return UNKNOWN_NEED
    modified = tuple(map(os.path.getmtime, files))
    return need(rulename, wildcards.campaign, structure, transition, files, modified)


LABELLING = {"label_batch", "label_cell", "label_third_order", "label_database_batch"}

WITH_COSTS = {
    *LABELLING,
    "relax_structure",
    "label_isolated_atoms",
    "born_charges",
    "thermodynamics",
    "enthalpies",
}


def label_memory(side_by_side, job=500, process=1500):
    """A function for resources: memory of a labelling job, more when it was not enough.

    With a DFT code from the cost model, else that of a job and of each of its processes.
    """

    def of(wildcards, input, rulename, attempt, threads):
        if not is_dft(wildcards):
            return memory_mb(job, process)(wildcards, rulename, attempt, threads)
        settings = campaign(wildcards.campaign)
        runs = settings.labels.side_by_side if side_by_side else 1
        each = settings.reference.memory_mb or expected(wildcards, input, rulename)[0]
        if isinstance(each, TBDString):
            return each
        return memory_mb(500 + runs * each)(wildcards, rulename, attempt, threads)

    return of


def label_runtime(wildcards, input, rulename, attempt):
    """A function for resources: minutes of a labelling job, more when they were not enough."""
    given = campaign(wildcards.campaign).labels.runtime_minutes
    known = is_dft(wildcards) and not given
    amount = expected(wildcards, input, rulename)[1] if known else given
    if isinstance(amount, TBDString):
        return amount
    return grown(amount or UNKNOWN_NEED[1], "time", wildcards, rulename, attempt)


def label_batches(wildcards):
    """How many jobs label the supercells of a campaign."""
    settings = campaign(wildcards.campaign)
    return len(settings.structures) * settings.labels.batches_per_structure


def database_batches(wildcards):
    """How many jobs label the cells of existing data sets anew."""
    settings = campaign(wildcards.campaign)
    relabelled = sum(one.relabel for one in settings.datasets.databases.values())
    return relabelled * settings.labels.batches_per_structure


def batches(suffix):
    """A function for input: the batches of a structure, ``suffix`` being extxyz or json."""

    def of(wildcards):
        return expand(
            "results/{campaign}/labels/gen{generation}/batches/{structure}/{batch}.{suffix}",
            batch=range(campaign(wildcards.campaign).labels.batches_per_structure),
            suffix=suffix,
            **wildcards,
        )

    return of


def batches_of_database(suffix):
    """The same of an existing data set that gets new labels; none where it keeps its own."""

    def of(wildcards):
        if not look_up(wildcards, "datasets/databases/{database}").relabel:
            return []
        return expand(
            "results/{campaign}/labels/databases/{database}/batches/{batch}.{suffix}",
            batch=range(campaign(wildcards.campaign).labels.batches_per_structure),
            suffix=suffix,
            **wildcards,
        )

    return of


def cells_tried_again(wildcards):
    """The labels of failed cells that somebody has tried again one by one, as far as there are."""
    folder = Path(
        "results/{campaign}/labels/gen{generation}/cells/{structure}".format(
            **wildcards
        )
    )
    return sorted(str(path) for path in folder.glob("*.extxyz"))


def command_for_one_cell(wildcards):
    """How to label one failed cell again, with places for its structure, generation and index."""
    cell = "results/{campaign}/labels/gen{{generation}}/cells/{{structure}}/{{index}}.extxyz"
    return "snakemake --profile profiles/local --force {}".format(
        cell.format(campaign=wildcards.campaign)
    )


def labels_of_generation(suffix):
    """A function for input: a file of the labels of every structure."""
    return lambda wildcards: expand(
        "results/{campaign}/labels/gen{generation}/{structure}.{suffix}",
        structure=campaign(wildcards.campaign).structures,
        suffix=suffix,
        **wildcards,
    )


def recorded_facts(wildcards):
    """What the recorded data of each crystal tell: warnings and levels of theory."""
    return expand(
        "results/{campaign}/labels/recorded/{structure}.json",
        campaign=wildcards.campaign,
        structure=campaign(wildcards.campaign).structures,
    )


def levels_compared(wildcards):
    """The record that recorded crystals have been compared, where they are recorded."""
    recorded = campaign(wildcards.campaign).recorded
    return f"results/{wildcards.campaign}/labels/levels.json" if recorded else []


def taught_structures(wildcards):
    """The crystals whose labels fits of the campaign learn from."""
    settings = campaign(wildcards.campaign)
    return sorted(settings.learnt) if settings.trained else []


def mixed_levels_allowed(wildcards):
    """Whether fits may learn from several levels of theory."""
    settings = campaign(wildcards.campaign)
    of_runs = settings.recorded and settings.recorded.allow_mixed_levels_of_theory
    return settings.datasets.allow_mixed_levels_of_theory or bool(of_runs)


def failures_so_far():
    """The records of failures of each campaign that config.yaml names."""
    patterns = [
        "labels/gen*/*.failures.json",
        "labels/databases/*/failures.json",
        "conductivity/**/batches/[0-9]*.json",
    ]
    return {
        name: [
            str(path)
            for pattern in patterns
            for path in sorted(Path(f"results/{name}").glob(pattern))
        ]
        for name in config["campaigns"]
    }


# --- datasets ------------------------------------------------------------------------------


def labelled(names_of):
    """A function for input: labels of the structures that ``names_of`` a campaign gives."""

    def of(wildcards):
        return expand(
            "results/{campaign}/labels/gen{generation}/{structure}.extxyz",
            campaign=wildcards.campaign,
            generation=range(int(wildcards.generation) + 1),
            structure=names_of(campaign(wildcards.campaign)),
        )

    return of


def learnt(settings):
    """The structures that fits may learn from."""
    return settings.learnt


def held_out(settings):
    """The structures that no fit learns from."""
    return sorted(set(settings.structures) - set(settings.learnt))


def held_out_with_atoms(settings):
    """Those among them whose labels may hold isolated atoms: recorded ones."""
    return held_out(settings) if settings.recorded else []


def with_isolated_atoms(settings):
    """The structures whose elements have isolated atoms: those that fits learn from.

    All of them beside data sets, whose elements are not known here.
    """
    alone = settings.learnt and not settings.datasets.databases
    return settings.learnt if alone else list(settings.structures)


def pristine_crystals(wildcards):
    settings = campaign(wildcards.campaign)
    constraints = settings.datasets.constraints
    if constraints is None:
        return []
    if constraints.structures == "all":
        names = [name for name in settings.learnt if name in settings.at_rest]
    else:
        names = constraints.structures
    return [f"results/{wildcards.campaign}/relaxed/{name}.extxyz" for name in names]


def accepted_pristine(wildcards):
    """What the gate made of the pristine crystals."""
    names = [Path(path).stem for path in pristine_crystals(wildcards)]
    return [
        ACCEPTED.format(campaign=wildcards.campaign, structure=name) for name in names
    ]


def databases(part):
    """A function for input: the ``train`` or ``test`` part of every database."""

    def of(wildcards):
        return expand(
            "results/{campaign}/labels/databases/{database}/{part}.extxyz",
            campaign=wildcards.campaign,
            database=campaign(wildcards.campaign).datasets.databases,
            part=part,
        )

    return of


def isolated_atoms(wildcards):
    reference = campaign(wildcards.campaign).reference
    if getattr(reference, "isolated_atoms", False):
        return [f"results/{wildcards.campaign}/labels/isolated_atoms.extxyz"]
    return []


# --- fits ----------------------------------------------------------------------------------


def recipe(wildcards):
    """What a fit depends on: its settings without names, resources and device."""
    fit = fit_of(wildcards)
    return with_code(fit.identity(), getattr(fit, "potential", None))


def training_data(wildcards):
    fit = fit_of(wildcards)
    if fit.kind == "existing":
        return {"existing": model_of(fit.potential)}
    if fit.kind == "recorded":
        return {
            "recorded": f"results/{wildcards.campaign}/sources/fits/{wildcards.fit}.json"
        }
    folder = f"results/{wildcards.campaign}/datasets/gen{wildcards.generation}"
    files = {"train": f"{folder}/train.extxyz", "baseline": f"{folder}/baseline.json"}
    if getattr(fit, "foundation", None):
        files["foundation"] = "results/{campaign}/fits/{fit}/foundation.json".format(
            **wildcards
        )
    return files


def readers_if_recorded_fit(wildcards):
    """The version of the readers, where the fit is recorded forces, else None."""
    return VERSIONS["readers"] if fit_of(wildcards).kind == "recorded" else None


def foundation_files(wildcards):
    """The files of a foundation model and of its replay data that are here or made here."""
    foundation = fit_of(wildcards).foundation
    files = [foundation.file] if foundation.file else []
    if foundation.replay:
        files.append(foundation.replay.file)
    return [file_of(file) for file in files]


def on_gpu(wildcards):
    """Whether the fit is a MACE that takes a GPU where it finds one."""
    return takes_gpu(fit_of(wildcards))


def tested_fits(wildcards):
    """How many fits have errors on labels."""
    return len(campaign(wildcards.campaign).tested)


# --- phonons -------------------------------------------------------------------------------


def born(wildcards):
    """The BORN file of the structure, given or computed, if it has one."""
    given = look_up(wildcards, "structures/{structure}").born
    computed = "results/{campaign}/labels/born/{structure}.BORN".format(**wildcards)
    wanted = is_dft(wildcards) and reference_of(wildcards).born_charges
    return given or (computed if wanted else [])


def phonons_of_fits(wildcards):
    """How many jobs compute phonons of the fits of a campaign."""
    settings = campaign(wildcards.campaign)
    return len(settings.fits) * len(settings.benchmarked) * len(settings.phonons.cells)


# --- benchmarks ----------------------------------------------------------------------------


def spectra(kind):
    """A function for input: one file for each cell choice; ``kind`` is npz or json."""

    def of(wildcards):
        return expand(
            "results/{campaign}/phonons/{fit}/gen{generation}/{cell}/{structure}.{kind}",
            cell=campaign(wildcards.campaign).phonons.cells,
            kind=kind,
            **wildcards,
        )

    return of


def in_sample(wildcards):
    """Whether the fit learnt from the very displacements that give the reference phonons."""
    settings = campaign(wildcards.campaign)
    fit = fit_of(wildcards)
    labelled = settings.recorded is not None or "displaced" in settings.supercells.kinds
    trained = wildcards.fit in settings.trained
    taught = trained and wildcards.structure in settings.learnt
    return taught and "displaced" in fit.learn_from and labelled


def mechanics_of(pattern):
    """A function for input: ``pattern`` where equation of state and elastic constants are asked for."""

    def of(wildcards):
        settings = campaign(wildcards.campaign)
        wanted = (
            settings.benchmarks.mechanics and wildcards.structure in settings.at_rest
        )
        return pattern.format(**wildcards) if wanted else []

    return of


def of_every_fit(pattern):
    """A function for input: ``pattern`` for every fit, at the accepted generation."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).fits,
            generation=accepted_generation(wildcards.campaign),
            structure=campaign(wildcards.campaign).benchmarked,
            allow_missing=True,
        )

    return of


def of_every_tested_fit(pattern):
    """The same for the fits that give energies and forces of any cell."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).tested,
            generation=accepted_generation(wildcards.campaign),
            allow_missing=True,
        )

    return of


def of_every_fit_with_errors(pattern):
    """The same for the fits that have errors on labels."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).with_errors,
            generation=accepted_generation(wildcards.campaign),
            allow_missing=True,
        )

    return of


def of_benchmarked(pattern):
    """A function for input: ``pattern`` for every crystal whose phonons are compared."""
    return lambda wildcards: expand(
        pattern,
        campaign=wildcards.campaign,
        structure=campaign(wildcards.campaign).benchmarked,
    )


# --- generations ---------------------------------------------------------------------------


def benchmarks_of_generation(wildcards):
    """Every trained fit of this generation on every structure."""
    return expand(
        BENCHMARK,
        fit=campaign(wildcards.campaign).trained,
        structure=campaign(wildcards.campaign).benchmarked,
        **wildcards,
    )


def of_loop(pattern):
    """A function for input: ``pattern`` where the campaign has a loop."""
    return lambda wildcards: (
        pattern.format(**wildcards) if campaign(wildcards.campaign).loop else []
    )


def fits_with_errors(wildcards):
    """The fits whose force errors the goal asks for."""
    settings = campaign(wildcards.campaign)
    asked = settings.loop.goal.max_force_rmse_ev_per_angstrom is not None
    return settings.trained if asked else []


def errors_of_generation(wildcards):
    return expand(
        "results/{campaign}/fits/{fit}/gen{generation}/errors.csv",
        fit=fits_with_errors(wildcards),
        **wildcards,
    )


def property_file(goal):
    """The file that holds the property of a criterion for one fit of one generation."""
    if goal.of == "conductivity":
        return (
            "results/{campaign}/conductivity/{fit}/gen{generation}/"
            f"{goal.structure}/kappa0.json"
        )
    return (
        "results/{campaign}/transitions/{fit}/gen{generation}/"
        f"{goal.transition}.json"
    )


def properties_of_generation(wildcards):
    """The properties that the goal asks for: of every criterion for every trained fit."""
    settings = campaign(wildcards.campaign)
    return [
        path
        for goal in settings.loop.goal.properties.values()
        for path in expand(property_file(goal), fit=settings.trained, **wildcards)
    ]


def labels_before(generation_of):
    """A function for input: labels of all generations before the one that ``generation_of`` gives."""

    def of(wildcards):
        one = getattr(wildcards, "structure", None)
        return expand(
            "results/{campaign}/labels/gen{generation}/{structure}.extxyz",
            campaign=wildcards.campaign,
            generation=range(generation_of(wildcards)),
            structure=one or campaign(wildcards.campaign).structures,
        )

    return of


def this_generation(wildcards):
    return int(wildcards.generation)


def next_generation(wildcards):
    return int(wildcards.generation) + 1


def verdict_before(wildcards):
    """The verdict on the generation before, if there is one."""
    generation = this_generation(wildcards) - 1
    path = f"results/{wildcards.campaign}/generations/gen{generation}.json"
    return [path] if generation >= 0 else []


def of_judges(file):
    """A function for input: this file of the last generation's fits that help to choose cells."""

    def of(wildcards):
        return expand(
            "results/{campaign}/fits/{fit}/gen{generation}/{file}",
            campaign=wildcards.campaign,
            fit=campaign(wildcards.campaign).judges,
            generation=this_generation(wildcards) - 1,
            file=file,
        )

    return of


def judges_on_gpu(wildcards):
    """Whether one of them is a MACE that takes a GPU where it finds one."""
    settings = campaign(wildcards.campaign)
    return any(takes_gpu(settings.fits[name]) for name in settings.judges)


def trained_groups(wildcards):
    """The fits that are trained, by the first of their repeats."""
    settings = campaign(wildcards.campaign)
    return {
        name: one for name, one in settings.groups.items() if name in settings.trained
    }


# --- figures -------------------------------------------------------------------------------


def fit_labels(wildcards):
    """Names of the fits in legends, in the order of the campaign, which gives the colours."""
    fits = campaign(wildcards.campaign).fits
    return {name: fit.label or name for name, fit in fits.items()}


def dpi(wildcards):
    """Resolution; that of the pixels inside vector formats stays as it is."""
    return (
        campaign(wildcards.campaign).figures.dpi if wildcards.format == "png" else 200
    )


def first_cell(wildcards):
    return campaign(wildcards.campaign).phonons.cells[0]


def structures_drawn(wildcards):
    """The crystals whose bands a job draws: the one that was asked for, or all."""
    one = getattr(wildcards, "structure", None)
    return [one] if one else campaign(wildcards.campaign).benchmarked


def formats_drawn(wildcards):
    """The formats, likewise."""
    one = getattr(wildcards, "format", None)
    return [one] if one else campaign(wildcards.campaign).figures.formats


def of_drawn(pattern):
    """A function for input: ``pattern`` for these crystals, at the accepted generation."""

    def of(wildcards):
        generation = "{generation}" in pattern
        return expand(
            pattern,
            campaign=wildcards.campaign,
            fit=getattr(wildcards, "fit", ""),
            generation=accepted_generation(wildcards.campaign) if generation else "",
            cell=first_cell(wildcards),
            structure=structures_drawn(wildcards),
        )

    return of


def sweep_of(wildcards):
    return look_up(wildcards, "sweeps/{sweep}")


def swept(wildcards):
    """The values of every fit of a sweep by title."""
    sweep_of(wildcards)  # stops at an unknown one
    return campaign(wildcards.campaign).swept(wildcards.sweep)


def swept_settings(wildcards):
    """What was varied, by sweep and fit: titles, and the keys that stand below them."""
    settings = campaign(wildcards.campaign)
    return {
        name: {
            fit: values | sweep.settings_of(values)
            for fit, values in settings.swept(name).items()
        }
        for name, sweep in settings.sweeps.items()
    }


def sparse_points(wildcards):
    fits = campaign(wildcards.campaign).fits
    return {
        name: fit.soap.sparse_points if fit.kind == "gap" and fit.soap else None
        for name, fit in fits.items()
    }


def tested_databases(wildcards):
    """Existing databases with cells to test on, where some fit is tested."""
    settings = campaign(wildcards.campaign)
    found = settings.datasets.databases.items()
    return [name for name, one in found if one.test_files and settings.tested]


def other_formats(wildcards):
    """Figures that the page does not hold itself, but the campaign asks for."""
    settings = campaign(wildcards.campaign)
    compared = settings.fits and settings.benchmarked
    stems = ["rmse_by_structure"] if compared else []
    stems += [f"sweep_{sweep}" for sweep in settings.sweeps]
    stems += ["phonon_vs_force"] if settings.tested and compared else []
    stems += [f"parity/{fit}" for fit in settings.tested]
    stems += ["generations"] if settings.loop else []
    stems += ["database_errors"] if tested_databases(wildcards) else []
    stems += [stem for stem, _ in application_figures(wildcards.campaign)]
    return expand(
        "results/{campaign}/figures/{stem}.{format}",
        campaign=wildcards.campaign,
        stem=stems,
        format=[one for one in settings.figures.formats if one != "svg"],
    )


# --- applications --------------------------------------------------------------------------


def is_reference(wildcards):
    """Whether an application computes with the reference method: else with a fit."""
    return wildcards.method == "reference"


def method_files(wildcards):
    """The files of what an application computes with, for ``unpack``."""
    if is_reference(wildcards):
        return {"model": reference_model(wildcards)}
    folder = "results/{campaign}/fits/{method}".format(**wildcards)
    return {"potential": f"{folder}/potential.json", "model": f"{folder}/model"}


def method_on_gpu(wildcards):
    """Whether an application computes with a MACE fit that takes a GPU where it finds one."""
    if is_reference(wildcards):
        return reference_on_gpu(wildcards)
    fit = wildcards.method.partition("/")[0]
    return takes_gpu(campaign(wildcards.campaign).fits[fit])


def method_physics(wildcards):
    """What results of the reference method depend on; fits are told apart by their files."""
    return reference_physics(wildcards) if is_reference(wildcards) else None


# --- thermal conductivity ------------------------------------------------------------------

CONDUCTIVITY = "results/{campaign}/conductivity/{method}/{structure}/{file}"
CONDUCTIVITY_EFFORT = {"memory_mb", "runtime_minutes"}
CONDUCTIVITY_TABLES = {
    "structures",
    "convergence",
    "published",
    "directions",
    "all_generations",
}


def conductivity_effort(key):
    """A function for resources: memory in MB or time in minutes, as the campaign says."""
    return lambda wildcards: getattr(campaign(wildcards.campaign).conductivity, key)


def conductivity_methods(name):
    """What gives a conductivity: reference (recorded, if with third-order data) and fits."""
    settings = campaign(name)
    return methods_of(name, recorded=settings.has_third_order)


def conductivity_jobs(wildcards):
    """About how many jobs compute conductivities at the same time."""
    settings = campaign(wildcards.campaign)
    return len(settings.conducting) * (1 + len(settings.fits))


def method_phonons(wildcards):
    """The harmonic phonons of the method, and for a fit whether the crystal is still the same."""
    folder = "results/{campaign}/phonons/{method}/".format(**wildcards)
    cell = "reference" if is_reference(wildcards) else first_cell(wildcards)
    stem = f"{folder}{cell}/{wildcards.structure}"
    files = {"phonons": f"{stem}.yaml"}
    return files if is_reference(wildcards) else {**files, "verdict": f"{stem}.json"}


def recorded_of_method(wildcards):
    """The record that third-order data are here, for the reference of recorded data."""
    return recorded_files(wildcards) if is_reference(wildcards) else []


def record_of_method(wildcards):
    """The name of the recorded data of the crystal, for the reference of recorded data."""
    return (
        look_up(wildcards, "structures/{structure}/recorded")
        if is_reference(wildcards)
        else None
    )


def third_order_batches(suffix):
    """A function for input: the labelled batches of third-order cells, or their failures."""

    def of(wildcards):
        return expand(
            "results/{campaign}/conductivity/{method}/{structure}/batches/{batch}.{suffix}",
            batch=range(campaign(wildcards.campaign).labels.batches_per_structure),
            suffix=suffix,
            **wildcards,
        )

    return of


def mesh_of_convergence(wildcards):
    """The mesh of this number for the table of convergence; None for that of the results."""
    settings = campaign(wildcards.campaign).conductivity.model_dump(mode="json")
    number = int(wildcards.mesh)
    return settings["convergence"][number - 1] if number else None


def conductivities(file):
    """A function for input: this file of every crystal and method."""

    def of(wildcards):
        return expand(
            CONDUCTIVITY,
            campaign=wildcards.campaign,
            method=conductivity_methods(wildcards.campaign),
            structure=getattr(wildcards, "structure", None)
            or campaign(wildcards.campaign).conducting,
            file=file,
        )

    return of


def conductivities_so_far(file):
    """The same with the generations before, for crystals that are computed with all of them."""

    def of(wildcards):
        before = expand(
            CONDUCTIVITY,
            campaign=wildcards.campaign,
            method=methods_before(wildcards.campaign),
            structure=campaign(wildcards.campaign).conducting_in_loop,
            file=file,
        )
        return conductivities(file)(wildcards) + before

    return of


def conductivities_of_meshes(wildcards):
    """The results on the meshes of the table of convergence."""
    meshes = campaign(wildcards.campaign).conductivity.convergence
    return [
        path
        for number in range(1, len(meshes) + 1)
        for path in conductivities(f"kappa{number}.json")(wildcards)
    ]


# --- thermodynamics ------------------------------------------------------------------------


def thermodynamics_jobs(wildcards):
    """How many jobs compute thermodynamics."""
    name = wildcards.campaign
    return len(campaign(name).warmed) * (1 + len(campaign(name).fits))


def with_volumes(wildcards):
    """Whether the thermodynamics of the crystal by the method is recorded."""
    structure = look_up(wildcards, "structures/{structure}")
    return is_reference(wildcards) and bool(structure.recorded_volumes)


def thermodynamics_files(wildcards):
    """The files of what thermodynamics is computed with, or follows from where it is recorded."""
    if not with_volumes(wildcards):
        return method_files(wildcards)
    structure = look_up(wildcards, "structures/{structure}")
    record = "results/{campaign}/sources/volumes/{structure}.json"
    return {
        "volumes": record.format(**wildcards),
        "cells": [one.file for one in structure.recorded_volumes if one.file],
        "born": structure.born or [],
    }


def thermodynamics_physics(wildcards):
    """What results of the reference method depend on, with the crystal where it is recorded."""
    physics = method_physics(wildcards)
    if not with_volumes(wildcards):
        return physics
    structure = setting("structures/{structure}", exclude={"role", "born"})
    return {**physics, "structure": structure(wildcards)}


def thermodynamics_of_all(wildcards):
    """The thermodynamics of every structure by every method."""
    return expand(
        "results/{campaign}/thermodynamics/{method}/{structure}.json",
        campaign=wildcards.campaign,
        method=methods_of(
            wildcards.campaign, recorded=campaign(wildcards.campaign).has_volumes
        ),
        structure=campaign(wildcards.campaign).warmed,
    )


# --- phase transitions ---------------------------------------------------------------------


def transition_of(wildcards):
    """The settings of the transition."""
    return look_up(wildcards, "transitions/{transition}")


def is_pressed(wildcards):
    """Whether pressure drives the transition."""
    return transition_of(wildcards).driven_by == "pressure"


def pressing_of(wildcards):
    """The settings of a pressure-driven transition that enthalpies depend on."""
    keys = {"pressures_gpa", "volumes", "tolerance_mev_per_atom"}
    return transition_of(wildcards).model_dump(mode="json", include=keys)


def published_transitions(transition):
    """Published values of a transition as plain data."""
    return [one.model_dump(mode="json") for one in transition.published]


def enthalpies_of_transition(wildcards):
    """The enthalpies of the crystals of a transition by the method, where pressure drives it."""
    if not is_pressed(wildcards):
        return []
    return expand(
        "results/{campaign}/transitions/{method}/{transition}/{structure}.json",
        structure=transition_of(wildcards).structures,
        **wildcards,
    )


def thermodynamics_of_transition(wildcards):
    """The thermodynamics of its crystals by the method, where free energies are compared."""
    transition = transition_of(wildcards)
    if is_pressed(wildcards) and not transition.temperatures_kelvin:
        return []
    return expand(
        "results/{campaign}/thermodynamics/{method}/{structure}.json",
        structure=transition.structures,
        **wildcards,
    )


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


def transition_methods(name, transition):
    """What gives a transition: methods of applications, and fits of generations before."""
    before = transition in campaign(name).transitions_in_loop
    found = methods_of(name, recorded=recorded_suffices(name, transition))
    return found + (methods_before(name) if before else [])


def recorded_suffices(name, transition):
    """Whether recorded data give a transition: one of free energies, at recorded volumes."""
    settings = campaign(name)
    driven_by = settings.transitions[transition].driven_by
    return settings.has_volumes and driven_by == "temperature"


def without_repeats(name, transition):
    """What a transition is computed with, of repeats of a fit the first."""
    leaders = {"reference", *campaign(name).groups}
    found = methods_of(name, recorded=recorded_suffices(name, transition))
    return [one for one in found if one.partition("/")[0] in leaders]


def transition_results(wildcards):
    """The results of one transition, or of all of them, by all methods."""
    name = wildcards.campaign
    one = getattr(wildcards, "transition", None)
    return [
        f"results/{name}/transitions/{method}/{transition}.json"
        for transition in ([one] if one else campaign(name).transitions)
        for method in transition_methods(name, transition)
    ]


# --- the plan ------------------------------------------------------------------------------


def verdict_on(name, generation):
    """The verdict on a generation as plain data, if it is there; the loop is not asked for one."""
    path = Path(f"results/{name}/generations/gen{generation}.json")
    return verdict_in(path) if path.exists() else None


def planned_generations(wildcards):
    """The generations that are known to come: the first, and those that verdicts have asked for."""
    generation = 0
    if campaign(wildcards.campaign).loop is not None:
        while (verdict := verdict_on(wildcards.campaign, generation)) and not verdict[
            "stop"
        ]:
            generation += 1
    return list(range(generation + 1))


def cells_asked_for(wildcards):
    """How many cells of each structure the verdict before has asked for."""
    verdict = verdict_on(wildcards.campaign, int(wildcards.generation) - 1)
    return verdict["next_cells"] if verdict else {}


def there(wildcards, pattern):
    """Of the files of each structure those that exist: path, and when it was made."""
    found = {}
    for structure in campaign(wildcards.campaign).structures:
        path = pattern.format(structure=structure, **wildcards)
        if os.path.exists(path):
            found[structure] = [path, os.path.getmtime(path)]
    return found


def relaxed_crystals(wildcards):
    """The relaxed crystals that exist."""
    return there(wildcards, "results/{campaign}/relaxed/{structure}.extxyz")


def chosen_cells(wildcards):
    """The cells of a later generation, where they were chosen already."""
    if wildcards.generation == "0":
        return {}
    return there(
        wildcards, "results/{campaign}/supercells/gen{generation}/{structure}.extxyz"
    )


def of_planned(pattern):
    """A function for input: ``pattern`` for every generation of the plan."""

    def of(wildcards):
        return expand(
            pattern,
            campaign=wildcards.campaign,
            generation=planned_generations(wildcards),
        )

    return of


def crystals_read(wildcards):
    """The crystals as read from their files, in the order of the campaign.

    In place of a scaled one that from which it will be, of the same size.
    """
    structures = campaign(wildcards.campaign).structures.items()
    return [
        f"results/{wildcards.campaign}/structures/"
        f"{one.scaled.of if one.scaled else name}.extxyz"
        for name, one in structures
    ]


def planned_third_order(wildcards):
    """The number of third-order cells, where a conductivity is asked for."""
    stem = f"results/{wildcards.campaign}/plan/third_order"
    if not campaign(wildcards.campaign).conducting:
        return {}
    return {"third_order": f"{stem}.extxyz", "counts": f"{stem}.json"}


def cores_for_structures(wildcards):
    """A function for threads: a core for each structure, as far as there are."""
    return min(workflow.cores or 1, len(campaign(wildcards.campaign).structures))


def setting_of_structures(wildcards):
    """What crystals are, without what is done with them."""
    return {
        name: one.model_dump(mode="json", exclude=NOT_OF_CELLS)
        for name, one in campaign(wildcards.campaign).structures.items()
    }


def planned_settings(wildcards):
    """All settings that a plan goes by."""
    return campaign(wildcards.campaign).model_dump(
        mode="json", by_alias=True, exclude={"description", "figures"}
    )


def done_already(wildcards):
    """What of the plan exists, as phonsmith.plan.made names it."""
    name, settings = wildcards.campaign, campaign(wildcards.campaign)
    crystals, fits = list(settings.structures), list(settings.fits)
    generations, cells = planned_generations(wildcards), settings.phonons.cells
    methods = ["reference", *(f"{fit}/gen{g}" for fit in fits for g in generations)]
    files = {("isolated atoms",): "labels/isolated_atoms.extxyz"}
    for one in crystals:
        files["relaxation", one] = f"relaxed/{one}.extxyz"
        files["Born charges", one] = f"labels/born/{one}.BORN"
    for method in methods:
        for one in crystals:
            files["thermodynamics", method, one] = f"thermodynamics/{method}/{one}.json"
            files["third order", method, one] = (
                f"conductivity/{method}/{one}/third_order.json"
            )
            for transition in settings.transitions:
                files["enthalpies", method, transition, one] = (
                    f"transitions/{method}/{transition}/{one}.json"
                )
    for one in settings.datasets.databases:
        files["database", one] = f"labels/databases/{one}/train.extxyz"
    for g in generations:
        for one in crystals:
            files["labels", g, one] = f"labels/gen{g}/{one}.extxyz"
        for fit in fits:
            files["fit", g, fit] = f"fits/{fit}/gen{g}/potential.json"
            files["fit errors", g, fit] = f"fits/{fit}/gen{g}/errors.csv"
            for one in crystals:
                files["mechanics", g, fit, one] = (
                    f"benchmarks/{fit}/gen{g}/mechanics/{one}.json"
                )
                for cell in cells:
                    files["phonons", g, fit, cell, one] = (
                        f"phonons/{fit}/gen{g}/{cell}/{one}.json"
                    )
    return [
        "/".join(map(str, key))
        for key, path in files.items()
        if os.path.exists(f"results/{name}/{path}")
    ]


def state_of_store(wildcards):
    """What a plan is made anew for: how many labels the store holds, in a shared one those of all.

    The plan itself asks for the labels of its own cells.
    """
    return sum(1 for _ in Path(label_store(wildcards)).glob("??/[0-9a-f]*.npz"))


def limits_of_site(wildcards):
    """Names of partitions, and the most that a job may have here or on the cluster."""
    here = workflow.global_resources.get("mem_mb")
    return {
        "cpu": SITE.cpu.partition,
        "gpu": SITE.gpu.partition,
        "memory_limit_mb": None if here is None else here.value,
        "max_memory_mb": SITE.max_memory_mb,
        "max_minutes": SITE.max_minutes,
    }


def training_set(wildcards):
    """What the fit learnt from: nothing where it was not trained here."""
    path = "results/{campaign}/datasets/gen{generation}/train.extxyz"
    trained = wildcards.fit in campaign(wildcards.campaign).trained
    return [path.format(**wildcards)] if trained else []


def test_set(wildcards):
    """What no fit learnt from: all labels of the campaign where none is trained.

    For recorded forces those of their crystals: displaced cells are no test of the other fits.
    """
    settings, fit = campaign(wildcards.campaign), fit_of(wildcards)
    if fit.kind == "recorded":
        return labelled(lambda settings: list(fit.files))(wildcards)
    if settings.trained:
        return [
            "results/{campaign}/datasets/gen{generation}/test.extxyz".format(
                **wildcards
            )
        ]
    both = [*databases("train")(wildcards), *databases("test")(wildcards)]
    return labelled(lambda settings: list(settings.structures))(wildcards) + both


def phonons_of_all_fits(name):
    """[structure, fit, cell] of the phonons of every fit."""
    settings = campaign(name)
    return [
        [structure, fit, cell]
        for fit in settings.fits
        for cell in settings.phonons.cells
        for structure in settings.benchmarked
    ]


def spectra_of_all_fits(wildcards):
    """Their files, at the accepted generation."""
    name = wildcards.campaign
    return [
        f"results/{name}/phonons/{fit}/gen{accepted_generation(name)}/{cell}/{structure}.npz"
        for structure, fit, cell in phonons_of_all_fits(name)
    ]


def cell_of_third_order(wildcards):
    """The cell that phono3py takes as primitive; where it is sampled makes no other cells."""
    folded = campaign(wildcards.campaign).conductivity.mesh_of == "unit_folded"
    return "unit_folded" if folded else "primitive"


def records_with_warnings(wildcards):
    """The results of all stages that may hold warnings, see RECORDS."""
    name = wildcards.campaign
    return [
        path.format(accepted=accepted_generation(name))
        for of_stage in RECORDS.values()
        for _, path in of_stage(name)
    ]


def failures_of_databases(wildcards):
    """What was refused of each existing data set."""
    return expand(
        "results/{campaign}/labels/databases/{database}/failures.json",
        campaign=wildcards.campaign,
        database=campaign(wildcards.campaign).datasets.databases,
    )


def last_verdict(wildcards):
    """The verdict with which the loop ends, where there is one."""
    name = wildcards.campaign
    if campaign(name).loop is None:
        return []
    return f"results/{name}/generations/gen{accepted_generation(name)}.json"


def settings_of_warnings(wildcards):
    """The settings that warnings may depend on: the address of a data set is none of them."""
    settings = campaign(wildcards.campaign).as_written()
    settings.pop("figures", None)
    databases = settings.get("datasets", {}).get("databases", {})
    for holder in (settings["reference"], *databases.values()):
        holder.get("source", {}).pop("url", None)
    return settings


def if_fits(path):
    """A function for input: ``path`` where the campaign has fits."""
    return lambda wildcards: (
        path.format(**wildcards) if campaign(wildcards.campaign).fits else []
    )


def if_compared(path):
    """The same where phonons are compared: there are fits, and crystals with phonons."""
    return lambda wildcards: (
        if_fits(path)(wildcards) if campaign(wildcards.campaign).benchmarked else []
    )


def if_with_errors(path):
    """The same where some fit has a table of errors."""
    return lambda wildcards: (
        path.format(**wildcards) if campaign(wildcards.campaign).with_errors else []
    )


def if_tested(path):
    """The same where it has fits with errors on labels."""
    return lambda wildcards: (
        path.format(**wildcards) if campaign(wildcards.campaign).tested else []
    )
