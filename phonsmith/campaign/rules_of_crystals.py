"""Consistency of crystals, their labels and data sets. Each rule yields a line for each problem."""

from collections.abc import Iterator, Sequence

from phonsmith.campaign.data import CampaignData
from phonsmith.files.problems import listed, nearest
from phonsmith.labels.recorded.settings import HOLDS_CRYSTAL, RecordedReference
from phonsmith.labels.reference import MagneticReference
from phonsmith.labels.registry import KINDS, potential_of
from phonsmith.structures.settings import Structure

RESERVED_STRUCTURE_NAMES = {"all"}
MAGNETIC = sorted(
    name for name, kind in KINDS.items() if issubclass(kind.settings, MagneticReference)
)
"""Reference methods that use magnetic moments."""


def structures_and_their_data(campaign: CampaignData) -> Iterator[str]:
    """Crystals exist, their data have a format that the reference reads, and ids are free."""
    computing = [
        campaign.thermodynamics,
        campaign.transitions,
        campaign.conductivity,
        campaign.loop,
    ]
    if not campaign.structures and (not campaign.is_test_alone or any(computing)):
        yield (
            "structures: give at least one crystal, here or in `structures_from`; only errors of "
            "existing fits on datasets.databases can be computed without crystals"
        )
        return
    for name, structure in campaign.structures.items():
        if campaign.recorded:
            yield from _recorded_structure(name, structure, campaign.recorded)
            form = structure.recorded_format or campaign.recorded.format
            if form == "force_constants" and structure.role != "benchmark" and campaign.trained:
                yield (
                    f"structures.{name}.role: force constants contain no labels for training or "
                    "testing; set `role: benchmark`"
                )
        elif structure.recorded or structure.recorded_volumes:
            yield (
                f"structures.{name}.recorded requires `reference: method: recorded`; otherwise "
                "give a crystal `file`"
            )
    for name in RESERVED_STRUCTURE_NAMES & campaign.structures.keys():
        yield f"structures.{name}: reserved name; choose another id"
    if campaign.structures and not campaign.benchmarked:
        yield "structures: at least one crystal needs `role: train` or `role: benchmark`"


def _recorded_structure(
    name: str, structure: Structure, reference: RecordedReference
) -> Iterator[str]:
    if structure.recorded is None:
        yield f"structures.{name}: give `recorded`, since the reference method is `recorded`"
        return
    form = structure.recorded_format or reference.format
    of_phonopy = form in ("force_sets", "force_constants")
    if structure.recorded_supercell and not of_phonopy:
        yield (
            f"structures.{name}.recorded_supercell: {form} data contain the supercell; remove the "
            "key (only force_sets and force_constants use it)"
        )
    where = f"structures.{name}"
    yield from _data(where, form, structure.recorded, structure.file, reference)
    for number, one in enumerate(structure.recorded_volumes):
        where = f"structures.{name}.recorded_volumes.{number}"
        yield from _data(where, form, one.recorded, one.file, reference)
    energies = structure.recorded_energies
    if energies and not reference.source.may_hold(energies):
        yield (
            f"structures.{name}.recorded_energies: '{energies}' is not in reference.source.files"
        )


def _data(
    where: str,
    form: str,
    recorded: str | list[str],
    file: str | None,
    reference: RecordedReference,
) -> Iterator[str]:
    """Whether recorded data come with the crystal's file where they need it, and are named."""
    holds_crystal = form in HOLDS_CRYSTAL
    one_file = holds_crystal or form in ("force_sets", "force_constants")
    if holds_crystal and file:
        yield f"{where}.file: {form} data contain the crystal; remove `file`"
    if one_file and not isinstance(recorded, str):
        yield f"{where}.recorded: must be a single {form} file"
    if not holds_crystal and file is None:
        yield (
            f"{where}.file: {form} data do not contain the crystal; give its `file` (POSCAR, CIF "
            "or extxyz) in addition to `recorded`; for test cells without a crystal use "
            "`test_files` of `datasets.databases`"
        )
    for path in [recorded] if isinstance(recorded, str) else recorded:
        if not reference.source.may_hold(path):
            yield f"{where}.recorded: '{path}' is not in reference.source.files"


def scaled_structures(campaign: CampaignData) -> Iterator[str]:
    """A scaled crystal refers to a crystal that is not scaled itself."""
    for name, structure in campaign.structures.items():
        if structure.scaled is None:
            continue
        if campaign.recorded:
            yield f"structures.{name}.scaled: recorded crystals cannot be rescaled"
            continue
        of = campaign.structures.get(structure.scaled.of)
        if of is None or of.scaled:
            yield (
                f"structures.{name}.scaled.of: '{structure.scaled.of}' must be a crystal of this "
                "campaign that is not scaled "
                f"itself{nearest(structure.scaled.of, campaign.structures)}"
            )


def labelling(campaign: CampaignData) -> Iterator[str]:
    """A job lasts longer than its runs; mechanics requires a calculator."""
    limit = campaign.reference.longest_run_minutes()
    if campaign.labels.runtime_minutes is not None and campaign.labels.runtime_minutes <= limit:
        yield (
            f"labels.runtime_minutes: {campaign.labels.runtime_minutes} must exceed "
            f"reference.time_limit_minutes ({limit:g}), since a job lasts longer than its runs"
        )
    if campaign.benchmarks.mechanics and potential_of(campaign.reference) is None:
        yield "benchmarks.mechanics: requires a calculator as reference; set false"


