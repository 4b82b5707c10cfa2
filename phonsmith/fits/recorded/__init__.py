"""Recorded forces of a potential."""
