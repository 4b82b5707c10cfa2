"""Checks of everything a campaign names, before any job runs."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from phonsmith.campaign import Campaign
from phonsmith.crystals import KEY, fetched_path
from phonsmith.errors import PhonsmithError
from phonsmith.recipes import REPLAY_SETS, Foundation
from phonsmith.references import EspressoReference, VaspReference
from phonsmith.settings import PotentialSource, Source, Structure

Made = Callable[[str], bool]
"""Tells of a file whether the pipeline makes it: then it need not be there yet."""


def _never(file: str) -> bool:
    return False


def check_inputs(
    campaign: Campaign, path: str | Path, mirrors: Sequence[Path], made: Made = _never
) -> None:
    """Check the files that a campaign names: there, readable, and sound.

    Looks at crystal files, the elements against the reference method, model files, BORN files and
    the mirrored files of data sets. Downloads nothing, loads no model and computes nothing.

    Raises
    ------
    PhonsmithError
        The first fault: campaign file, key, and what to do.
    """
    try:
        elements = _check_structures(campaign)
        _check_elements(campaign, elements, made)
        if campaign.reference.method == "vasp":
            _check_vasp(campaign, campaign.reference, elements)
        if campaign.reference.method == "espresso":
            _check_espresso(campaign.reference, elements)
        _check_sources(campaign, mirrors)
        for name, fit in campaign.fits.items():
            if fit.kind == "existing":
                _check_model(fit.potential, f"fits.{name}.potential", made)
            elif fit.kind == "mace" and fit.foundation:
                _check_foundation(fit.foundation, f"fits.{name}.foundation", made)
    except PhonsmithError as error:
        raise PhonsmithError(f"{path}: {error}") from None


def _check_structures(campaign: Campaign) -> dict[str, set[str]]:
    """Read every crystal file; the elements of each structure that has one."""
    elements = {}
    for name, structure in campaign.structures.items():
        elements[name] = _elements_of(name, structure)
        if structure.born and not Path(structure.born).is_file():
            raise PhonsmithError(f"structures.{name}.born: no file {structure.born}")
    return elements


def _elements_of(name: str, structure: Structure) -> set[str]:
    """The elements of a crystal that is here, given as a file or fetched before."""
    fetched = fetched_path(structure)
    key = "file" if structure.file else "optimade" if structure.optimade else "materials_project"
    if fetched and not fetched.exists():
        if structure.materials_project and not os.environ.get(KEY):
            raise PhonsmithError(
                f"structures.{name}.{key}: fetching it needs your key of the Materials Project in "
                f"the environment variable {KEY} (next-gen.materialsproject.org/api shows it); or "
                f"put the crystal at {fetched}"
            )
        return set()
    path = structure.file or fetched
    if path is None:
        return set()
    from phonsmith.structures import read_structure

    try:
        return set(read_structure(path).symbols)
    except PhonsmithError as error:
        raise PhonsmithError(f"structures.{name}.{key}: {error}") from None


def _check_elements(campaign: Campaign, elements: dict[str, set[str]], made: Made) -> None:
    from phonsmith.calculators import known_elements

    users = {f"fits.{k}": f.potential for k, f in campaign.fits.items() if f.kind == "existing"}
    if campaign.reference.method == "calculator":
        _check_model(campaign.reference.potential, "reference.potential", made)
        users["reference"] = campaign.reference.potential
    for where, potential in users.items():
        known = known_elements(potential)
        for name, symbols in elements.items():
            if known is not None and not symbols <= known:
                unknown = ", ".join(sorted(symbols - known))
                raise PhonsmithError(
                    f"{where}: {potential.calculator} does not know {unknown} of structure {name}; "
                    "choose another potential or leave the structure out"
                )


def _check_vasp(
    campaign: Campaign, reference: VaspReference, elements: dict[str, set[str]]
) -> None:
    from phonsmith.labels.potcars import potcars_of
    from phonsmith.labels.vasp.inputs import check_spelling

    for name in reference.incar_by_structure:
        if name not in campaign.structures:
            raise PhonsmithError(f"reference.incar_by_structure.{name}: no such structure")
    try:
        check_spelling(reference)
        potcars_of(reference, set().union(*elements.values()))
        potcars_of(reference, reference.potcars)
    except PhonsmithError as error:
        raise PhonsmithError(f"reference.{error}") from None


def _check_espresso(reference: EspressoReference, elements: dict[str, set[str]]) -> None:
    """The pseudopotentials of all elements, and the spelling of further keys."""
    from phonsmith.labels.espresso.inputs import check_spelling
    from phonsmith.labels.pseudopotentials import pseudopotentials_of

    settings = reference.pseudopotentials
    try:
        check_spelling(reference)
        wanted = set(settings.files or ()).union(*elements.values())
        pseudopotentials_of(settings, reference.functional, wanted)
    except PhonsmithError as error:
        raise PhonsmithError(f"reference: {error}") from None


def _check_model(potential: PotentialSource, where: str, made: Made) -> None:
    from phonsmith.calculators import check_model

    if potential.model and made(potential.model):
        return
    try:
        check_model(potential)
    except PhonsmithError as error:
        raise PhonsmithError(f"{where}.model: {error}") from None


def _check_foundation(foundation: Foundation, where: str, made: Made) -> None:
    from phonsmith.pickles import require_known

    model = foundation.file
    if model and not made(model):
        if not Path(model).is_file():
            raise PhonsmithError(f"{where}.model: {model}: no such model file; put it there")
        try:
            require_known(Path(model), foundation.sha256, foundation.trust)
        except PhonsmithError as error:
            raise PhonsmithError(f"{where}.sha256: {error}") from None
    replay = foundation.replay.file if foundation.replay else None
    if replay and replay not in REPLAY_SETS and not made(replay) and not Path(replay).is_file():
        raise PhonsmithError(f"{where}.replay.file: {replay}: no such file")


def _check_sources(campaign: Campaign, mirrors: Sequence[Path]) -> None:
    sources: dict[str, Source] = {
        f"datasets.databases.{name}.source": database.source
        for name, database in campaign.datasets.databases.items()
    }
    if campaign.recorded:
        sources["reference.source"] = campaign.recorded.source
    for where, source in sources.items():
        for file in source.files:
            _check_mirrored(where, source, file, mirrors)


def _check_mirrored(where: str, source: Source, file: str, mirrors: Sequence[Path]) -> None:
    """A file in a mirror has to be the right one; without any, there has to be an address."""
    from phonsmith.sources import find_in_mirrors

    try:
        if find_in_mirrors(source, file, mirrors) is None and source.url is None:
            raise PhonsmithError(
                f"{file} is in no mirror folder and the source has no url; add the folder that "
                f"holds {source.name}/ to mirrors in config/config.yaml"
            )
    except PhonsmithError as error:
        raise PhonsmithError(f"{where}: {error}") from None