def magnetic_moments(campaign: CampaignData) -> Iterator[str]:
    """Magnetic moments require a code that uses them, and magnetism requires moments."""
    reference = campaign.reference
    magnetic = isinstance(reference, MagneticReference) and reference.magnetic
    for name, structure in campaign.structures.items():
        if structure.magnetic_moments_bohr is None:
            continue
        key = f"structures.{name}.magnetic_moments_bohr"
        if structure.scaled:
            yield f"{key}: taken from {structure.scaled.of}; give the moments there"
        elif not isinstance(reference, MagneticReference):
            yield (
                f"{key}: not used by the reference method {reference.method}, only by "
                f"{' and '.join(MAGNETIC)}; remove the moments"
            )
        elif not magnetic:
            yield f"{key}: requires reference.magnetism: true"
    if (
        isinstance(reference, MagneticReference)
        and magnetic
        and not any(reference.moments_by_element.values())
    ):
        yield from _all_have_moments(campaign, reference)


def _all_have_moments(campaign: CampaignData, reference: MagneticReference) -> Iterator[str]:
    without = [
        f"structures.{name}"
        for name, one in campaign.structures.items()
        if one.magnetic_moments_bohr is None and not one.scaled
    ]
    without += [
        f"datasets.databases.{name}"
        for name, one in campaign.datasets.databases.items()
        if one.relabel
    ]
    without += [f"distillation.{name}" for name in dict(campaign.driven)]
    if without:
        yield (
            f"reference.magnetism: {listed(without)} would start without moments and remain "
            f"non-magnetic; give reference.{reference.MOMENTS_KEY} by element, or "
            "magnetic_moments_bohr of structures"
        )


def multiples_of_supercells(campaign: CampaignData) -> Iterator[str]:
    """Supercells are of crystals that exist."""
    for name in campaign.supercells.multiples:
        if name not in campaign.structures:
            yield (
                "supercells.multiples: unknown structure "
                f"'{name}'{nearest(name, campaign.structures)}"
            )


def constraints(campaign: CampaignData) -> Iterator[str]:
    """Constraints apply to relaxed crystals that fits learn from."""
    constraints = campaign.datasets.constraints
    if constraints is None:
        return
    for name in [] if constraints.structures == "all" else constraints.structures:
        if name not in campaign.structures:
            yield (
                "datasets.constraints.structures: unknown structure "
                f"'{name}'{nearest(name, campaign.structures)}"
            )
            continue
        if name not in campaign.learnt:
            yield (
                f"datasets.constraints.structures: '{name}' has `role: "
                f"{campaign.structures[name].role}`, so fits must not learn from it"
            )
        if campaign.structures[name].scaled:
            yield (
                f"datasets.constraints.structures: '{name}' is held at fixed volume, so its stress "
                "is not zero"
            )
    if not campaign.recorded and not campaign.relaxation.reference:
        yield (
            "datasets.constraints: zero stress applies only to crystals relaxed by the reference; "
            "set relaxation.reference: true or remove the constraints"
        )


def distillation(campaign: CampaignData) -> Iterator[str]:
    """A potential makes the runs, and they start from crystals of the campaign."""
    teacher = potential_of(campaign.reference)
    for name, made in campaign.distillation.items():
        key = f"distillation.{name}.driver"
        if campaign.recorded:
            yield f"distillation.{name}: recorded data cannot label new cells; remove the section"
        elif made.driver is None and teacher is None:
            yield (
                f"{key}: the reference method {campaign.reference.method} makes no molecular "
                "dynamics; give a potential that does, e.g. `{calculator: gap, model: …}`, or set "
                "`reference: {method: calculator, …}`"
            )
        elif made.driver is not None and made.driver == teacher:
            yield (
                f"{key}: is the reference method itself; remove the key, so that the labels come "
                "from the dynamics"
            )
    taken = {**campaign.structures, **campaign.datasets.databases}
    for name in campaign.distillation:
        if name in taken:
            yield f"distillation.{name}: a structure or database has this name; rename it"
    for where, runs in campaign.protocol_runs.items():
        start = runs.protocol.typical_cell.structure
        if start is not None and start not in campaign.at_rest:
            yield (
                f"{where}.protocol.start.structure: '{start}' is not a compared crystal at rest; "
                f"allowed are {listed(campaign.at_rest)}{nearest(start, campaign.at_rest)}"
            )


def _shared(train: Sequence[str], test: Sequence[str]) -> str:
    """The first file or folder that is, or lies in, a file or folder of the other list."""
    for one in train:
        for other in test:
            inner, outer = sorted((f"{one.rstrip('/')}/", f"{other.rstrip('/')}/"), key=len)[::-1]
            if inner.startswith(outer):
                return inner.rstrip("/")
    return ""


def databases(campaign: CampaignData) -> Iterator[str]:
    """Data sets have files, and the level of theory of the reference."""
    for name, database in campaign.datasets.databases.items():
        if name in campaign.structures:
            yield f"datasets.databases.{name}: a structure has this name; rename the database"
        for file in (*database.train_files, *database.test_files):
            if not database.source.may_hold(file):
                yield (f"datasets.databases.{name}: '{file}' is not in source.files")
        if shared := _shared(database.train_files, database.test_files):
            yield (
                f"datasets.databases.{name}: '{shared}' is in both train_files and test_files; "
                "remove it from one of them"
            )
        if database.relabel and campaign.recorded:
            yield (f"datasets.databases.{name}.relabel: recorded data cannot label new cells")
        if (
            not database.relabel
            and not campaign.datasets.allow_mixed_levels_of_theory
            and database.level_of_theory != campaign.level_of_theory
        ):
            yield (
                f"datasets.databases.{name}: level of theory '{database.level_of_theory}' differs "
                f"from the reference's '{campaign.level_of_theory}'; set `relabel: true`, or "
                "`datasets.allow_mixed_levels_of_theory: true` to mix them"
            )
