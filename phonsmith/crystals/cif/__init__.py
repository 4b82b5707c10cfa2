"""Crystals in CIF."""
