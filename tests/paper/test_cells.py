"""Numbers of cells: the table of the docs, the campaigns, and the papers."""

import re
from pathlib import Path

import pytest
from ase import Atoms

from phonsmith.campaign.data import CampaignData
from phonsmith.campaign.reading import load_campaign
from phonsmith.datasets.sets import split
from phonsmith.paper.reading import load_paper
from phonsmith.running.terminal import campaigns_here
from phonsmith.structures.reading import read_structure
from tests.paper.cells import displaced_cells_of

SLOW = pytest.mark.slow  # supercells of many symmetries take seconds


def campaign_of(repository: Path, name: str) -> CampaignData:
    return load_campaign(repository / f"config/campaigns/{name}.yaml")


def documented(repository: Path) -> dict[str, list[int]]:
    """Displaced and rattled cells of the first and rattled of each further generation."""
    text = (repository / "docs/paper.md").read_text()
    table = text.split("## Numbers of cells")[1].split("##")[0].replace("–", "0")
    rows = re.findall(r"^\| `(\S+)` \| (\d+) \| (\d+) \| (\d+)", table, re.MULTILINE)
    return {name: [int(number) for number in numbers] for name, *numbers in rows}


@pytest.mark.parametrize(
    "name",
    [*(pytest.param(one, marks=SLOW) for one in ("si", "sn", "sn-two", "natl")), "ga2o3", "sb2se3"],
)
def test_the_docs_count_the_cells_of_the_campaigns(repository: Path, name: str) -> None:
    campaign, displaced = campaign_of(repository, name), 0
    for structure, settings in campaign.structures.items():
        # a stand-in for the crystal of the Materials Project
        file = settings.file or "config/structures/foundation/sb2se3.vasp"
        displaced += displaced_cells_of(structure, read_structure(repository / file), campaign)
    rattled = campaign.supercells.rattled.count
    further = campaign.loop.cells_per_structure if campaign.loop else 0
    crystals = len(campaign.structures)
    assert documented(repository)[name] == [displaced, crystals * rattled, crystals * further]


@pytest.mark.parametrize(
    ("name", "published"), [("sn", "cells-sn-seven"), ("sn-two", "cells-sn-two")]
)
def test_generations_of_tin_have_the_cells_of_the_paper(
    repository: Path, name: str, published: str
) -> None:
    """Supporting information, table 4; the isolated atom counts as a training cell."""
    campaign = campaign_of(repository, name)
    assert campaign.loop is not None
    table = load_paper(
        repository / "config/paper.yaml", campaigns_here(repository / "config/campaigns")
    ).published[published]
    first, further = campaign.supercells.rattled.count, campaign.loop.cells_per_structure
    found, rattled = [], first
    for _ in range(campaign.loop.max_generations):
        frames = [frame("Sn", "isolated_atom", 0)]
        for structure in campaign.structures:
            frames += [frame(structure, "displaced", 0)]
            frames += [frame(structure, "rattled", 1 + index) for index in range(rattled)]
        training, test = split(frames, campaign.datasets, campaign.seed)
        found.append([len(training), len(test)])
        rattled += further
    assert found == [values[:2] for values in table.rows.values()]


def frame(structure: str, kind: str, index: int) -> Atoms:
    """A cell of its own geometry."""
    atoms = Atoms("Sn", cell=[5 + index] * 3, pbc=True)
    atoms.info.update(structure=structure, kind=kind, generation=0, index=index)
    return atoms
