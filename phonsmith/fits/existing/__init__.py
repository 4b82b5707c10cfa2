"""Potentials that exist already."""
