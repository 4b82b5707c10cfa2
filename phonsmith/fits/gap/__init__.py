"""Gaussian approximation potentials."""
