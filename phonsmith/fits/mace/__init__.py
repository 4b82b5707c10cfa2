"""MACE potentials."""
