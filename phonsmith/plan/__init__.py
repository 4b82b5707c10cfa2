"""The plan of a campaign: costs, job resources, text. No stage imports it."""
