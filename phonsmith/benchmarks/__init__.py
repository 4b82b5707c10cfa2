"""Fits against the reference method."""
