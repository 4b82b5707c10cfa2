"""Born charges and dielectric tensor as phonopy's BORN file, whatever code they come from."""

import warnings
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import read_bytes
from phonsmith.labels.failed import LabelFailed

if TYPE_CHECKING:
    from phonopy import Phonopy

LARGEST_CHARGE_SUM = 0.5
"""Elementary charges. Born charges of a crystal sum to zero; more than this is no insulator."""
LARGEST_DEVIATION = 0.1
"""Of the largest charge, or of the dielectric tensor: deviations from sum rule and symmetry."""
ROUNDING_CHARGE = 0.05
"""Elementary charges. Deviations up to this are noise where all charges are small."""

Floats = NDArray[np.float64]


def read_tensors(path: str | Path) -> tuple[Floats, Floats]:
    """Dielectric tensor (3, 3) and the charges (lines, 3, 3) as written in a BORN file.

    Raises
    ------
    PhonsmithError
        No such file, or it has another form.
    """
    path = Path(path)
    if not path.exists():
        raise PhonsmithError(f"{path}: no such BORN file")
    try:
        lines = read_bytes(path).decode("utf-8").splitlines()[1:]
        rows = [[float(word) for word in line.split()] for line in takewhile(str.strip, lines)]
    except ValueError as error:
        raise PhonsmithError(
            f"{path} is not a BORN file of phonopy ({error}); make it with phonopy-vasp-born or as "
            "described in phonopy's manual"
        ) from None
    if len(rows) < 2 or any(len(row) != 9 or not np.isfinite(row).all() for row in rows):
        raise PhonsmithError(
            f"{path} is not a complete BORN file of phonopy; after the first line it must contain "
            "lines of nine numbers: the dielectric tensor, then a tensor for each "
            "symmetry-independent atom"
        )
    tensors = np.array(rows).reshape(-1, 3, 3)
    return tensors[0], tensors[1:]


def read_born(path: str | Path, phonon: "Phonopy") -> dict[str, Any]:
    """Read the parameters of the non-analytical correction from a BORN file, for phonopy.

    The charges of the file are those of the symmetry-independent atoms of the primitive cell, in
    phonopy's order; symmetry gives the others. They are taken as they are once they are found to
    belong to the crystal: number, sum, symmetry, and a dielectric tensor of at least 1.

    Raises
    ------
    PhonsmithError
        The file is missing, damaged, or of another crystal.
    """
    from phonopy.file_IO import parse_BORN_from_strings
    from phonopy.physical_units import get_calculator_physical_units
    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

    path, primitive, symprec = Path(path), phonon.primitive, phonon.symmetry.tolerance
    _, tensors = read_tensors(path)
    _check_count(path, len(tensors), phonon)
    try:
        text = read_bytes(path).decode("utf-8")
        nac: Any = parse_BORN_from_strings(text, primitive, symprec=symprec)
        _check_sum(path, nac["born"], primitive.symbols)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused here
            even, even_epsilon = symmetrize_borns_and_epsilon(
                nac["born"], nac["dielectric"], primitive, symprec=symprec
            )
    except PhonsmithError:
        raise
    except Exception as error:  # phonopy raises many kinds for a broken file
        reason = " ".join(str(error).split())
        raise PhonsmithError(f"{path}: not a BORN file for this crystal ({reason})") from error
    _check_symmetry(path, nac, even, even_epsilon)
    # the factor belongs to the units of forces, which are eV and Å here whatever code wrote BORN
    return {**nac, "factor": get_calculator_physical_units().nac_factor}


def _check_count(path: Path, found: int, phonon: "Phonopy") -> None:
    """Refuse charges of another number than that of symmetry-independent atoms."""
    primitive = phonon.primitive
    independent = phonon.primitive_symmetry.get_independent_atoms()
    if found != len(independent):
        atoms = ", ".join(f"{atom + 1} ({primitive.symbols[atom]})" for atom in independent)
        whole = " (a line for every atom)" if found == len(primitive) else ""
        raise PhonsmithError(
            f"{path}: has charges of {found} atoms{whole}, but of the {len(primitive)} "
            f"atoms in the primitive cell of {phonon.unitcell.formula} {len(independent)} are "
            f"symmetry-independent; after the dielectric tensor keep the lines of atoms {atoms}"
        )


