"""Checks of everything a campaign names, before any job runs."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.campaign.model import Campaign
from phonsmith.check.crystals import contradictions
from phonsmith.check.made import MADE
from phonsmith.files.errors import PhonsmithError, Problems
from phonsmith.files.problems import listed
from phonsmith.files.settings import Source
from phonsmith.fits.kind import Made
from phonsmith.fits.registry import kind_of, potential_named
from phonsmith.labels.registry import method_kind, potential_of
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.databases.addresses import KEY, fetched_path
from phonsmith.structures.settings import Structure

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy


def _never(file: str) -> bool:
    return False


def check_inputs(
    campaign: Campaign, path: str | Path, mirrors: Sequence[Path], made: Made = _never
) -> dict[str, "Atoms"]:
    """Check that the files which a campaign names exist, are readable, and are sound.

    Crystal files, elements and reference method, model files, BORN files and mirrored files of data
    sets are checked. Nothing is downloaded, loaded as a model, or computed.

    Parameters
    ----------
    campaign
        The campaign.
    path
        Campaign file, for messages.
    mirrors
        Folders with mirrored data sets.
    made
        Function that returns whether a file will be made by the campaign; such files are not
        checked.

    Returns
    -------
    The crystals whose files are here, by id.

    Raises
    ------
    PhonsmithError
        With all faults, one per line: campaign file, key, and what to do.
    """
    problems = Problems()
    reference = campaign.reference
    with problems.of():
        _check_circles(campaign, Path(path).stem)
    in_circles = bool(problems.found)
    crystals = _check_structures(campaign, mirrors, problems)
    elements = {name: set(crystal.symbols) for name, crystal in crystals.items()}
    elements |= _check_compositions(campaign, problems)
    _check_sources(campaign, mirrors, problems)
    with problems.of():
        found = set().union(*elements.values())
        method_kind(reference).check_files(reference, found, campaign.structures)
    if not in_circles:  # what a campaign makes of itself is not there
        _check_models(campaign, made, problems)
    for line in contradictions(campaign, crystals):
        problems.found.append(PhonsmithError(line))
    if not problems.found:  # the elements of a damaged model are unknown
        _check_elements(campaign, elements, problems)
    problems.raise_all(str(path))
    return crystals


def _check_structures(
    campaign: Campaign, mirrors: Sequence[Path], problems: Problems
) -> dict[str, "Atoms"]:
    """Read every crystal file; the crystals whose files are here and readable, by id."""
    from phonsmith.structures.bonds import check_bonds

    crystals: dict[str, Atoms] = {}
    for name, structure in campaign.structures.items():
        with problems.of(f"structures.{name}.{_origin(structure)}"):
            crystal = _crystal_of(structure)
            if crystal is not None:
                crystals[name] = crystal
                check_bonds(crystal, str(structure.file or fetched_path(structure)))
                with problems.of(f"structures.{name}"):
                    _check_size(campaign, name, crystal)
            path = structure.file or fetched_path(structure)
            if path is not None and Path(path).exists():
                with problems.of(f"structures.{name}.magnetic_moments_bohr"):
                    _check_moments(structure, path)
                with problems.of(f"structures.{name}.masses"):
                    _check_masses(structure, path)
        if campaign.conductivity and name in campaign.conducting:
            with problems.of():
                _check_isotopes(campaign, name, mirrors)
        for number, one in enumerate(structure.recorded_volumes):
            with problems.of(f"structures.{name}.recorded_volumes.{number}.file"):
                _check_file(one.file)
        if structure.born:
            with problems.of(f"structures.{name}.born"):
                _check_born(campaign, name, mirrors)
    return crystals


def _check_size(campaign: Campaign, name: str, crystal: "Atoms") -> None:
    """Whether whole unit cells can have a number of atoms within the limits of supercells."""
    settings = campaign.supercells
    free = settings.grid is None and name not in settings.multiples and not campaign.recorded
    if free and not settings.numbers_of_cells(len(crystal)):
        from phonsmith.supercells.cells import supercell_matrix

        supercell_matrix(crystal, settings)  # reports what to change


def _check_compositions(campaign: Campaign, problems: Problems) -> dict[str, set[str]]:
    """The elements of the random cells that runs start from."""
    from phonsmith.structures.elements import known_element

    elements = {}
    for where, runs in campaign.protocol_runs.items():
        found = set(re.findall(r"[A-Z][a-z]?", runs.protocol.typical_cell.composition or ""))
        with problems.of(f"{where}.protocol"):
            if unknown := sorted(symbol for symbol in found if known_element(symbol) is None):
                raise PhonsmithError(
                    f"composition: '{unknown[0]}' is not an element; correct the formula"
                )
            elements[where] = found
    return elements


def _check_file(file: str | None) -> None:
    """Whether a crystal file can be read."""
    if file is not None:
        from phonsmith.structures.reading import read_structure

        read_structure(file)


def _check_masses(structure: Structure, path: str | Path) -> None:
    """Whether the masses that the campaign names are those of the crystal."""
    if structure.masses is not None:
        from phonsmith.structures.reading import read_structure
        from phonsmith.structures.symmetry import own_masses

        own_masses(read_structure(path), structure.masses, str(path))


def _check_moments(structure: Structure, path: str | Path) -> None:
    """Whether the magnetic moments are those of the crystal."""
    if structure.magnetic_moments_bohr is not None:
        from phonsmith.structures.reading import read_structure

        read_structure(path, structure.magnetic_moments_bohr)


def _check_isotopes(campaign: Campaign, name: str, mirrors: Sequence[Path]) -> None:
    """Whether an available crystal has natural masses if natural isotopes are requested."""
    from phonsmith.conductivity.mesh import check_isotopes

    assert campaign.conductivity is not None
    if True not in campaign.conductivity.isotopes:
        return
    try:
        phonon = _symmetric_crystal(campaign, campaign.structures[name], mirrors)
    except PhonsmithError:
        return  # reported for the crystal itself
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
        return  # reported for the crystal itself
    if phonon is not None:
        read_born(file, phonon)


def _symmetric_crystal(
    campaign: Campaign, structure: Structure, mirrors: Sequence[Path]
) -> "Phonopy | None":
    """A crystal that is here, as the reference phonons will have it; None where it is not here."""
    import numpy as np

    from phonsmith.files.phonopy_files import read_phonopy_file
    from phonsmith.files.sources import find_in_mirrors
    from phonsmith.labels.recorded.displacements import crystal_of
    from phonsmith.structures.reading import read_structure
    from phonsmith.structures.symmetry import symmetrized
    from phonsmith.supercells.cells import make_phonopy

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
    potential = potential_of(reference)
    if potential and _made_by(name, [potential.model]):
        raise PhonsmithError(
            "reference.potential.model: a fit of this campaign cannot be its own reference; use a "
            "fit of another campaign"
        )
    for run, driver in _drivers(campaign).items():
        if _made_by(name, [driver.model]):
            raise PhonsmithError(
                f"{run}.model: a fit of this campaign cannot make runs that its fits learn from or "
                "are tested on; use a fit of another campaign"
            )
    begins = {
        fit: _made_by(name, kind_of(one).begins_with(one)) for fit, one in campaign.fits.items()
    }
    for fit, files in begins.items():
        if any(int(file["generation"]) for file in files):
            raise PhonsmithError(
                f"fits.{fit}: cannot start from a model of a later generation of this campaign; "
                "use the model of gen0"
            )
        before = [file["fit"] for file in files if file["fit"]]
        seen: set[str] = set()
        while before:
            if (one := before.pop()) == fit:
                raise PhonsmithError(
                    f"fits.{fit}: starts from a model that is trained from this fit; use another "
                    "model"
                )
            if one not in seen:
                seen.add(one)
                before += [file["fit"] for file in begins.get(one, []) if file["fit"]]


def _drivers(campaign: Campaign) -> dict[str, PotentialSource]:
    """The potentials that make runs in place of the reference method, by key in the file."""
    return {
        f"distillation.{name}.driver": runs.driver
        for name, runs in campaign.distillation.items()
        if runs.driver is not None
    }


def _made_by(name: str, files: Sequence[str | None]) -> list[re.Match[str]]:
    """Those of the files that a campaign makes."""
    found = [MADE.fullmatch(file) for file in files if file]
    return [one for one in found if one and one["campaign"] == name]


def _origin(structure: Structure) -> str:
    """The key that defines the origin of a crystal."""
    keys = ("file", "optimade", "materials_project", "recorded")
    return next((key for key in keys if getattr(structure, key)), "scaled")


def _crystal_of(structure: Structure) -> "Atoms | None":
    """A crystal that is here, given as a file or fetched before; None where it is not here."""
    fetched = fetched_path(structure)
    if fetched and not fetched.exists():
        if structure.materials_project and not os.environ.get(KEY):
            raise PhonsmithError(
                f"to download it, set the environment variable {KEY} to your Materials Project API "
                f"key (see next-gen.materialsproject.org/api); or save the crystal as {fetched}"
            )
        return None
    path = structure.file or fetched
    if path is None:
        return None
    from phonsmith.structures.reading import read_structure

    return read_structure(path)


def _check_elements(campaign: Campaign, elements: dict[str, set[str]], problems: Problems) -> None:
    from phonsmith.potentials.calculators import known_elements

    users = {f"fits.{name}": potential_named(fit) for name, fit in campaign.fits.items()}
    users["reference"] = potential_of(campaign.reference)
    users |= _drivers(campaign)
    for where, potential in users.items():
        if potential is None:
            continue
        with problems.of(where):
            known = known_elements(potential)
            unknown = {} if known is None else {k: one - known for k, one in elements.items()}
            if foreign := [name for name, symbols in unknown.items() if symbols]:
                symbols = ", ".join(sorted(set().union(*unknown.values())))
                raise PhonsmithError(
                    f"{potential.calculator} does not support {symbols} of "
                    f"{'structure' if len(foreign) == 1 else 'structures'} {listed(foreign)}; "
                    "choose another potential or remove the structure"
                )


def _check_models(campaign: Campaign, made: Made, problems: Problems) -> None:
    from phonsmith.potentials.loaded_files import check_named_files

    if potential := potential_of(campaign.reference):
        with problems.of():
            check_named_files(potential, "reference.potential", made)
    for where, driver in _drivers(campaign).items():
        with problems.of():
            check_named_files(driver, where, made)
    for name, fit in campaign.fits.items():
        with problems.of():
            kind_of(fit).check_files(fit, f"fits.{name}", made)


def _check_sources(campaign: Campaign, mirrors: Sequence[Path], problems: Problems) -> None:
    from phonsmith.files.sources import listed

    sources: dict[str, Source] = {
        f"datasets.databases.{name}.source": database.source
        for name, database in campaign.datasets.databases.items()
    }
    sources |= {
        f"fits.{name}.source": source
        for name, fit in campaign.fits.items()
        if (source := kind_of(fit).source(fit))
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
    from phonsmith.files.sources import find_in_mirrors

    if find_in_mirrors(source, file, mirrors) is None and source.url is None:
        raise PhonsmithError(
            f"{file}: not found in any mirror folder, and the source has no `url`; add the folder "
            f"that contains {source.name}/ to `mirrors` in config/config.yaml"
        )
