"""Free energies, and what follows from them."""