def _check_symmetry(path: Path, nac: Mapping[str, Any], even: Floats, even_epsilon: Floats) -> None:
    """Compare with symmetrised tensors; the dielectric tensor is at least 1."""
    charges, epsilon = nac["born"], nac["dielectric"]
    limit = max(ROUNDING_CHARGE, LARGEST_DEVIATION * float(np.abs(charges).max()))
    uneven = float(np.abs(charges - even).max())
    skewed = float(np.abs(epsilon - even_epsilon).max() / np.abs(epsilon).max())
    if uneven > limit or skewed > LARGEST_DEVIATION:
        raise PhonsmithError(
            f"{path}: Born charges or dielectric tensor lack the symmetry of the crystal (charges "
            f"by up to {uneven:.2g} e, the tensor by {100 * skewed:.0f} %); they must refer to its "
            "orientation, its primitive cell and phonopy's order of the atoms"
        )
    if np.linalg.eigvalsh((epsilon + epsilon.T) / 2).min() < 1:
        raise PhonsmithError(
            f"{path}: the dielectric tensor has an eigenvalue below 1, which is impossible in an "
            "insulator; line 2 is the relative dielectric tensor"
        )


def _check_sum(path: Path, charges: Floats, symbols: list[str]) -> None:
    total = charges.sum(axis=0)
    excess = float(np.abs(total).max())
    scale = LARGEST_DEVIATION * float(np.abs(charges).max())
    limit = max(ROUNDING_CHARGE, min(LARGEST_CHARGE_SUM, scale))
    if excess > limit:
        means = ", ".join(
            f"{symbol} {np.trace(charge) / 3:+.2f}"
            for symbol, charge in list(zip(symbols, charges, strict=True))[:8]
        )
        raise PhonsmithError(
            f"{path}: the Born charges of the primitive cell sum to {excess:.2g} e, at most "
            f"{limit:.2g} e are allowed ({means}{', …' if len(charges) > 8 else ''}); they must "
            "sum to zero: correct the lines or their order, or use more k-points"
        )


def born_file(crystal: Atoms, charges: NDArray[np.float64], epsilon: NDArray[np.float64]) -> str:
    """Format phonopy's BORN file of a crystal, for its primitive cell.

    phonopy symmetrizes charges and dielectric tensor and imposes the acoustic sum rule.

    Parameters
    ----------
    crystal
        Unit cell.
    charges
        Born effective charges (atoms, 3, 3) in elementary charges.
    epsilon
        (3, 3) dielectric tensor.

    Raises
    ------
    LabelFailed
        The values are not finite, or not those of an insulator.
    """
    from phonopy.file_IO import get_BORN_lines

    from phonsmith.supercells.cells import make_phonopy

    if not (np.isfinite(charges).all() and np.isfinite(epsilon).all()):
        raise LabelFailed("Born charges or dielectric tensor are not finite")
    excess = float(np.abs(charges.sum(axis=0)).max())
    if excess > LARGEST_CHARGE_SUM or np.linalg.eigvalsh((epsilon + epsilon.T) / 2).min() < 1:
        raise LabelFailed(
            f"Born charges sum to {excess:.2g} e, or the dielectric tensor is below 1: use more "
            "k-points, or, if the crystal is not an insulator, set born_charges: false"
        )
    phonon = make_phonopy(crystal, np.eye(3, dtype=int))
    lines = get_BORN_lines(
        phonon.unitcell,
        charges,
        epsilon,
        primitive_matrix=phonon.primitive_matrix,
        supercell_matrix=np.eye(3, dtype=int),
    )
    return "\n".join(lines) + "\n"
