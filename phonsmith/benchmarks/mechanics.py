"""Equation of state and elastic constants, for potentials with energies and stresses.

The elastic constants refer to the crystal as given: relax it with this potential first.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phonsmith.files.errors import NotRelaxed, UnusablePotential
from phonsmith.files.json_records import Record
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import at_volume
from phonsmith.structures.verdicts import WithRelaxations
from phonsmith.thermodynamics.equations_of_state import EquationOfState, fit_equation_of_state

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

EOS_RANGE = 0.06
"""Volumes reach from 1 - this to 1 + this times that of the crystal."""
EOS_POINTS = 9
STRAINS = (-0.005, 0.005)
"""Strains of each of the six kinds for the elastic constants."""
IONS_FMAX = 1e-4
IONS_MAX_STEPS = 500
DEFAULT_RELAXATION = Relaxation()


class Mechanics(Record):
    """Equation of state, and elastic constants in Voigt order (6×6, GPa, IEEE orientation)."""

    equation_of_state: EquationOfState
    elastic_constants_gpa: tuple[tuple[float, ...], ...]

    def quantities(self) -> dict[str, tuple[str, float]]:
        """Name, unit and value of each number: V0, E0, B0, B0', C11 ... C66."""
        state = self.equation_of_state
        numbers = {
            "V0": ("angstrom3/atom", state.volume_angstrom3_per_atom),
            "E0": ("eV/atom", state.energy_ev_per_atom),
            "B0": ("GPa", state.bulk_modulus_gpa),
            "B0'": ("", state.bulk_modulus_derivative),
        }
        for i in range(6):
            for j in range(i, 6):
                value = round(self.elastic_constants_gpa[i][j], 6) + 0.0  # no -0.0
                numbers[f"C{i + 1}{j + 1}"] = ("GPa", value)
        return numbers


def mechanics(
    atoms: "Atoms",
    source: "PotentialSource | Calculator",
    oriented_as: "Atoms | None" = None,
) -> Mechanics:
    """Compute equation of state and elastic constants of a crystal at its equilibrium.

    Parameters
    ----------
    atoms
        Crystal relaxed with ``source``.
    source
        Potential or ASE calculator.
    oriented_as
        For a fit, the crystal relaxed with the reference, see :func:`elastic_constants`.

    Raises
    ------
    UnusablePotential
        See :func:`equation_of_state` and :func:`elastic_constants`.
    """
    calculator = _calculator(source)
    constants = elastic_constants(atoms, calculator, oriented_as=oriented_as)
    return Mechanics(
        equation_of_state=equation_of_state(atoms, calculator),
        elastic_constants_gpa=tuple(tuple(map(float, row)) for row in constants),
    )


class MechanicsResult(WithRelaxations):
    """Mechanics of one crystal, or the reason in words why there are none."""

    IN_WORDS = "a mechanics record"

    mechanics: Mechanics | None
    reason: str = ""


def mechanics_of_fit(
    crystal: "Atoms", source: PotentialSource, relaxation: Relaxation
) -> MechanicsResult:
    """Compute the mechanics of a crystal relaxed by a fit, in the reference crystal's orientation.

    A fit that does not keep the crystal, or has no usable energies around it, gives a reason.

    Parameters
    ----------
    crystal
        Crystal relaxed with the reference.
    source
        The fit.
    relaxation
        Settings of the relaxation.

    Returns
    -------
    The mechanics, or the reason why there are none.
    """
    from phonsmith.structures.relaxation import relaxed_crystal

    calculator = _calculator(source)
    try:
        atoms, verdict = relaxed_crystal(crystal, calculator, relaxation)
        if verdict.reason:
            return MechanicsResult(
                mechanics=None, reason=verdict.reason, converged=verdict.converged
            )
        found = mechanics(atoms, calculator, oriented_as=crystal)
    except UnusablePotential as error:
        converged = not isinstance(error, NotRelaxed)
        return MechanicsResult(mechanics=None, reason=str(error), converged=converged)
    return MechanicsResult(mechanics=found)


