"""Checks of everything a campaign names, before any job runs."""

from collections.abc import Sequence
from pathlib import Path

from phonsmith.campaign import Campaign
from phonsmith.errors import PhonsmithError
from phonsmith.settings import PotentialSource, Source, Structure


def check_inputs(campaign: Campaign, path: str | Path, mirrors: Sequence[Path]) -> None:
    """Check the files that a campaign names: there, readable, and sound.

    Looks at crystal files, the elements against the reference method, model files, BORN files and
    the mirrored files of data sets. Downloads nothing and computes nothing.

    Raises
    ------
    PhonsmithError
        The first fault: campaign file, key, and what to do.
    """
    try:
        elements = _check_structures(campaign)
        _check_elements(campaign, elements)
        _check_sources(campaign, mirrors)
        for name, fit in campaign.fits.items():
            if fit.kind == "existing":
                _check_model(fit.potential, f"fits.{name}.potential")
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
    if structure.file is None:
        return set()
    from phonsmith.structures import read_structure

    try:
        return set(read_structure(Path(structure.file)).symbols)
    except PhonsmithError as error:
        raise PhonsmithError(f"structures.{name}.file: {error}") from None


def _check_elements(campaign: Campaign, elements: dict[str, set[str]]) -> None:
    from phonsmith.calculators import known_elements

    users = {f"fits.{k}": f.potential for k, f in campaign.fits.items() if f.kind == "existing"}
    if campaign.reference.method == "calculator":
        _check_model(campaign.reference.potential, "reference.potential")
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


def _check_model(potential: PotentialSource, where: str) -> None:
    from phonsmith.calculators import check_model

    try:
        check_model(potential)
    except PhonsmithError as error:
        raise PhonsmithError(f"{where}.model: {error}") from None


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
