"""Where crystals of public databases are kept in a project.

A crystal is fetched once, into a small file under ``config/structures/fetched/`` that holds its
origin. Planning imports this module: it is light."""

from pathlib import Path
from urllib.parse import quote, unquote

from phonsmith.structures.settings import OptimadeEntry, Structure

FETCHED = "config/structures/fetched"

MATERIALS_PROJECT = "materials_project"

KEY = "MP_API_KEY"
"""Environment variable with the user's key of the Materials Project."""


def fetched_path(structure: Structure) -> Path | None:
    """Return the file of a crystal from a database; None for crystals from elsewhere.

    ``{FETCHED}/{database}/{id}.extxyz``, where the database is ``materials_project``, a provider of
    OPTIMADE, or an address. The latter and ids are percent-encoded, so that the path is unique.
    """
    if structure.materials_project:
        return path_of(MATERIALS_PROJECT, structure.materials_project)
    if structure.optimade:
        one = structure.optimade
        return path_of(one.provider or one.base_url or "", one.id)
    return None


def path_of(database: str, entry: str) -> Path:
    """Return the path of a fetched entry from the name or address of the database and the id."""
    return Path(FETCHED) / quote(database, safe="") / f"{quote(entry, safe='')}.extxyz"


def structure_at(path: str | Path) -> Structure:
    """Return the setting that gives the file at ``path``: the inverse of :func:`fetched_path`."""
    database, entry = unquote(Path(path).parent.name), unquote(Path(path).stem)
    if database == MATERIALS_PROJECT:
        return Structure(materials_project=entry)
    if "://" in database:
        return Structure(optimade=OptimadeEntry(base_url=database, id=entry))
    return Structure(optimade=OptimadeEntry(provider=database, id=entry))
