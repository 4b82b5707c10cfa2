"""Targets of a GAP: energies, forces and virials of the frames, each with its σ."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.datasets.sets import FORCE_SIGMA, VIRIAL_SIGMA
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, virial_of
from phonsmith.fits.gap.settings import ForceProportional, GapFit, Sigma
from phonsmith.fits.gap.sparse import special_name

VIRIAL_COMPONENTS = tuple((k, m) for k in range(3) for m in range(k, 3))
"""Independent components of a virial, in gap_fit's order."""


@dataclass(frozen=True)
class Targets:
    """Targets of a frame in rows: energy, three rows per atom, six rows of the virial.

    ``values`` and ``sigmas`` have shape (rows,). Values are derivatives of the energy, so that
    forces and virials have the opposite sign.
    """

    energy: bool
    forces: bool
    virial: bool
    values: NDArray[np.float64]
    sigmas: NDArray[np.float64]

    @property
    def gradients(self) -> bool:
        """Whether derivatives are needed."""
        return self.forces or self.virial

    @property
    def kinds(self) -> tuple[bool, bool, bool]:
        """Whether the frame has energy, forces and virial."""
        return self.energy, self.forces, self.virial


def targets_of(atoms: Atoms, fit: GapFit, e0s: Mapping[str, float], scale: float = 1.0) -> Targets:
    """Collect the targets of a frame.

    σ of energy and virial are multiplied by √N, as gap_fit does.

    Parameters
    ----------
    atoms
        Frame with labels.
    fit
        Settings of the fit, which hold σ.
    e0s
        Energies of single atoms in eV.
    scale
        Factor of the σ of the forces.
    """
    sigma = frame_sigma(atoms, fit)
    root = float(np.sqrt(len(atoms)))
    values, sigmas = [np.empty(0)], [np.empty(0)]
    if ENERGY in atoms.info:
        alone = sum(e0s.get(symbol, 0.0) for symbol in atoms.get_chemical_symbols())
        values.append(np.array([float(atoms.info[ENERGY]) - alone]))
        sigmas.append(np.array([sigma.energy_ev_per_atom * root]))
    if FORCES in atoms.arrays:
        values.append(-atoms.arrays[FORCES].ravel())
        given = force_sigmas(atoms, fit)
        if given is None:
            given = np.full(len(atoms), sigma.force_ev_per_angstrom)
        sigmas.append(np.repeat(given * scale, 3))
    if STRESS in atoms.info:
        virial = virial_of(atoms)
        values.append(np.array([-virial[pair] for pair in VIRIAL_COMPONENTS]))
        sigmas.append(np.full(6, sigma.virial_ev_per_atom * root))
    return Targets(
        energy=ENERGY in atoms.info,
        forces=FORCES in atoms.arrays,
        virial=STRESS in atoms.info,
        values=np.concatenate(values),
        sigmas=np.concatenate(sigmas),
    )


def check_groups(fit: GapFit, frames: Sequence[Atoms]) -> None:
    """Check that every group of ``sigma_by_group`` has frames.

    Raises
    ------
    PhonsmithError
        A group has no frames.
    """
    known = {
        str(atoms.info[key])
        for atoms in frames
        for key in ("config_type", "structure", "kind")
        if key in atoms.info
    }
    for name in fit.sigma_by_group:
        if name not in known:
            raise PhonsmithError(
                f"sigma_by_group: no training cell has the config type, structure or kind "
                f"'{name}'; found {', '.join(sorted(known))}"
            )


def force_sigmas(atoms: Atoms, fit: GapFit) -> np.ndarray | None:
    """σ of each atom's force, eV/Å, shape (atoms,), or None where one σ holds for the frame.

    f · max(\\|F\\|, F_min), equation 8 of George et al., J. Chem. Phys. 153, 044104 (2020).
    """
    rule: ForceProportional | None = fit.force_proportional
    if rule is None or FORCES not in atoms.arrays or atoms.info.get("kind") not in rule.kinds:
        return None
    sizes = np.linalg.norm(atoms.arrays[FORCES], axis=1)
    return np.asarray(rule.factor * np.maximum(sizes, rule.minimum_force_ev_per_angstrom))


def balance(frames: Sequence[Atoms], exponent: float) -> list[float]:
    """Factor on the force σ of each frame: (n/m)**exponent for displaced cells, 1 for others.

    n counts the displaced cells of the frame's structure, which depends on its symmetry alone; m is
    the smallest n.
    """
    counts = Counter(a.info.get("structure") for a in frames if a.info.get("kind") == "displaced")
    fewest = min(counts.values(), default=1)
    return [
        (counts[a.info.get("structure")] / fewest) ** exponent
        if a.info.get("kind") == "displaced"
        else 1.0
        for a in frames
    ]


def frame_sigma(atoms: Atoms, fit: GapFit) -> Sigma:
    """Regularisation of a frame.

    The order of precedence is: the most specific entry of ``sigma_by_group`` (config type,
    structure, kind), σ of a constraint cell, the fit's general σ. Of ``sigma_by_group``, only the
    entry ``constraint`` applies to constraint cells.
    """
    info = atoms.info
    if info.get("kind") == "constraint":
        named = fit.sigma_by_group.get("constraint")
        if named is not None:
            return named
        return Sigma(
            energy_ev_per_atom=fit.sigma.energy_ev_per_atom,
            force_ev_per_angstrom=info.get(FORCE_SIGMA, fit.sigma.force_ev_per_angstrom),
            virial_ev_per_atom=info.get(VIRIAL_SIGMA, fit.sigma.virial_ev_per_atom),
        )
    name = special_name(atoms, fit.sigma_by_group.keys())
    return fit.sigma if name is None else fit.sigma_by_group[name]


def atom_sigmas(frames: Sequence[Atoms], fit: GapFit) -> int:
    """Count the atoms with individual σ."""
    return sum(len(atoms) for atoms in frames if force_sigmas(atoms, fit) is not None)
