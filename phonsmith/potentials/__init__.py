"""Interatomic potentials as ASE calculators. Imports no stage."""
