"""Input files of pw.x, written by ASE."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import nearest
from phonsmith.labels.espresso.pseudopotentials import INPUT_DFT, Pseudopotential, cutoffs
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.kpoints import mesh
from phonsmith.labels.reference import HubbardU
from phonsmith.structures.sites import moments_of

INPUT, OUTPUT, PREFIX, SCRATCH = "espresso.pwi", "espresso.pwo", "pwscf", "out"

Namelists = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Subject:
    """What a run is about: a cell, its pseudopotentials, and its mesh of k-points (None: Γ).

    ``version`` of pw.x decides how DFT+U is written.
    """

    cell: Atoms
    potentials: Mapping[str, Pseudopotential]
    kpts: tuple[int, int, int] | None
    version: str = ""


def namelists(reference: EspressoReference, potentials: Mapping[str, Pseudopotential]) -> Namelists:
    """Return the settings of a static run as pw.x's namelists."""
    ecutwfc, ecutrho = cutoffs(reference, potentials.values())
    system: dict[str, Any] = {"ecutwfc": ecutwfc, "ecutrho": ecutrho}
    system["occupations"] = reference.occupations
    if reference.occupations == "smearing":
        system |= {"smearing": reference.smearing, "degauss": reference.degauss_ry}
    if reference.magnetism:
        system["nspin"] = 2
    if any(one.functional != reference.functional for one in potentials.values()):
        system["input_dft"] = INPUT_DFT[reference.functional]
    return merged(
        {
            "control": {
                "calculation": "scf",
                "tprnfor": True,
                "tstress": True,
                "outdir": f"./{SCRATCH}",
                "prefix": PREFIX,
                "disk_io": "low",
            },
            "system": system,
            "electrons": {
                "conv_thr": reference.conv_thr_ry,
                "mixing_beta": reference.mixing_beta,
                "electron_maxstep": reference.electron_maxstep,
            },
        },
        {section: dict(keys) for section, keys in reference.input_data.items()},
    )


def atom_namelists(
    reference: EspressoReference, potential: Pseudopotential, moment: float
) -> Namelists:
    """Return the namelists of a run of one isolated atom with a fixed spin moment.

    The fixed moment makes the SCF converge to Hund's ground state. A narrow smearing lets
    degenerate levels share electrons: with integer occupations the SCF of silicon takes three times
    the steps for 0.01 eV.

    Parameters
    ----------
    reference
        Settings of the reference method.
    potential
        Pseudopotential of the element.
    moment
        Spin moment in Bohr magnetons.
    """
    spin = {"nspin": 2, "tot_magnetization": moment} if moment else {"nspin": 1}
    occupied = math.ceil((potential.valence + moment) / 2)
    return merged(
        namelists(reference, {potential.element: potential}),
        {
            "system": {
                "occupations": "smearing",
                "smearing": "gaussian",
                "degauss": 2e-3,
                "nosym": True,
                "nbnd": occupied + 4,
                **spin,
            },
            "electrons": {
                "conv_thr": max(1e-8, reference.conv_thr_ry),
                "mixing_beta": min(0.5, reference.mixing_beta),
                "electron_maxstep": max(200, reference.electron_maxstep),
            },
        },
    )


def born_namelists(
    reference: EspressoReference, potentials: Mapping[str, Pseudopotential]
) -> Namelists:
    """Return the settings of the run before ph.x, which wants fixed occupations."""
    settings = merged(namelists(reference, potentials), {"electrons": {"conv_thr": 1e-12}})
    for key in ("smearing", "degauss"):
        settings["system"].pop(key, None)
    settings["system"]["occupations"] = "fixed"
    return settings


def ph_input() -> str:
    """Input of ph.x for the dielectric tensor and Born charges, by the response to a field."""
    return (
        "Born charges\n"
        "&INPUTPH\n"
        f"  outdir = './{SCRATCH}'\n"
        f"  prefix = '{PREFIX}'\n"
        "  epsil = .true.\n"
        "  trans = .false.\n"
        "  tr2_ph = 1e-16\n"
        "/\n"
        "0.0 0.0 0.0\n"
    )


_OLDER_KEYS = {
    *("lda_plus_u", "lda_plus_u_kind", "u_projection_type", "hubbard_parameters"),
    *("hubbard_u", "hubbard_j", "hubbard_j0", "hubbard_v"),
}
"""Keys of pw.x before 7.1 that ASE's list has no longer."""


def check_spelling(reference: EspressoReference) -> None:
    """Whether all further keys are keys of pw.x, as far as ASE knows them.

    Raises
    ------
    PhonsmithError
        Each that is not, or not in its namelist, and the one that may be meant.
    """
    from ase.io.espresso_namelist.keys import ALL_KEYS

    slips = []
    for section, keys in reference.input_data.items():
        known = {name.lower() for name in ALL_KEYS["pw"][section]} | _OLDER_KEYS
        for key in keys:
            if key.lower().partition("(")[0] not in known:
                slips.append(
                    f"input_data.{section}.{key}: not a key of pw.x in this "
                    f"namelist{nearest(key, known)}"
                )
    if slips:
        raise PhonsmithError("\n".join(slips))


def merged(first: Namelists, *others: Mapping[str, Mapping[str, Any]]) -> Namelists:
    """Namelists with the keys of later ones over those of earlier ones."""
    result = {section: dict(keys) for section, keys in first.items()}
    for other in others:
        for section, keys in other.items():
            result.setdefault(section, {}).update(keys)
    return result


