"""Crystals of public databases: the Materials Project, and all of OPTIMADE.

A crystal is fetched once, into a small file under ``config/structures/fetched/`` that holds its
origin. Databases change; commit these files to keep the campaign reproducible. No file is
overwritten: delete it to fetch the crystal again."""

from pathlib import Path

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.databases.addresses import structure_at


def fetch(path: str | Path) -> None:
    """Fetch the crystal that belongs at ``path`` from its database, and write it.

    Raises
    ------
    PhonsmithError
        No key, no network, an unknown or deprecated id, or an entry that is not an ordered crystal.
    """
    from phonsmith.structures.databases import materials_project, optimade

    structure = structure_at(path)
    if structure.materials_project:
        entry = materials_project.entry(structure.materials_project)
    elif structure.optimade:
        one = structure.optimade
        entry = optimade.entry(optimade.address_of(one), one.id)
    else:
        raise PhonsmithError(f"{path}: not a crystal file of a database")
    entry.save(path)
    print(f"{path}: {entry.in_words()}", flush=True)