def equation_of_state(
    atoms: "Atoms",
    source: "PotentialSource | Calculator",
    relaxation: Relaxation = DEFAULT_RELAXATION,
) -> EquationOfState:
    """Fit the Birch–Murnaghan equation of state; shape and ions are relaxed at each volume.

    The bulk modulus is then that of hydrostatic pressure, 1/B = Σ S_ij with i, j ≤ 3 (Reuss).

    Parameters
    ----------
    atoms
        Crystal at its equilibrium.
    source
        Potential or ASE calculator.
    relaxation
        Settings of the relaxation at each volume.

    Raises
    ------
    NotRelaxed
        A cell does not relax.
    UnusablePotential
        The energy has no minimum within the range of volumes.

    References
    ----------
    F. Birch, Phys. Rev. 71, 809 (1947).
    """
    from phonsmith.structures.relaxation import Load, relax

    calculator = _calculator(source)
    factors = np.linspace(1 - EOS_RANGE, 1 + EOS_RANGE, EOS_POINTS)
    energies = []
    for factor in factors:
        cell = at_volume(atoms, factor * atoms.get_volume())
        found = relax(cell, calculator, relaxation, Load(fixed_volume=True))
        where = (
            f"equation of state of {atoms.get_chemical_formula()}: at {factor:g} times the volume"
        )
        if not found.converged:
            raise NotRelaxed(
                f"{where} the cell does not relax to {relaxation.fmax_ev_per_angstrom:g} eV/Å "
                f"within {found.steps} steps; the potential is unusable at this volume"
            )
        if found.energy_ev is None:
            raise UnusablePotential(f"{where} the potential gives no energy")
        energies.append(found.energy_ev)
    volumes = factors * atoms.get_volume() / len(atoms)
    try:
        return fit_equation_of_state(volumes, np.array(energies) / len(atoms))
    except UnusablePotential as error:
        raise UnusablePotential(
            f"equation of state of {atoms.get_chemical_formula()}: {error}; relax the crystal with "
            "this potential first"
        ) from error


def elastic_constants(
    atoms: "Atoms",
    source: "PotentialSource | Calculator",
    *,
    relax_ions: bool = True,
    oriented_as: "Atoms | None" = None,
) -> NDArray[np.float64]:
    """Compute elastic constants from stresses at small strains (pymatgen), in GPa.

    Parameters
    ----------
    atoms
        The crystal, relaxed with this potential.
    source
        The potential.
    relax_ions
        False keeps the ions at the strained places.
    oriented_as
        Crystal whose IEEE orientation is used, ``atoms`` by default. The orientation follows from
        the lengths of the axes; two potentials may order nearly equal ones differently, so that
        tensors to be compared need the orientation of one crystal.

    Returns
    -------
    (6, 6) symmetric matrix in Voigt order, symmetrised by the crystal's point group and in its
    IEEE orientation (cubic: axes along ⟨100⟩).

    Raises
    ------
    UnusablePotential
        Ions of a strained cell do not relax.
    """
    from ase import units
    from pymatgen.analysis.elasticity import DeformedStructureSet, ElasticTensor, Stress

    calculator = _calculator(source)
    crystal = _structure(atoms)
    deformed = DeformedStructureSet(crystal, norm_strains=STRAINS, shear_strains=STRAINS)
    strains, stresses = [], []
    for deformation, structure in zip(deformed.deformations, deformed, strict=True):
        cell = atoms.copy()
        cell.set_cell(structure.lattice.matrix)
        cell.set_scaled_positions(structure.frac_coords)
        cell = _relax_ions(cell, calculator) if relax_ions else _with(cell, calculator)
        strains.append(deformation.green_lagrange_strain)
        stresses.append(Stress(cell.get_stress(voigt=False) / units.GPa))
    rest = Stress(_with(atoms.copy(), calculator).get_stress(voigt=False) / units.GPa)
    tensor = ElasticTensor.from_independent_strains(strains, stresses, eq_stress=rest)
    axes = crystal if oriented_as is None else _structure(oriented_as)
    voigt = tensor.fit_to_structure(crystal).convert_to_ieee(axes).voigt
    return np.asarray((voigt + voigt.T) / 2, dtype=float)


def _calculator(source: Any) -> "Calculator":
    if isinstance(source, PotentialSource):
        from phonsmith.potentials.calculators import kept_calculator

        return kept_calculator(source)
    return source


def _structure(atoms: "Atoms") -> Any:
    from pymatgen.core import Lattice, Structure

    return Structure(Lattice(atoms.cell.array), atoms.numbers, atoms.get_scaled_positions())


def _with(cell: "Atoms", calculator: "Calculator") -> "Atoms":
    """A copy that keeps the results, while the calculator goes on to the next cell."""
    from ase.calculators.singlepoint import SinglePointCalculator

    from phonsmith.potentials.at_once import AtOnce

    cell.calc = AtOnce(calculator)
    results = {
        "energy": cell.get_potential_energy(),
        "forces": cell.get_forces(),
        "stress": cell.get_stress(),
    }
    cell.calc = SinglePointCalculator(cell, **results)
    return cell


def _relax_ions(cell: "Atoms", calculator: "Calculator") -> "Atoms":
    from ase.optimize import BFGS

    from phonsmith.potentials.at_once import AtOnce

    cell.calc = AtOnce(calculator)
    converged = BFGS(cell, logfile=None).run(fmax=IONS_FMAX, steps=IONS_MAX_STEPS)
    if not converged:
        raise UnusablePotential(
            f"mechanics of {cell.get_chemical_formula()}: ions of a strained cell do not relax to "
            f"{IONS_FMAX} eV/Å within {IONS_MAX_STEPS} steps; the potential is unusable for this "
            "crystal"
        )
    return _with(cell, calculator)
