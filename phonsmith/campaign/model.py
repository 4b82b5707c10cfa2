"""A campaign: all of its settings, consistent with each other.

The settings modules of the stages and :mod:`phonsmith.campaign.data` are the only source of
settings: the JSON schema in ``config/`` and the settings page of the docs are made from them.
"""

from typing import Self

from pydantic import model_validator

from phonsmith.campaign.consistency import inconsistencies
from phonsmith.campaign.data import CampaignData


class Campaign(CampaignData):
    """One campaign: the file ``config/campaigns/NAME.yaml``."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problems := inconsistencies(self):
            raise ValueError("\n".join(problems))
        return self
