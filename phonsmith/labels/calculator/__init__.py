"""Labels from an ASE calculator."""
