"""Readers of recorded data, one file per family of formats."""
