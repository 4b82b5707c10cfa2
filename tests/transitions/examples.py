"""Model solids."""

import numpy as np
from ase.units import J, kB, mol

from phonsmith.thermodynamics import results as thermodynamics
from phonsmith.transitions.settings import TemperatureTransition

THZ = 4.135667696923859e-3  # eV
TEMPERATURES = np.arange(0.0, 1001.0, 10.0)
ALPHA_BETA = TemperatureTransition(driven_by="temperature", structures=["alpha", "beta"])


def einstein(
    structure: str, energy: float, frequency_thz: float, method: str = "reference", **changes: float
) -> thermodynamics.Result:
    """A solid all of whose modes have one frequency: free energy and entropy in closed form."""
    quantum = frequency_thz * THZ
    x = quantum / (kB * np.maximum(TEMPERATURES, 1e-9))
    zero = TEMPERATURES == 0
    factor = np.exp(-np.minimum(x, 700))
    free = 3 * (quantum / 2 + kB * TEMPERATURES * np.log1p(-factor))
    entropy = np.where(zero, 0.0, 3 * kB * (x * factor / (1 - factor) - np.log1p(-factor)))
    harmonic = thermodynamics.Harmonic(
        volume_angstrom3_per_atom=30.0,
        energy_ev_per_atom=energy,
        minimum_frequency_thz=changes.get("minimum", frequency_thz),
        imaginary_share=changes.get("imaginary", 0.0),
        temperature_kelvin=TEMPERATURES.tolist(),
        free_energy_ev_per_atom=free.tolist(),
        entropy_j_per_mol_k=(entropy * mol / J).tolist(),
        heat_capacity_v_j_per_mol_k=np.zeros_like(free).tolist(),
    )
    return thermodynamics.Result(
        structure=structure,
        method=method,
        formula="NaTl",
        atoms_per_formula_unit=2,
        harmonic=harmonic,
    )
