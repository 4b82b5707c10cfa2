"""Moment tensor potentials."""
