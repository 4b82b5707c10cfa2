"""Crystals of databases."""

import json
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure as PymatgenStructure
from pymatgen.io.ase import AseAtomsAdaptor

KEY = "k" * 32
HULL = "_exmpl_hull"

GALLIA = Atoms(  # triclinic on purpose, elements in no order
    "OGaOGaO",
    scaled_positions=[
        (0, 0, 0),
        (0.31, 0.47, 0.2),
        (0.6, 0.1, 0.7),
        (0.8, 0.8, 0.4),
        (0.2, 0.9, 0.6),
    ],
    cell=[(5.1, 0, 0), (0.7, 4.9, 0), (0.3, -0.6, 5.3)],
    pbc=True,
)


def resource(id: str, atoms: Atoms, **attributes: Any) -> dict[str, Any]:
    """An entry as the OPTIMADE consortium's own converter makes it of a crystal."""
    from optimade.adapters.structures.ase import from_ase_atoms

    made = json.loads(from_ase_atoms(atoms).model_dump_json())
    made |= {"last_modified": "2025-01-02T03:04:05Z", **attributes}
    return {"type": "structures", "id": id, "attributes": made}


def silicon(a: float = 5.43) -> Atoms:
    return bulk("Si", "diamond", a)


MIXED = [{"name": "Si", "chemical_symbols": ["Si", "Ge"], "concentration": [0.5, 0.5]}]
RENAMED = [{"name": "left", "chemical_symbols": ["Si"], "concentration": [1.0]}]


def same(found: Atoms, original: Atoms) -> None:
    """The crystals are one: by pymatgen's matcher, in size, and atom by atom in element."""
    pair = [AseAtomsAdaptor.get_structure(one) for one in (found, original)]
    assert StructureMatcher(primitive_cell=False, scale=False).fit(*pair)
    assert found.get_volume() / len(found) == pytest.approx(
        original.get_volume() / len(original), abs=1e-6
    )
    assert found.get_chemical_symbols() == original.get_chemical_symbols()


def bare(**changes: Any) -> dict[str, Any]:
    """A response with nothing but what has to be there."""
    made = resource("x", silicon())["attributes"]
    keys = (
        *("lattice_vectors", "cartesian_site_positions", "species_at_sites", "species"),
        "dimension_types",
    )
    attributes = {key: made[key] for key in keys} | changes
    return {"data": {"id": "x", "type": "structures", "attributes": attributes}, "meta": {}}


def document(id: str, structure: PymatgenStructure, hull: float, **more: Any) -> dict[str, Any]:
    """A document of materials/summary as api.materialsproject.org gives it."""
    return {
        "material_id": id,
        "structure": structure.as_dict(),
        "energy_above_hull": hull,
        "deprecated": False,
        "deprecation_reasons": None,
        **more,
    }


# mp-149 as the interface gave it in October 2022
MP_149 = PymatgenStructure(
    [(0.0, 2.73436, 2.73436), (2.73436, 0.0, 2.73436), (2.73436, 2.73436, 0.0)],
    ["Si", "Si"],
    [(0.25, 0.25, 0.25), (0.0, 0.0, 0.0)],
    site_properties={"magmom": [0.0, 0.0]},
)
