"""Polynomial potentials, trained in the environment of pypolymlp."""
