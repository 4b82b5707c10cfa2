"""Checks of everything a campaign names, before any job runs."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.campaign import Campaign
from phonsmith.crystals import KEY, fetched_path
from phonsmith.errors import PhonsmithError, Problems
from phonsmith.problems import listed, nearest
from phonsmith.recipes import Fit, Foundation
from phonsmith.references import EspressoReference, VaspReference
from phonsmith.settings import PotentialSource, Source, Structure

if TYPE_CHECKING:
    from phonopy import Phonopy

MADE = re.compile(
    r"(?P<folder>results/(?P<campaign>[^/]+)/(?:fits/(?P<fit>[^/]+)|datasets)"
    r"/gen(?P<generation>\d+))/(?(fit)model/[^/]+|train\.extxyz)"
)
"""A file that the pipeline makes and a campaign may name: model of a fit, or training set."""

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
        All faults, a line each: campaign file, key, and what to do.
    """
    problems = Problems()
    reference = campaign.reference
    with problems.of():
        _check_circles(campaign, Path(path).stem)
    in_circles = bool(problems.found)
    elements = _check_structures(campaign, mirrors, problems)
    _check_sources(campaign, mirrors, problems)
    if reference.method == "vasp":
        with problems.of():
            _check_vasp(campaign, reference, elements)
    if reference.method == "espresso":
        with problems.of():
            _check_espresso(reference, elements)
    if not in_circles:  # what a campaign makes of itself is not there
        _check_models(campaign, made, problems)
    if not problems.found:  # what a damaged model knows cannot be told
        _check_elements(campaign, elements, problems)
    problems.raise_all(str(path))


def _check_structures(
    campaign: Campaign, mirrors: Sequence[Path], problems: Problems
) -> dict[str, set[str]]:
    """Read every crystal file; the elements of each structure that has one."""
    elements = {}
    for name, structure in campaign.structures.items():
        with problems.of(f"structures.{name}.{_origin(structure)}"):
            elements[name] = _elements_of(structure)
            with problems.of(f"structures.{name}.magnetic_moments_bohr"):
                _check_moments(structure)
            with problems.of(f"structures.{name}.masses"):
                _check_masses(structure)
        if campaign.conductivity and name in campaign.conducting:
            with problems.of():
                _check_isotopes(campaign, name, mirrors)
        for number, one in enumerate(structure.recorded_volumes):
            with problems.of(f"structures.{name}.recorded_volumes.{number}.file"):
                _check_file(one.file)
        if structure.born:
            with problems.of(f"structures.{name}.born"):
                _check_born(campaign, name, mirrors)
    return elements


def _check_file(file: str | None) -> None:
    """Whether a crystal file can be read."""
    if file is not None:
        from phonsmith.structures import read_structure

        read_structure(file)


def _check_masses(structure: Structure) -> None:
    """Whether the masses that the campaign names are those of the crystal, if it is here."""
    path = structure.file or fetched_path(structure)
    if structure.masses is None or path is None or not Path(path).exists():
        return
    from phonsmith.structures import own_masses, read_structure

    own_masses(read_structure(path), structure.masses, str(path))


def _check_moments(structure: Structure) -> None:
    """Whether the magnetic moments are those of the crystal, if it is here."""
    path = structure.file or fetched_path(structure)
    if structure.magnetic_moments_bohr is None or path is None or not Path(path).exists():
        return
    from phonsmith.structures import read_structure

    read_structure(path, structure.magnetic_moments_bohr)


def _check_isotopes(campaign: Campaign, name: str, mirrors: Sequence[Path]) -> None:
    """Whether a crystal that is here has natural masses where natural isotopes are asked for."""
    from phonsmith.conductivity_mesh import check_isotopes

    assert campaign.conductivity is not None
    if True not in campaign.conductivity.isotopes:
        return
    try:
        phonon = _symmetric_crystal(campaign, campaign.structures[name], mirrors)
    except PhonsmithError:
        return  # said of the crystal itself
    if phonon is not None:
        check_isotopes(f"structures.{name}", phonon.unitcell, campaign.conductivity)


