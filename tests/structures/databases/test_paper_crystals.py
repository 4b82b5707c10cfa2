"""Crystals of the papers' campaigns that come from the Materials Project, and their cells.

The answers have the form of api.materialsproject.org. Their crystals are stand-ins, as the real
answers need a key: mp-2160 is the project's own stibnite-type crystal; mp-34 is simple hexagonal,
which George et al. (2020) list between mp-168 and mp-571520; mp-644693 and mp-988210 are eight
atoms without symmetry in 174.108 Å³, the size that the Materials Project states for both.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice
from pymatgen.core import Structure as PymatgenStructure
from pymatgen.io.ase import AseAtomsAdaptor

from phonsmith.campaign.reading import load_campaign
from phonsmith.structures.databases.addresses import fetched_path
from phonsmith.structures.databases.fetching import fetch
from phonsmith.structures.reading import read_structure
from tests.paper.cells import displaced_cells_of
from tests.structures.databases.examples import KEY, document, same

VOLUME_ANGSTROM3 = 174.108


def without_symmetry(seed: int) -> PymatgenStructure:
    """Eight silicon atoms at random positions in a triclinic cell."""
    lattice = Lattice.from_parameters(4.9, 5.3, 6.9, 109, 111, 84).scale(VOLUME_ANGSTROM3)
    grid = np.indices((2, 2, 2)).reshape(3, 8).T / 2
    noise = np.random.default_rng(seed).uniform(-0.08, 0.08, (8, 3))
    return PymatgenStructure(lattice, ["Si"] * 8, grid + noise)


@pytest.fixture
def crystals(repository: Path) -> dict[str, PymatgenStructure]:
    sb2se3 = read_structure(repository / "config/structures/foundation/sb2se3.vasp")
    return {
        "mp-2160": AseAtomsAdaptor.get_structure(sb2se3),
        "mp-34": PymatgenStructure(Lattice.hexagonal(2.655, 2.473), ["Si"], [(0, 0, 0)]),
        "mp-644693": without_symmetry(644693),
        "mp-988210": without_symmetry(988210),
    }


@pytest.fixture
def answering(
    server: Any, monkeypatch: pytest.MonkeyPatch, crystals: dict[str, PymatgenStructure]
) -> Any:
    monkeypatch.setenv("MP_API_ENDPOINT", server.url)
    monkeypatch.setenv("MP_API_KEY", KEY)

    def answer(url: Any) -> tuple[int, Any]:
        if url.path == "/heartbeat":
            return 200, {"status": "OK", "db_version": "2025_09_25"}
        found = [
            document(id, crystal, 0.4)
            for id, crystal in crystals.items()
            if f"material_ids={id}&" in f"{url.query}&"
        ]
        return 200, {"data": found, "meta": {"total_doc": len(found), "api_version": "0.84"}}

    server.answer = answer
    return server


@pytest.mark.parametrize(
    ("campaign", "displaced"),
    [
        ("sb2se3", {"mp-2160": 20}),
        # one atom without symmetry: six displacements
        ("si-advanced", {"mp-34": 1, "mp-644693": 48, "mp-988210": 48}),
    ],
)
def test_cells_of_fetched_crystals_are_those_that_the_docs_count(
    answering: Any,
    repository: Path,
    crystals: dict[str, PymatgenStructure],
    campaign: str,
    displaced: dict[str, int],
) -> None:
    settings = load_campaign(repository / f"config/campaigns/{campaign}.yaml")
    assert set(settings.structures) == set(displaced)
    for name, structure in settings.structures.items():
        path = fetched_path(structure)
        assert path is not None
        fetch(path)
        crystal = read_structure(path)
        same(crystal, AseAtomsAdaptor.get_atoms(crystals[name]))
        assert displaced_cells_of(name, crystal, settings) == displaced[name]
