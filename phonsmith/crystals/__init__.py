"""Crystals from files and from public databases: the Materials Project, and all of OPTIMADE.

The readers of files (``cif``, ``poscar``, ``extended_xyz``) are called by
:func:`phonsmith.structures.read_structure`. A crystal of a database is fetched once, into a small
file under ``config/structures/fetched/`` that says where it comes from. Databases move on; commit
these files, and the campaign stays what it is. Nothing here overwrites a file that is there: delete
it to fetch the crystal again.

This page of the package is light, since planning imports it.
"""

from pathlib import Path
from urllib.parse import quote, unquote

from phonsmith.errors import PhonsmithError
from phonsmith.settings import OptimadeEntry, Structure

FETCHED = "config/structures/fetched"
MATERIALS_PROJECT = "materials_project"
KEY = "MP_API_KEY"
"""Environment variable with the user's key of the Materials Project."""


def fetched_path(structure: Structure) -> Path | None:
    """File of a crystal from a database; None for crystals from elsewhere.

    ``{FETCHED}/{database}/{id}.extxyz``, where the database is ``materials_project``, a provider of
    OPTIMADE, or an address. The latter and ids are percent-encoded, so that the path tells all.
    """
    if structure.materials_project:
        return path_of(MATERIALS_PROJECT, structure.materials_project)
    if structure.optimade:
        one = structure.optimade
        return path_of(one.provider or one.base_url or "", one.id)
    return None


def path_of(database: str, entry: str) -> Path:
    """The same from the name or address of the database and the id."""
    return Path(FETCHED) / quote(database, safe="") / f"{quote(entry, safe='')}.extxyz"


def structure_at(path: str | Path) -> Structure:
    """What a campaign says to get the file at ``path``: the inverse of :func:`fetched_path`."""
    database, entry = unquote(Path(path).parent.name), unquote(Path(path).stem)
    if database == MATERIALS_PROJECT:
        return Structure(materials_project=entry)
    if "://" in database:
        return Structure(optimade=OptimadeEntry(base_url=database, id=entry))
    return Structure(optimade=OptimadeEntry(provider=database, id=entry))


def fetch(path: str | Path) -> None:
    """Fetch the crystal that belongs at ``path`` from its database, and write it.

    Raises
    ------
    PhonsmithError
        No key, no network, an id that is unknown or deprecated, or what came is no ordered crystal.
    """
    from phonsmith.crystals import materials_project, optimade

    structure = structure_at(path)
    if structure.materials_project:
        entry = materials_project.entry(structure.materials_project)
    elif structure.optimade:
        one = structure.optimade
        entry = optimade.entry(optimade.address_of(one), one.id)
    else:
        raise PhonsmithError(f"{path}: not the file of a crystal from a database")
    entry.save(path)
    print(f"{path}: {entry.in_words()}", flush=True)
