"""Labels from VASP."""

from phonsmith.labels.potcars import valence_electrons
from phonsmith.labels.vasp.method import VaspMethod

__all__ = ["VaspMethod", "valence_electrons"]
