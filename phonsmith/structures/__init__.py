"""Crystals: reading, databases, relaxation, verdicts."""