def _check_born(campaign: Campaign, name: str, mirrors: Sequence[Path]) -> None:
    """Whether a BORN file has the form, and where the crystal is here, whether it is of that."""
    from phonsmith.labels.born import read_born, read_tensors

    structure = campaign.structures[name]
    file = structure.born or ""
    if not Path(file).is_file():
        raise PhonsmithError(f"no file {file}")
    read_tensors(file)
    try:
        phonon = _symmetric_crystal(campaign, structure, mirrors)
    except PhonsmithError:
        return  # said of the crystal itself
    if phonon is not None:
        read_born(file, phonon)


def _symmetric_crystal(
    campaign: Campaign, structure: Structure, mirrors: Sequence[Path]
) -> "Phonopy | None":
    """A crystal that is here, as the reference phonons will have it; None where it is not here."""
    import numpy as np

    from phonsmith.labels.displacements import crystal_of
    from phonsmith.phonopy_files import read_phonopy_file
    from phonsmith.sources import find_in_mirrors
    from phonsmith.structures import read_structure, symmetrized
    from phonsmith.supercells import make_phonopy

    recorded = campaign.recorded
    if recorded and isinstance(structure.recorded, str) and structure.file is None:
        found = find_in_mirrors(recorded.source, structure.recorded, mirrors)
        form = structure.recorded_format or recorded.format
        third = form == "phono3py"
        return read_phonopy_file(found, third_order=third).phonopy() if found else None
    path = structure.file or fetched_path(structure)
    if path is None or not Path(path).exists():
        return None
    if recorded:
        crystal = crystal_of(path)
    else:
        given = read_structure(path, structure.magnetic_moments_bohr)
        crystal = symmetrized(given, campaign.relaxation.symprec_angstrom)
    return make_phonopy(crystal, np.eye(3, dtype=int))


def _check_circles(campaign: Campaign, name: str) -> None:
    """Whether nothing has to be there before the campaign itself can make it."""
    reference = campaign.reference
    if reference.method == "calculator" and _made_by(name, [reference.potential.model]):
        raise PhonsmithError(
            "reference.potential.model: the fits of this campaign learn from the reference; take a "
            "fit of another campaign"
        )
    begins = {fit: _made_by(name, _begun_with(one)) for fit, one in campaign.fits.items()}
    for fit, files in begins.items():
        if any(int(file["generation"]) for file in files):
            raise PhonsmithError(
                f"fits.{fit}: cannot begin with what this campaign makes in a later generation; "
                "take that of gen0"
            )
        before = [file["fit"] for file in files if file["fit"]]
        seen: set[str] = set()
        while before:
            if (one := before.pop()) == fit:
                raise PhonsmithError(
                    f"fits.{fit}: begins with a model that is made from its own; name another one"
                )
            if one not in seen:
                seen.add(one)
                before += [file["fit"] for file in begins.get(one, []) if file["fit"]]


def _made_by(name: str, files: Sequence[str | None]) -> list[re.Match[str]]:
    """Those of the files that a campaign makes."""
    found = [MADE.fullmatch(file) for file in files if file]
    return [one for one in found if one and one["campaign"] == name]


def _begun_with(fit: Fit) -> list[str | None]:
    """Model and data that a fit begins with, beside the training set."""
    if fit.kind == "existing":
        return [fit.potential.model]
    if fit.kind == "recorded":
        return []
    if fit.kind == "gap" or fit.foundation is None:
        return []
    return [fit.foundation.file, fit.foundation.replay.file if fit.foundation.replay else None]


def _origin(structure: Structure) -> str:
    """The key that says where a crystal comes from."""
    keys = ("file", "optimade", "materials_project", "recorded")
    return next((key for key in keys if getattr(structure, key)), "scaled")


def _elements_of(structure: Structure) -> set[str]:
    """The elements of a crystal that is here, given as a file or fetched before."""
    fetched = fetched_path(structure)
    if fetched and not fetched.exists():
        if structure.materials_project and not os.environ.get(KEY):
            raise PhonsmithError(
                "fetching it needs your key of the Materials Project in the environment variable "
                f"{KEY} (next-gen.materialsproject.org/api shows it); or put the crystal at "
                f"{fetched}"
            )
        return set()
    path = structure.file or fetched
    if path is None:
        return set()
    from phonsmith.structures import read_structure

    return set(read_structure(path).symbols)


