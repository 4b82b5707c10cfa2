"""Supercells: size, displaced and rattled cells, candidates, selection."""
