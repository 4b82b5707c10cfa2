"""Proper orthogonal descriptors, trained by fitpod of LAMMPS."""