def _check_elements(campaign: Campaign, elements: dict[str, set[str]], problems: Problems) -> None:
    from phonsmith.calculators import known_elements

    users = {f"fits.{k}": f.potential for k, f in campaign.fits.items() if f.kind == "existing"}
    if campaign.reference.method == "calculator":
        users["reference"] = campaign.reference.potential
    for where, potential in users.items():
        with problems.of(where):
            known = known_elements(potential)
            unknown = {} if known is None else {k: one - known for k, one in elements.items()}
            if foreign := [name for name, symbols in unknown.items() if symbols]:
                symbols = ", ".join(sorted(set().union(*unknown.values())))
                raise PhonsmithError(
                    f"{potential.calculator} does not know {symbols} of "
                    f"{'structure' if len(foreign) == 1 else 'structures'} {listed(foreign)}; "
                    "choose another potential or leave the structure out"
                )


def _check_vasp(
    campaign: Campaign, reference: VaspReference, elements: dict[str, set[str]]
) -> None:
    from phonsmith.labels.potcars import potcars_of
    from phonsmith.labels.vasp.inputs import check_spelling

    for name in reference.incar_by_structure:
        if name not in campaign.structures:
            raise PhonsmithError(
                f"reference.incar_by_structure.{name}: no such structure"
                f"{nearest(name, campaign.structures)}"
            )
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


def _check_models(campaign: Campaign, made: Made, problems: Problems) -> None:
    if campaign.reference.method == "calculator":
        with problems.of():
            _check_model(campaign.reference.potential, "reference.potential", made)
    for name, fit in campaign.fits.items():
        with problems.of():
            if fit.kind == "existing":
                _check_model(fit.potential, f"fits.{name}.potential", made)
            elif fit.kind == "mace" and fit.foundation:
                _check_foundation(fit.foundation, f"fits.{name}.foundation", made)


def _check_model(potential: PotentialSource, where: str, made: Made) -> None:
    from phonsmith.potential_files import check_arguments, check_model

    try:
        check_arguments(potential)
    except PhonsmithError as error:
        raise PhonsmithError(f"{where}.arguments: {error}") from None
    if potential.model and made(potential.model):
        return
    try:
        check_model(potential)
    except PhonsmithError as error:
        raise PhonsmithError(f"{where}.model: {error}") from None


def _check_foundation(foundation: Foundation, where: str, made: Made) -> None:
    from phonsmith.pickles import check_torch_file, require_known

    model = foundation.file
    if model and not made(model):
        if not Path(model).is_file():
            raise PhonsmithError(f"{where}.model: {model}: no such model file; put it there")
        try:
            require_known(Path(model), foundation.sha256, foundation.trust)
        except PhonsmithError as error:
            raise PhonsmithError(f"{where}.sha256: {error}") from None
        try:
            check_torch_file(Path(model))
        except PhonsmithError as error:
            raise PhonsmithError(f"{where}.model: {error}") from None
    replay = foundation.replay.file if foundation.replay else None
    if replay and not made(replay) and not Path(replay).is_file():
        raise PhonsmithError(f"{where}.replay.file: {replay}: no such file")


def _check_sources(campaign: Campaign, mirrors: Sequence[Path], problems: Problems) -> None:
    from phonsmith.sources import listed

    sources: dict[str, Source] = {
        f"datasets.databases.{name}.source": database.source
        for name, database in campaign.datasets.databases.items()
    }
    sources |= {
        f"fits.{name}.source": fit.source
        for name, fit in campaign.fits.items()
        if fit.kind == "recorded"
    }
    if campaign.recorded:
        sources["reference.source"] = campaign.recorded.source
    for where, source in sources.items():
        files: list[str] = []
        with problems.of(where):
            files = listed(source)
        for file in files:
            with problems.of(where):
                _check_mirrored(source, file, mirrors)


def _check_mirrored(source: Source, file: str, mirrors: Sequence[Path]) -> None:
    """A file in a mirror has to be the right one; without any, there has to be an address."""
    from phonsmith.sources import find_in_mirrors

    if find_in_mirrors(source, file, mirrors) is None and source.url is None:
        raise PhonsmithError(
            f"{file} is in no mirror folder and the source has no url; add the folder that "
            f"holds {source.name}/ to mirrors in config/config.yaml"
        )
