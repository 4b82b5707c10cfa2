"""Potentials fitted to labelled cells: one folder for each architecture."""
