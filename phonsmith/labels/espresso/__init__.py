"""Labels from Quantum ESPRESSO."""

from phonsmith.labels.espresso.method import EspressoMethod

__all__ = ["EspressoMethod"]
