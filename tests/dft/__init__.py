"""Tests with real DFT codes (make test-dft)."""
