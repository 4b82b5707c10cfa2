"""Labels from VASP."""
