"""Readers of recorded data, one file per family of formats."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ase import Atoms

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy import Phonopy


@dataclass
class Recorded:
    """What a recorded data set holds of one crystal.

    ``frames`` are labelled cells (see :mod:`phonsmith.extxyz`); ``crystal`` is the unit cell and
    ``phonon`` holds supercell, displacements and forces, where the format has them. The first
    frames are the displaced cells of ``phonon``, in its order; ``third`` has displacements and
    forces of third order. ``refused`` says in one line each what was left out, and why; ``found``
    what was used, where a format leaves a choice.
    """

    frames: list[Atoms]
    crystal: Atoms | None = None
    phonon: "Phonopy | None" = None
    refused: list[str] = field(default_factory=list)
    third: "Phono3py | None" = None
    found: list[str] = field(default_factory=list)
