"""Numbers of cells of campaigns."""

from ase import Atoms

from phonsmith.campaign.data import CampaignData
from phonsmith.supercells.making import make_supercells


def displaced_cells_of(name: str, crystal: Atoms, campaign: CampaignData) -> int:
    """The number of displaced cells of a crystal that is not relaxed yet."""
    settings = campaign.supercells.model_copy(update={"kinds": ["displaced"]})
    return len(make_supercells(name, crystal, settings, campaign.seed, generation=0).cells)
