"""Analysis of disordered structures: coordination, angles, scattering, similarity to crystals."""
