"""Phonons of the reference method and of fits."""
