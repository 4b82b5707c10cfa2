"""Input files of VASP, written by pymatgen.

k-points come from KSPACING in the INCAR with KGAMMA = .TRUE., and there is never a KPOINTS file:
VASP then makes the mesh by its own rule, which :func:`phonsmith.labels.kpoints.mesh` follows, and
the remedies of custodian that exchange a mesh for a shifted or an odd one do not apply.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, ground_state_magnetic_moments
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.kpoints import mesh
from phonsmith.labels.reference import HubbardU
from phonsmith.labels.vasp.potcars import PotcarFile
from phonsmith.labels.vasp.settings import VaspReference
from phonsmith.structures.relaxation import Load
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import moments_of

Tags = dict[str, Any]
"""INCAR keys and their values."""

_GGA = {"PBEsol": {"GGA": "PS"}, "PBE": {"GGA": "PE"}, "LDA": {}}

GAMMA_ALONE = 10.0
"""1/Å. A KSPACING that leaves the Γ point alone in any cell."""


def static_tags(reference: VaspReference, structure: str | None) -> Tags:
    """INCAR of a label: one point of the energy surface, without symmetry.

    ``structure`` is the id of the crystal, which may have keys of its own. ISIF 2 has the stress
    computed. MAGMOM depends on the cell and is added by :func:`write_inputs`.
    """
    tags: Tags = {
        "PREC": "Accurate",
        "ENCUT": reference.encut_ev,
        "EDIFF": reference.ediff_ev,
        **_GGA[reference.functional],
        "ISMEAR": reference.ismear,
        "SIGMA": reference.sigma_ev,
        "KSPACING": reference.kspacing_per_angstrom,
        "KGAMMA": True,
        "ISPIN": 2 if reference.magnetism else 1,
        "LASPH": True,  # aspherical terms inside the PAW spheres
        "LREAL": False,
        "ISYM": 0,
        "ALGO": "Normal",
        "NELM": 200,
        "IBRION": -1,
        "NSW": 0,
        "ISIF": 2,
        "LWAVE": False,
        "LCHARG": False,
    }
    own = reference.incar_by_structure.get(structure or "", {})
    for further in (reference.incar, own):
        tags.update({key.strip().upper(): value for key, value in further.items()})
    return tags


def relaxation_tags(
    reference: VaspReference, structure: str | None, settings: Relaxation, load: Load
) -> Tags:
    """Return the INCAR tags of a relaxation by conjugate gradients (convergence by EDIFFG < 0).

    Parameters
    ----------
    reference
        Settings of the reference method.
    structure
        Id of the structure, which may have settings of its own.
    settings
        Force tolerance (eV/Å) and largest number of steps.
    load
        Pressure (GPa) or fixed volume.
    """
    tags: Tags = {
        **static_tags(reference, structure),
        "IBRION": 2,
        "NSW": max(settings.max_steps, 2),  # no output reports whether a single step was enough
        "ISIF": 4 if load.fixed_volume else 3,
        "EDIFFG": -settings.fmax_ev_per_angstrom,
    }
    if load.pressure_gpa:
        tags["PSTRESS"] = 10 * load.pressure_gpa  # kbar
    return tags


def isolated_atom_tags(reference: VaspReference, element: str) -> Tags:
    """INCAR of an atom in a box: Γ alone, spin-polarised, starting from Hund's rules."""
    moment = float(ground_state_magnetic_moments[atomic_numbers[element]])
    return {
        **static_tags(reference, None),
        "ISMEAR": 0,
        "KSPACING": GAMMA_ALONE,
        "ISPIN": 2,
        "MAGMOM": [moment],
    }


def born_tags(reference: VaspReference, structure: str | None) -> Tags:
    """INCAR of Born charges and dielectric tensor by perturbation theory (LEPSILON).

    Symmetry, which spares most k-points here, is left to VASP; LEPSILON does not go with NCORE.
    """
    tags = {**static_tags(reference, structure), "LEPSILON": True}
    for unsuited in ("ISYM", "NCORE", "NPAR"):
        tags.pop(unsuited, None)
    return tags


