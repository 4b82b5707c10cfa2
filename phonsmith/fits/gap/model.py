"""The file of a GAP: its terms, sparse points and coefficients, as gap_fit writes them."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError

ARD_SE, DOT_PRODUCT = 1, 2
"""QUIP's numbers of the covariances."""


@dataclass(frozen=True)
class Term:
    """A sum over descriptors of one type.

    ``covariance`` is one of QUIP's numbers, ``delta`` its standard deviation in eV, ``mean`` that
    of a constant. ``scale`` is ζ of a dot product, or the length scales θ, shape (dimensions,).
    ``permutations`` has shape (permutations, dimensions). ``points`` are the sparse points, shape
    (points, dimensions), and ``cutoffs`` their factors, shape (points,).
    """

    descriptor: str
    covariance: int
    delta: float
    mean: float
    scale: NDArray[np.float64]
    permutations: NDArray[np.intp]
    points: NDArray[np.float64]
    cutoffs: NDArray[np.float64]


def read_terms(path: Path) -> list[Term]:
    """Read the terms of a GAP whose sparse points are in files beside it.

    Raises
    ------
    PhonsmithError
        A covariance is neither a squared exponential nor a dot product.
    """
    return [_term(found, path.parent) for found in ElementTree.parse(path).iter("gpCoordinates")]


def _term(found: ElementTree.Element, folder: Path) -> Term:
    covariance = int(found.attrib["covariance_type"])
    if covariance not in {ARD_SE, DOT_PRODUCT}:
        raise PhonsmithError(
            f"GAP: covariance type {covariance} of QUIP is unknown here; set `fitter: gap_fit`"
        )
    shape = int(found.attrib["n_sparseX"]), int(found.attrib["dimensions"])
    scale = found.attrib["zeta"] if covariance == DOT_PRODUCT else found.findtext("theta", "")
    beside = folder / found.attrib["sparseX_filename"]
    return Term(
        descriptor=found.findtext("descriptor", "").strip(),
        covariance=covariance,
        delta=float(found.attrib["signal_variance"]),  # QUIP's name; it is the standard deviation
        mean=float(found.attrib["signal_mean"]),
        scale=np.array(scale.split(), dtype=float),
        permutations=_permutations(found, shape[1]),
        points=np.array(beside.read_text(encoding="utf-8").split(), dtype=float).reshape(shape),
        cutoffs=np.array([float(point.attrib["sparseCutoff"]) for point in found.iter("sparseX")]),
    )


def _permutations(found: ElementTree.Element, dimensions: int) -> NDArray[np.intp]:
    lists = [
        np.array((item.text or "").split(), dtype=int) - 1 for item in found.iter("permutation")
    ]
    # gap_fit cuts the list of a long descriptor that has the identity alone
    if len(lists) == 1:
        return np.arange(dimensions)[None]
    return np.array(lists)


def write_coefficients(path: Path, coefficients: NDArray[np.float64]) -> None:
    """Fill in the coefficients of a GAP whose sparse points gap_fit chose.

    Parameters
    ----------
    path
        File of the potential.
    coefficients
        One coefficient for each sparse point, in the order of the file.
    """
    given = iter(coefficients.tolist())
    text = path.read_text(encoding="utf-8")
    text, number = re.subn(r' alpha="[^"]*"', lambda _: f' alpha="{next(given):.17g}"', text)
    if number != len(coefficients):
        raise PhonsmithError(
            f"{path}: has {number} coefficients, but {len(coefficients)} were fitted"
        )
    path.write_text(text.replace('fitted="F"', 'fitted="T"', 1), encoding="utf-8")