@dataclass(frozen=True)
class Species:
    """A species of the input: an element, or those of its atoms that start with one moment."""

    name: str
    element: str


def species_of(atoms: Atoms) -> list[Species]:
    """Return ASE's species of atoms with starting polarisations, in its order and spelling.

    The first of an element has its symbol for a name, the others have numbers: Ni, Ni1, Ni2.
    """
    found: dict[str, dict[float, None]] = {}
    species = []
    for symbol, start in zip(atoms.symbols, atoms.get_initial_magnetic_moments(), strict=True):
        known = found.setdefault(symbol, {})
        if start not in known:
            species.append(Species(f"{symbol}{len(known) or ''}", symbol))
            known[start] = None
    return species


def hubbard_input(
    cell: Atoms, hubbard: Mapping[str, HubbardU], version: str, species: Sequence[Species] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Write DFT+U for a version of pw.x: keys of ``system``, and lines of a card.

    pw.x has a HUBBARD card from 7.1 on; earlier versions use keys with the number of the species.
    Projectors are the atomic orbitals of the pseudopotentials in both cases.

    Parameters
    ----------
    cell
        Cell.
    hubbard
        U (eV) and orbital by element.
    version
        Version of pw.x, such as ``7.2``; unknown versions get the card.
    species
        Species of the input; one per element if empty.
    """
    species = species or [Species(symbol, symbol) for symbol in dict.fromkeys(cell.symbols)]
    used = [(one, hubbard[one.element]) for one in species if one.element in hubbard]
    if not used:
        return {}, []
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= (7, 1):
        lines = [f"U {one.name}-{_shell(one.element, u.orbital)} {u.u_ev}" for one, u in used]
        return {}, ["HUBBARD (atomic)", *lines]
    keys: dict[str, Any] = {"lda_plus_u": True, "u_projection_type": "atomic"}
    keys |= {f"Hubbard_U({species.index(one) + 1})": u.u_ev for one, u in used}
    return keys, []


def _shell(element: str, orbital: str) -> str:
    """Valence shell of an orbital: ``3d`` of iron, ``2p`` of oxygen, ``4f`` of cerium."""
    number = atomic_numbers[element]
    period = next(n for n, last in enumerate((2, 10, 18, 36, 54, 86, 118), 1) if number <= last)
    below = {"s": 0, "p": 0, "d": 1, "f": 2}[orbital]
    return f"{period - below}{orbital}"


def polarisation(
    cell: Atoms, reference: EspressoReference, potentials: Mapping[str, Pseudopotential]
) -> list[float]:
    """Return the starting magnetisation of each atom as a share of its valence electrons.

    The moments of the cell (Bohr magnetons) are used if present, otherwise those by element.

    Parameters
    ----------
    cell
        Cell.
    reference
        Settings, which hold the starting magnetisation by element.
    potentials
        Pseudopotential of each element.

    Raises
    ------
    PhonsmithError
        The moment of an atom exceeds its number of valence electrons.
    """
    moments = moments_of(cell)
    if moments is None:
        return [reference.starting_magnetization.get(symbol, 0.0) for symbol in cell.symbols]
    shares = []
    for symbol, moment in zip(cell.symbols, moments, strict=True):
        valence = potentials[symbol].valence
        if abs(moment) > valence:
            raise PhonsmithError(
                f"magnetic_moments_bohr: {moment:g} of {symbol}, which has {valence:g} valence "
                "electrons in its pseudopotential; give a smaller moment"
            )
        shares.append(round(float(moment) / valence, 8))
    return shares


def k_points(reference: EspressoReference, cell: Atoms) -> tuple[int, int, int] | None:
    """Divisions of the mesh of k-points; None is Γ alone, for which pw.x has a faster way."""
    divisions = mesh(cell, reference.kspacing_per_angstrom)
    return None if divisions == (1, 1, 1) and not reference.shifted_mesh else divisions


def write_input(
    folder: Path, subject: Subject, reference: EspressoReference, settings: Namelists
) -> None:
    """Write the input of pw.x with ASE's Espresso calculator.

    Parameters
    ----------
    folder
        Folder for the input.
    subject
        Cell, pseudopotentials, k-points and version of pw.x.
    reference
        Settings of the reference method.
    settings
        Namelists.
    """
    from ase.calculators.espresso import EspressoProfile, EspressoTemplate

    cell, potentials = subject.cell, subject.potentials
    atoms = Atoms(cell.symbols, positions=cell.positions, cell=cell.cell[:], pbc=True)
    species: list[Species] = []
    if settings["system"].get("nspin") == 2:
        # ASE hands these on as they are: spin polarisation, not Bohr magnetons
        start = polarisation(cell, reference, potentials)
        if "tot_magnetization" in settings["system"]:  # an isolated atom
            start = [1.0]
        atoms.set_initial_magnetic_moments(start)
        species = species_of(atoms)
    place = next(iter(potentials.values())).path.parent.absolute()
    template = EspressoTemplate()
    template.inputname = INPUT
    further, card = hubbard_input(cell, reference.hubbard, subject.version, species)
    template.write_input(
        EspressoProfile("pw.x", str(place)),
        folder,
        atoms,
        {
            "input_data": merged(settings, {"system": further}),
            "additional_cards": card,
            "pseudopotentials": {symbol: one.path.name for symbol, one in potentials.items()},
            "kpts": subject.kpts,
            "koffset": (int(reference.shifted_mesh),) * 3,
        },
        ["energy", "forces", "stress"],
    )
