"""Phonon-accurate machine-learned interatomic potentials."""
