"""Files of a campaign that are results of campaigns, which need not exist before a run."""

import re
from functools import cache
from pathlib import Path

from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import listed, nearest
from phonsmith.running.terminal import campaigns_here

CAMPAIGNS = Path("config/campaigns")

MADE = re.compile(
    r"(?P<folder>results/(?P<campaign>[^/]+)/(?:fits/(?P<fit>[^/]+)|datasets)"
    r"/gen(?P<generation>\d+))/(?(fit)model/[^/]+|train\.extxyz)"
)
"""A file that the pipeline makes and a campaign may name: model of a fit, or training set."""


def made_by_a_campaign(file: str) -> bool:
    """Return whether a file is a result of a campaign of this project.

    Raises
    ------
    PhonsmithError
        It has the form of a result, but there is no such campaign, fit or generation.
    """
    made = MADE.fullmatch(file)
    if made is None:
        return False
    name, fit = made["campaign"], made["fit"]
    known = campaigns_here(CAMPAIGNS)
    if name not in known:
        raise PhonsmithError(
            f"{file}: there is no campaign '{name}'{nearest(name, known) or ';'} campaigns are "
            f"{listed(known)}"
        )
    campaign = _loaded(name, CAMPAIGNS.resolve())
    if fit and fit not in campaign.trained:
        raise PhonsmithError(
            f"{file}: the campaign {name} trains no fit '{fit}'"
            f"{nearest(fit, campaign.trained) or ';'} it trains "
            f"{listed(campaign.trained) or 'none'}"
        )
    last = (campaign.loop.max_generations if campaign.loop else 1) - 1
    if int(made["generation"]) > last:
        raise PhonsmithError(
            f"{file}: the last generation of the campaign {name} is gen{last}; correct the path, "
            "or raise loop.max_generations there"
        )
    return True


@cache
def _loaded(name: str, folder: Path) -> Campaign:
    try:
        return load_campaign(folder / f"{name}.yaml")
    except PhonsmithError:
        raise PhonsmithError(
            f"the campaign {name}, whose result is named here, has problems; see `python -m "
            f"phonsmith.check {name}`"
        ) from None
