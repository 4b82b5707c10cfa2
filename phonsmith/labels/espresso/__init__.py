"""Labels from Quantum ESPRESSO."""