def check_spelling(reference: VaspReference) -> None:
    """Refuse INCAR keys that look like slips of the pen: VASP passes over keys it does not know.

    Keys that pymatgen does not know and that resemble none are let through, VASP may be newer.

    Raises
    ------
    PhonsmithError
        Each such key, and the one that may be meant.
    """
    from pymatgen.io.vasp import Incar

    by_structure = reference.incar_by_structure.items()
    places = {"incar": reference.incar} | {f"incar_by_structure.{k}": v for k, v in by_structure}
    slips = []
    for where, tags in places.items():
        for tag in tags:
            name = tag.strip().upper()
            close = get_close_matches(name, Incar.INCAR_PARAMS, n=1, cutoff=0.75)
            if name not in Incar.INCAR_PARAMS and close:
                slips.append(f"{where}.{tag}: not a key of VASP; did you mean {close[0]}?")
    if slips:
        raise PhonsmithError("\n".join(slips))


def in_vasp_order(cell: Atoms) -> NDArray[np.intp]:
    """Return the indices that bring atoms of one element together, elements by first appearance."""
    symbols = list(cell.symbols)
    rank = {symbol: position for position, symbol in enumerate(dict.fromkeys(symbols))}
    return np.argsort([rank[symbol] for symbol in symbols], kind="stable")


def write_inputs(
    folder: Path,
    cell: Atoms,
    tags: Tags,
    potcars: Mapping[str, PotcarFile],
    moments: Mapping[str, float] | None = None,
    *,
    hubbard: Mapping[str, HubbardU] | None = None,
) -> None:
    """Write INCAR, POSCAR and POTCAR of a cell, with its atoms in :func:`in_vasp_order`.

    Parameters
    ----------
    folder
        Folder for the files.
    cell
        Cell.
    tags
        INCAR tags.
    potcars
        POTCAR of each element.
    moments
        Moments by element in Bohr magnetons (MAGMOM); moments of the cell take precedence. None
        writes no MAGMOM.
    hubbard
        U by element, written as LDAU keys in the order of the species.
    """
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.io.vasp import Incar, Poscar

    order = in_vasp_order(cell)
    sorted_cell = Atoms(cell.numbers, positions=cell.positions, cell=cell.cell[:], pbc=True)[order]
    if moments is not None:
        own = moments_of(cell)
        if own is None:
            own = np.array([moments.get(symbol, 0.0) for symbol in cell.symbols])
        tags = {**tags, "MAGMOM": own[order].tolist()}
    tags = {**tags, **hubbard_tags(dict.fromkeys(sorted_cell.symbols), hubbard or {})}
    Incar(tags).write_file(folder / "INCAR")
    structure = AseAtomsAdaptor.get_structure(sorted_cell)
    Poscar(structure, comment=cell.get_chemical_formula()).write_file(
        folder / "POSCAR", significant_figures=16
    )
    elements = dict.fromkeys(sorted_cell.symbols)
    content = "".join(potcars[element].content.rstrip("\n") + "\n" for element in elements)
    (folder / "POTCAR").write_text(content, encoding="utf-8")


def hubbard_tags(species: Iterable[str], hubbard: Mapping[str, HubbardU]) -> Tags:
    """INCAR keys of DFT+U by Dudarev for species in the order of the POSCAR; none without U."""
    found = [hubbard.get(symbol) for symbol in species]
    orbitals = ["spdf".index(one.orbital) if one else -1 for one in found]
    if max(orbitals, default=-1) < 0:
        return {}
    return {
        "LDAU": True,
        "LDAUTYPE": 2,
        "LDAUL": orbitals,
        "LDAUU": [one.u_ev if one else 0.0 for one in found],
        "LDAUJ": [0.0] * len(found),
        # densities of d and f orbitals inside the PAW spheres take part in mixing
        "LMAXMIX": max(2, 2 * max(orbitals)),
    }


def gamma_alone(cell: Atoms, tags: Tags) -> bool:
    """Return whether the mesh of a cell is the Γ point alone."""
    return mesh(cell, tags["KSPACING"]) == (1, 1, 1)
