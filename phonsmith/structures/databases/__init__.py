"""Crystals of public databases."""
