"""Crystals of the Materials Project, through pymatgen's client of its web interface.

pymatgen's client rather than mp-api: both query one API, and mp-api needs boto3, whose dependency
python-dateutil < 3 excludes the one that is pinned here, pyarrow and deltalake.
"""

import os
from typing import TYPE_CHECKING, Any

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.databases.addresses import KEY, MATERIALS_PROJECT
from phonsmith.structures.databases.entries import Entry, Origin, today
from phonsmith.structures.elements import element_of

if TYPE_CHECKING:
    from ase import Atoms

ENDPOINT = "https://api.materialsproject.org/"
_FIELDS = ["material_id", "structure", "energy_above_hull", "deprecated", "deprecation_reasons"]


def entry(material_id: str) -> Entry:
    """Return one crystal by its id.

    Raises
    ------
    PhonsmithError
        No or a wrong key, no network, an id that is unknown, deprecated or was renamed.
    """
    with _client() as client:
        documents = _ask(client, "summary", material_ids=material_id, _fields=_FIELDS)
        if not documents:
            raise PhonsmithError(_why_unknown(client, material_id))
        document = documents[0]
        if document.get("deprecated"):
            reasons = ", ".join(document.get("deprecation_reasons") or []) or "no reason given"
            raise PhonsmithError(
                f"Materials Project: {material_id} is deprecated ({reasons}); choose another entry "
                "or give the crystal as a `file`"
            )
        return _entry(document, _version(client))


def entries(chemical_systems: list[str]) -> list[Entry | PhonsmithError]:
    """Return all crystals of chemical systems (``Si``, ``Ga-O``) that are not deprecated.

    An entry that is not an ordered crystal is returned as an error with the reason.

    Raises
    ------
    PhonsmithError
        A missing or wrong key, no network, or no such crystals.
    """
    with _client() as client:
        systems = ["-".join(sorted(one.split("-"))) for one in chemical_systems]
        documents = _ask(client, "summary", chemsys=systems, deprecated=False, _fields=_FIELDS)
        if not documents:
            raise PhonsmithError(f"Materials Project: no crystals of {', '.join(systems)}")
        version = _version(client)
    return [_entry_or_why_not(one, version) for one in documents]


def _entry_or_why_not(document: dict[str, Any], version: str) -> Entry | PhonsmithError:
    try:
        return _entry(document, version)
    except PhonsmithError as error:
        return error


def _client() -> Any:
    from pymatgen.ext.matproj import MPRester

    key = os.environ.get(KEY, "").strip()
    if not key:
        raise PhonsmithError(
            f"Materials Project: no API key; set the environment variable {KEY} to your key (see "
            "next-gen.materialsproject.org/api, after login)"
        )
    try:
        client = MPRester(key)
    except ValueError:
        raise PhonsmithError(
            f"Materials Project: {KEY} is not an API key (32 letters and digits); copy it from "
            "next-gen.materialsproject.org/api"
        ) from None
    client.preamble = os.environ.get("MP_API_ENDPOINT", ENDPOINT).rstrip("/") + "/"
    return client


def _ask(client: Any, collection: str, **criteria: Any) -> list[dict[str, Any]]:
    from pymatgen.ext.matproj import MPRestError
    from requests import RequestException

    try:
        documents: list[dict[str, Any]] = client.search(collection, **criteria)
    except MPRestError as error:
        said = " ".join(str(error).split())[:200]
        if isinstance(error.__context__, RequestException):
            reason = type(error.__context__).__name__
            remedy = "check the network, or save the crystal file there yourself"
            raise PhonsmithError(
                f"{client.preamble}: cannot be reached ({reason}); {remedy}"
            ) from None
        if "status code 401" in said or "status code 403" in said:
            raise PhonsmithError(
                f"{client.preamble}: the key in {KEY} is refused; copy it again from "
                "next-gen.materialsproject.org/api"
            ) from None
        raise PhonsmithError(f"{client.preamble}: {said}; try again later") from None
    return documents


def _why_unknown(client: Any, material_id: str) -> str:
    """A removed id may have become a calculation of another material."""
    found = _ask(client, "core", task_ids=material_id, _fields=["material_id"])
    others = sorted({str(one["material_id"]) for one in found} - {material_id})
    if others:
        return f"Materials Project: {material_id} is now {others[0]}; use this id"
    return (
        f"Materials Project: unknown entry {material_id}; search for the crystal on "
        "next-gen.materialsproject.org"
    )


def _version(client: Any) -> str:
    """Version of the database, a date; empty if unknown."""
    from requests import RequestException

    try:
        answer = client.session.get(client.preamble + "heartbeat", timeout=60)
        return str(answer.json().get("db_version") or "")
    except (RequestException, ValueError, AttributeError):
        return ""


def _entry(document: dict[str, Any], version: str) -> Entry:
    name = str(document.get("material_id", ""))
    origin = Origin(
        database=MATERIALS_PROJECT,
        entry=name,
        url=f"https://next-gen.materialsproject.org/materials/{name}",
        fetched=today(),
        database_version=version,
        energy_above_hull_ev_per_atom=document.get("energy_above_hull"),
    )
    return Entry.checked(_atoms(document, name), origin)


def _atoms(document: dict[str, Any], name: str) -> "Atoms":
    from ase import Atoms

    structure = document.get("structure")
    if structure is None:
        raise PhonsmithError(
            f"Materials Project: the response has no structure of {name}; give the crystal as a "
            "`file`"
        )
    if not structure.is_ordered:
        raise PhonsmithError(f"{name}: has partially occupied sites; give an ordered crystal")
    elements = [element_of(site.specie.symbol, f"Materials Project: {name}") for site in structure]
    atoms = Atoms(
        [one.number for one in elements],
        positions=structure.cart_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )
    if any(one.mass for one in elements):
        atoms.set_masses([one.mass for one in elements])  # None: the element's own
    return atoms
