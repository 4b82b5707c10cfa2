"""Crystals in CIF: read by their operations, and checked against their own words."""
