"""Crystals of any database that speaks OPTIMADE (https://www.optimade.org).

Only fields that define a crystal are requested and read, following the specification (version 1):
databases that are strict in these few fields and sloppy in others are served as well.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode, urljoin

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, chemical_symbols

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import opened
from phonsmith.structures.databases.entries import Entry, Origin, today
from phonsmith.structures.elements import ISOTOPES_U, Element, element_of
from phonsmith.structures.settings import OptimadeEntry

HULL_KEYS = {
    "oqmd": "_oqmd_stability",
    "alexandria": "_alexandria_hull_distance",
    "alexandria.pbe": "_alexandria_hull_distance",
    "alexandria.pbesol": "_alexandria_hull_distance",
    "jarvis": "_jarvis_ehull",
}
"""The field with the energy above the hull (eV/atom); OPTIMADE itself has none."""

_FIELDS = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "dimension_types",
    "nperiodic_dimensions",
    "structure_features",
    "last_modified",
)
_UNFIT = {
    "disorder": "has partially occupied sites",
    "implicit_atoms": "has atoms without positions",
    "site_attachments": "has atoms attached to sites without positions",
    "assemblies": "has alternative sites (assemblies)",
}
_MOST_PAGES = 1000
_MOST_BYTES = 200_000_000
_ISOTOPE = 0.01  # relative change of a mass that is an isotope's, not another table's


def address_of(one: OptimadeEntry) -> str:
    """Base address of the database of an entry.

    Raises
    ------
    PhonsmithError
        pymatgen knows no provider of this name.
    """
    if one.base_url:
        return one.base_url
    from pymatgen.ext.optimade import OptimadeRester

    known = OptimadeRester.aliases
    if one.provider not in known:
        raise PhonsmithError(
            f"optimade: unknown provider '{one.provider}'; give one of {', '.join(sorted(known))}, "
            "or the `base_url` of the database"
        )
    return str(known[one.provider])


def entry(base_url: str, id: str, hull_key: str | None = None) -> Entry:
    """Fetch one crystal by its id.

    Parameters
    ----------
    base_url
        Base URL of the OPTIMADE provider.
    id
        Id of the entry.
    hull_key
        Field of the provider that holds the energy above the hull; None if it has no such field.

    Raises
    ------
    PhonsmithError
        No network, an error of the server, an unknown id, or no ordered crystal periodic in three
        directions.
    """
    url = f"{_versioned(base_url)}/structures/{quote(id, safe='')}?{_fields(hull_key)}"
    try:
        answer = _ask(url)
    except PhonsmithError as error:
        if ": 404 " not in str(error):
            raise
        answer = {"data": None}
    data = answer.get("data")
    if isinstance(data, list):  # some servers answer with a list of one
        data = data[0] if data else None
    if data is None:
        raise PhonsmithError(f"{base_url}: no entry '{id}'; check the id")
    return _entry(data, answer, base_url, hull_key)


def entries(
    base_url: str, chemical_system: str, hull_key: str | None = None
) -> Iterator[Entry | PhonsmithError]:
    """Fetch all entries of a chemical system, page by page.

    An entry that is not an ordered crystal is yielded as an error with the reason.

    Parameters
    ----------
    base_url
        Base URL of the OPTIMADE provider.
    chemical_system
        Elements joined by hyphens: ``Si``, ``Ga-O``.
    hull_key
        Field of the provider that holds the energy above the hull; None if it has no such field.

    Raises
    ------
    PhonsmithError
        No network, or an error of the server.
    """
    elements = sorted(chemical_system.split("-"))
    named = ", ".join(f'"{one}"' for one in elements)
    wanted = f"elements HAS ALL {named} AND nelements={len(elements)}"
    query = urlencode({"filter": wanted})
    url: str | None = f"{_versioned(base_url)}/structures?{query}&{_fields(hull_key)}"
    seen: set[str] = set()
    while url is not None:
        if url in seen or len(seen) == _MOST_PAGES:
            raise PhonsmithError(
                f"{base_url}: endless pages; report this to the database's maintainers"
            )
        seen.add(url)
        answer = _ask(url)
        for data in answer.get("data") or []:
            try:
                yield _entry(data, answer, base_url, hull_key)
            except PhonsmithError as error:
                yield error
        url = _next(answer, url)


def _versioned(base_url: str) -> str:
    base = base_url.rstrip("/")
    return base if re.search(r"/v\d+(\.\d+)*$", base) else f"{base}/v1"


def _fields(hull_key: str | None) -> str:
    fields = [*_FIELDS, *([hull_key] if hull_key else [])]
    return urlencode({"response_fields": ",".join(fields)})


def _ask(url: str) -> dict[str, Any]:
    with opened(
        url, "check the address and the network, or give the crystal as a `file`"
    ) as stream:
        text = stream.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise PhonsmithError(f"{url}: endless response; give the crystal as a `file`")
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "data" not in answer:
        raise PhonsmithError(f"{url}: not an OPTIMADE response; check the address")
    return answer


def _next(answer: dict[str, Any], url: str) -> str | None:
    """Address of the next page: a text, or an object that holds it."""
    link = (answer.get("links") or {}).get("next")
    if isinstance(link, dict):
        link = link.get("href")
    address = urljoin(url, str(link)) if link else None
    if address and not address.startswith(("http://", "https://")):
        raise PhonsmithError(f"{url}: the next page is not a web address ({address})")
    return address


# --- reading ---------------------------------------------------------------------------------


def _entry(
    data: dict[str, Any], answer: dict[str, Any], base_url: str, hull_key: str | None
) -> Entry:
    try:
        return _read_entry(data, answer, base_url, hull_key)
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        id = str(data.get("id", "")) if isinstance(data, dict) else ""
        reason = " ".join(str(error).split())[:100]
        raise PhonsmithError(
            f"{base_url}: {id}: not a valid OPTIMADE response ({reason}); give a `file`"
        ) from None


def _read_entry(
    data: dict[str, Any], answer: dict[str, Any], base_url: str, hull_key: str | None
) -> Entry:
    id = str(data.get("id", ""))
    attributes = data.get("attributes") or {}
    url = f"{_versioned(base_url)}/structures/{quote(id, safe='')}"
    atoms = _atoms(attributes, f"{base_url}: {id}")
    database = (answer.get("meta") or {}).get("database") or {}
    hull = attributes.get(hull_key) if hull_key else None
    origin = Origin(
        database=base_url,
        entry=id,
        url=url,
        fetched=today(),
        database_version=str(database.get("version") or attributes.get("last_modified") or ""),
        energy_above_hull_ev_per_atom=None if hull is None else float(hull),
    )
    return Entry.checked(atoms, origin)


def _atoms(attributes: dict[str, Any], where: str) -> Atoms:
    for feature in attributes.get("structure_features") or []:
        if feature in _UNFIT:
            raise PhonsmithError(f"{where}: {_UNFIT[feature]}; give an ordered crystal")
    types = attributes.get("dimension_types")
    periodic = sum(types) if types else attributes.get("nperiodic_dimensions")
    if periodic is None:
        raise PhonsmithError(f"{where}: the response lacks dimension_types; give a `file`")
    if periodic != 3:
        raise PhonsmithError(
            f"{where}: is periodic in {periodic} of 3 directions; give a bulk crystal"
        )
    for key in ("lattice_vectors", "cartesian_site_positions", "species_at_sites"):
        if not attributes.get(key):
            raise PhonsmithError(f"{where}: the response lacks {key}; give a `file`")
    elements = _elements(attributes, where)
    try:
        cell = np.array(attributes["lattice_vectors"], dtype=float)
        positions = np.array(attributes["cartesian_site_positions"], dtype=float)
        atoms = Atoms([one.number for one in elements], positions=positions, cell=cell, pbc=True)
    except (TypeError, ValueError):
        raise PhonsmithError(
            f"{where}: lattice_vectors and cartesian_site_positions do not match {len(elements)} "
            "atoms; give a `file`"
        ) from None
    if any(one.mass for one in elements):
        atoms.set_masses([one.mass for one in elements])  # None: the element's own
    return atoms


def _elements(attributes: dict[str, Any], where: str) -> list[Element]:
    """Element of every site; names of species are free in OPTIMADE and refer to elements."""
    sites = [str(name) for name in attributes["species_at_sites"]]
    species = {name: {"chemical_symbols": [name]} for name in sites}
    species |= {str(one.get("name")): one for one in attributes.get("species") or []}
    found = {name: _element_of_species(one, where) for name, one in species.items()}
    return [found[name] for name in sites]


def _element_of_species(species: dict[str, Any], where: str) -> Element:
    symbols, shares = species.get("chemical_symbols") or [], species.get("concentration") or [1.0]
    if len(symbols) != 1 or abs(float(shares[0]) - 1) > 1e-3 or species.get("attached"):
        raise PhonsmithError(f"{where}: has partially occupied sites; give an ordered crystal")
    symbol = str(symbols[0])
    if symbol not in chemical_symbols[1:] and symbol not in ISOTOPES_U:
        raise PhonsmithError(
            f"{where}: '{symbol}' is not an element; choose an entry without vacancies and dummy "
            "atoms, or give a `file`"
        )
    element = element_of(symbol, where)
    given: Any = species.get("mass")
    if not given or element.mass is not None:
        return element
    mass = float(given[0] if isinstance(given, list) else given)
    isotope = abs(mass / float(atomic_masses[element.number]) - 1) > _ISOTOPE
    return Element(element.number, mass) if isotope else element
