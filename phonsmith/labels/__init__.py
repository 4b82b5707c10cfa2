"""Labels: energies, forces and stresses of cells by a reference method."""
