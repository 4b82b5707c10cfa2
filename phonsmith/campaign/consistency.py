"""All rules that the settings of a campaign have to follow beside each other."""

from collections.abc import Callable, Iterator

from phonsmith.campaign import rules_of_applications as applications
from phonsmith.campaign import rules_of_crystals as crystals
from phonsmith.campaign import rules_of_fits as fits
from phonsmith.campaign.data import CampaignData

Rule = Callable[[CampaignData], Iterator[str]]

FIRST: tuple[Rule, ...] = (
    crystals.structures_and_their_data,
    crystals.scaled_structures,
    fits.names_of_fits,
)
"""What the others take for granted."""

THEN: tuple[Rule, ...] = (
    fits.loop,
    crystals.labelling,
    crystals.magnetic_moments,
    fits.fits,
    crystals.multiples_of_supercells,
    applications.applications_have_a_method,
    crystals.constraints,
    crystals.databases,
    crystals.distillation,
    applications.thermodynamics,
    applications.transitions,
    applications.disorder,
    applications.conductivity,
)


def inconsistencies(campaign: CampaignData) -> list[str]:
    """Return a line for each problem, each once; of the first rules alone where these find some."""
    for rules in (FIRST, THEN):
        if problems := [problem for rule in rules for problem in rule(campaign)]:
            return list(dict.fromkeys(problems))
    return []
