"""Weighted equations of labelled cells for the coefficients of a moment tensor potential.

The rows of a cell are [A B | y]: A the basis functions, whose coefficients are linear, B the
derivatives of the potential by the radial coefficients, and y the labels. Values and derivatives
are motep's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from motep.potentials.mtp.data import BasisData, MTPData
from numpy.typing import NDArray

from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits.least_squares import Triangle, divided
from phonsmith.fits.mtp.basis import moment_basis
from phonsmith.fits.mtp.settings import BLOCK_ROWS, PARTS, MtpFit
from phonsmith.potentials.mtp import Engine

Array = NDArray[np.float64]


_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_NINE = np.sqrt([1, 1, 1, 2, 2, 2])
"""Weights of six components of a symmetric tensor, for the sum over nine."""


@dataclass(frozen=True)
class Trial:
    """Values of the coefficients at which equations are wanted.

    Attributes
    ----------
    level
        Level of the potential.
    radial
        Radial coefficients, shape (species, species, radial functions, basis size).
    linear
        Coefficients of the basis functions, at which the derivatives B are taken.
    """

    level: int
    radial: Array
    linear: Array


def potential(fit: MtpFit, e0s: Mapping[str, float], trial: Trial) -> MTPData:
    """Return the potential of a trial; its elements are those of ``e0s``, in their order.

    Parameters
    ----------
    fit
        Settings of the fit.
    e0s
        Energies of single atoms in eV.
    trial
        Coefficients.
    """
    basis = moment_basis(trial.level)
    low, high = np.float64(fit.min_distance_angstrom), np.float64(fit.cutoff_angstrom)
    data = MTPData(
        version="1.1.0",
        potential_name="MTP1m",
        # the cutoff function is one at the lower end
        scaling=float(1 / (high - low) ** 2),
        species_count=len(e0s),
        radial_basis=BasisData(
            "RBChebyshev", np.float64(low), np.float64(high), len(trial.radial.T)
        ),
        radial_funcs_count=trial.radial.shape[2],
        radial_coeffs=trial.radial,
        alpha_moments_count=basis.moments,
        alpha_index_basic_count=len(basis.basic),
        alpha_index_basic=basis.basic,
        alpha_index_times_count=len(basis.products),
        alpha_index_times=basis.products,
        alpha_scalar_moments=len(basis.scalars),
        alpha_moment_mapping=basis.scalars,
        species_coeffs=np.array([*e0s.values()], dtype=float),
        moment_coeffs=trial.linear,
    )
    data.species = [atomic_numbers[element] for element in e0s]
    return data


def rows_of(fit: MtpFit, e0s: Mapping[str, float], engine: Engine, atoms: Atoms) -> Array:
    """Return the weighted equations of a cell, shape (equations, columns + 1).

    Parameters
    ----------
    fit
        Settings of the fit.
    e0s
        Energies of single atoms in eV.
    engine
        motep's engine of the trial, in mode ``train``.
    atoms
        Labelled cell.
    """
    engine.calculate(atoms)
    found, count = engine.mbd, len(atoms)
    columns = len(found.vatoms) + found.dvdcs[..., 0].size
    blocks = []
    if ENERGY in atoms.info and fit.weights.energy > 0:
        alone = sum(e0s[symbol] for symbol in atoms.symbols)
        left = np.concatenate((found.vatoms.sum(axis=1), found.dvdcs.sum(axis=-1).ravel()))
        row = np.append(left, float(atoms.info[ENERGY]) - alone)
        blocks.append(np.sqrt(fit.weights.energy / count) * row[None])
    if FORCES in atoms.arrays:
        slopes = (-found.dbdris.reshape(-1, 3 * count), -found.dgdcs.reshape(-1, 3 * count))
        labels = np.asarray(atoms.arrays[FORCES], dtype=float).reshape(1, -1)
        blocks.append(np.sqrt(_force_weight(fit, atoms)) * np.vstack((*slopes, labels)).T)
    if STRESS in atoms.info and fit.weights.stress > 0:
        label = np.asarray(atoms.info[STRESS], dtype=float).reshape(1, 3, 3)
        tensors = np.concatenate((found.dbdeps, found.dsdcs.reshape(-1, 3, 3), label))
        tensors = (tensors + tensors.transpose(0, 2, 1)) / 2
        weight = np.sqrt(fit.weights.stress / count) * atoms.get_volume() * _NINE
        blocks.append(np.array([tensors[:, i, j] for i, j in _PAIRS]) * weight[:, None])
    return np.concatenate(blocks) if blocks else np.empty((0, columns + 1))


def _force_weight(fit: MtpFit, atoms: Atoms) -> float:
    displaced = atoms.info.get("kind") == "displaced"
    return fit.weights.displaced_forces if displaced else fit.weights.forces


def parts_of(cells: Sequence[Atoms]) -> list[list[Atoms]]:
    """Divide cells, in their order, into parts with nearly equal numbers of atoms."""
    return divided(cells, [len(atoms) for atoms in cells], PARTS)


def triangles(
    fit: MtpFit, e0s: Mapping[str, float], parts: Sequence[Sequence[Atoms]]
) -> Callable[[tuple[int, Trial]], Array]:
    """Return the function that eliminates the equations of a part at a trial.

    Parameters
    ----------
    fit
        Settings of the fit.
    e0s
        Energies of single atoms in eV.
    parts
        Labelled cells of each part.
    """

    def work(item: tuple[int, Trial]) -> Array:
        index, trial = item
        recipe = fit if trial.level == fit.level else _below(fit)
        engine = Engine(potential(fit, e0s, trial), mode="train")
        size = len(trial.linear) + trial.radial.size + 1
        triangle = Triangle(np.zeros((size, size)))
        cells = (rows_of(recipe, e0s, engine, atoms) for atoms in parts[index])
        for block in _blocks(cells, max(BLOCK_ROWS, size)):
            triangle.add(block)
        return triangle.r

    return work


def _below(fit: MtpFit) -> MtpFit:
    """Return the settings of the levels below the final one: forces of all cells weigh alike.

    Few basis functions cannot represent the forces of displaced cells. With a large weight on them,
    radial functions of a vanishing potential have the least loss, and higher levels begin there.
    """
    weights = fit.weights.model_copy(update={"displaced_forces": fit.weights.forces})
    return fit.model_copy(update={"weights": weights})


def _blocks(cells: Iterator[Array], rows: int) -> Iterator[list[Array]]:
    block: list[Array] = []
    for cell in cells:
        block.append(cell)
        if sum(map(len, block)) >= rows:
            yield block
            block = []
    if block:
        yield block
