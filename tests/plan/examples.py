"""Campaigns and cells of plans."""

from phonsmith.campaign.model import Campaign
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.plan.inputs import Cells
from phonsmith.supercells.making import make_supercells
from tests.campaigns import TINY


def espresso(folder, **settings) -> EspressoReference:
    files = {element: f"{element}.UPF" for element in ("Si", "O")}
    content = {
        "method": "espresso",
        "pseudopotentials": {"folder": str(folder), "files": files},
        "ecutwfc_ry": 30,
    }
    return EspressoReference.model_validate(content | settings)


def campaign_of(**changes) -> Campaign:
    return Campaign.model_validate({**TINY, **changes})


def cells_of(campaign: Campaign, crystals, labelled=None, **about) -> dict[tuple[int, str], Cells]:
    found = {}
    for name, crystal in crystals.items():
        cells = make_supercells(name, crystal, campaign.supercells, campaign.seed, 0).cells
        labels = labelled(cells) if labelled else [None] * len(cells)
        found[0, name] = Cells(cells, labels, **about)
    return found


WARMING = {
    "thermodynamics": {"volumes": 5},
    "transitions": {
        "squeezed": {
            "driven_by": "pressure",
            "structures": ["mp-149", "mp-165"],
            "pressures_gpa": [0, 5, 10],
            "volumes": 6,
        }
    },
    "conductivity": {"third_order": {"min_atoms": 64, "max_atoms": 64}},
}
