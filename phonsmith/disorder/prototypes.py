"""Crystal structures of silicon under pressure, as starting points of reference crystals.

Lattices are scaled to a volume per atom; :func:`phonsmith.disorder.crystals.under_pressure` relaxes
them. Coordinates: β-Sn type, simple hexagonal and hcp from symmetry and experimental axial ratios
(Olijnyk, Sikka, Holzapfel, Phys. Lett. A 103, 137 (1984)); Imma: McMahon, Nelmes, Phys. Rev. B 47,
8337 (1993); Cmca (Si VI): Hanfland, Schwarz, Syassen, Takemura, Phys. Rev. Lett. 82, 1197 (1999);
R8 (Si XII): Piltz et al., Phys. Rev. B 52, 4072 (1995); BC8 (Si III): Kasper, Richards, Acta
Cryst. 17, 752 (1964); bct5: Boyer, Kaxiras, Feldman, Broughton, Mehl, Phys. Rev. Lett. 67, 715
(1991).
"""

from typing import NamedTuple

from ase import Atoms
from ase.spacegroup import crystal

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.sites import at_volume

Place = tuple[float, float, float]


class Prototype(NamedTuple):
    """Space group, cell (a, b, c in Å; α, β, γ in degrees), positions and volume per atom (Å³).

    The volume is that of silicon near the pressures at which the phase is found.
    """

    space_group: int
    cell: tuple[float, float, float, float, float, float]
    places: tuple[Place, ...]
    volume: float
    setting: int = 1


PROTOTYPES = {
    "diamond": Prototype(227, (5.43, 5.43, 5.43, 90, 90, 90), ((0, 0, 0),), 20.0),
    "lonsdaleite": Prototype(194, (3.84, 3.84, 6.27, 90, 90, 120), ((1 / 3, 2 / 3, 0.0625),), 20.0),
    "beta-tin": Prototype(141, (4.69, 4.69, 2.58, 90, 90, 90), ((0, 0, 0),), 14.2),
    # positions of Imma for Δ = 0.3: between β-Sn (0.25) and simple hexagonal (0.5)
    "imma": Prototype(74, (4.737, 4.502, 2.550, 90, 90, 90), ((0, 0.25, -0.15),), 13.6),
    "simple-hexagonal": Prototype(191, (2.55, 2.55, 2.387, 90, 90, 120), ((0, 0, 0),), 13.4),
    "cmca": Prototype(
        64, (8.024, 4.796, 4.776, 90, 90, 90), ((0.219, 0, 0), (0, 0.172, 0.328)), 11.5
    ),
    "hcp": Prototype(194, (2.444, 2.444, 4.152, 90, 90, 120), ((1 / 3, 2 / 3, 0.25),), 11.0),
    "bc8": Prototype(206, (6.636, 6.636, 6.636, 90, 90, 90), ((0.1003, 0.1003, 0.1003),), 18.2),
    "r8": Prototype(
        148,
        (5.609, 5.609, 5.609, 110.07, 110.07, 110.07),
        ((0.2922, 0.2922, 0.2922), (0.4597, -0.0353, 0.2641)),
        17.0,
        setting=2,
    ),
    "bct5": Prototype(139, (3.32, 3.32, 6.15, 90, 90, 90), ((0, 0, 0.2),), 17.0),
}
"""Prototypes by name."""


def prototype(name: str, element: str = "Si", volume: float | None = None) -> Atoms:
    """Build the primitive cell of a prototype.

    Parameters
    ----------
    name
        Name of the prototype, a key of :data:`PROTOTYPES`.
    element
        Chemical symbol.
    volume
        Volume per atom in Å³; default: that of silicon near the pressures of the phase.

    Raises
    ------
    PhonsmithError
        There is no such prototype.
    """
    if name not in PROTOTYPES:
        raise PhonsmithError(
            f"prototype '{name}' is unknown; known: {', '.join(sorted(PROTOTYPES))}"
        )
    known = PROTOTYPES[name]
    symmetric = crystal(
        [element] * len(known.places),
        basis=list(known.places),
        spacegroup=known.space_group,
        setting=known.setting,
        cellpar=list(known.cell),
        primitive_cell=True,
    )
    atoms = Atoms(symmetric.numbers, positions=symmetric.positions, cell=symmetric.cell, pbc=True)
    return at_volume(atoms, (volume or known.volume) * len(atoms))
