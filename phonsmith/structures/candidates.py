"""Select crystals for a campaign: all stable and metastable crystals of a chemical system.

Run once, for example::

    python -m phonsmith.structures.candidates config/structures/si.yaml --chemical-system Si \\
        --max-energy-above-hull 0.1 --max-atoms 200 --relax-with chgnet

It writes a list to review. A campaign reads the list with
``structures_from: config/structures/si.yaml``.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ase import Atoms

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.reading_writing import replacing
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.terminal import errors_in_words
from phonsmith.structures.databases.addresses import (
    MATERIALS_PROJECT,
    fetched_path,
    path_of,
    structure_at,
)
from phonsmith.structures.databases.entries import Entry, today
from phonsmith.structures.reading import read_structure
from phonsmith.structures.settings import OptimadeEntry, Relaxation
from phonsmith.structures.symmetry import space_group, symmetrized
from phonsmith.supercells.settings import Supercells

if TYPE_CHECKING:
    from ase.calculators.calculator import BaseCalculator


@dataclass(frozen=True)
class Candidate:
    """An entry of the database, with the decision to keep or to omit it and the reason."""

    id: str
    formula: str
    space_group: str
    energy_above_hull_ev_per_atom: float | None
    atoms: int
    atoms_in_supercell: int | None
    kept: bool
    reason: str


@dataclass(frozen=True)
class Limits:
    """What a candidate must fulfil."""

    max_energy_above_hull_ev_per_atom: float
    supercells: Supercells
    relaxation: Relaxation = field(default_factory=Relaxation)


def judge(entry: Entry, limits: Limits, calculator: "BaseCalculator | None" = None) -> Candidate:
    """Judge whether a crystal is low in energy, small enough, and keeps its structure when relaxed.

    The cheap tests come first; the first that fails is the reason. Without a calculator nothing is
    relaxed.

    Parameters
    ----------
    entry
        Crystal and its origin in the database.
    limits
        Largest energy above the hull (eV/atom), supercell settings and relaxation settings.
    calculator
        ASE calculator for the relaxation; None skips the relaxation.

    Returns
    -------
    The candidate; ``reason`` is empty for an accepted crystal. No error is raised for a crystal
    that fails a test.
    """
    hull = entry.origin.energy_above_hull_ev_per_atom
    size, group, reason = None, "", ""
    try:
        crystal = symmetrized(entry.atoms, limits.relaxation.symprec_angstrom)
        group = space_group(crystal, limits.relaxation.symprec_angstrom)[1]
        reason = _too_high(hull, limits.max_energy_above_hull_ev_per_atom)
        if not reason:
            size = _atoms_in_supercell(crystal, limits.supercells)
            reason = _other_crystal(crystal, calculator, limits.relaxation)
    except PhonsmithError as error:
        reason = str(error)
    return Candidate(
        id=entry.origin.entry,
        formula=entry.atoms.get_chemical_formula("metal", empirical=True),
        space_group=group,
        energy_above_hull_ev_per_atom=hull,
        atoms=len(entry.atoms),
        atoms_in_supercell=size,
        kept=not reason,
        reason=reason,
    )


def _too_high(hull: float | None, limit: float) -> str:
    if hull is None:
        return "energy above the hull missing in the database"
    return f"{hull:.3f} eV/atom above the hull, more than {limit:g}" if hull > limit else ""


def _atoms_in_supercell(crystal: Atoms, settings: Supercells) -> int:
    import numpy as np

    from phonsmith.supercells.cells import supercell_matrix

    return len(crystal) * round(float(np.linalg.det(supercell_matrix(crystal, settings))))


def _other_crystal(
    crystal: Atoms, calculator: "BaseCalculator | None", settings: Relaxation
) -> str:
    from phonsmith.structures.relaxation import relaxed_crystal

    if calculator is None:
        return ""
    try:
        verdict = relaxed_crystal(crystal, calculator, settings)[1]
    except UnusablePotential as error:
        return str(error)
    return verdict.reason if verdict.lost else ""


def choose(
    entries: Iterable[Entry | PhonsmithError],
    database: str,
    limits: Limits,
    calculator: "BaseCalculator | None" = None,
) -> list[Candidate]:
    """Judge all entries of a database and write the files of the accepted crystals.

    A crystal that was fetched before is judged and kept as it was then.

    Parameters
    ----------
    entries
        Crystals; an error in place of a crystal is printed and skipped.
    database
        Name of the database, part of the paths of the crystal files.
    limits
        Limits of :func:`judge`.
    calculator
        ASE calculator for the relaxation; None skips the relaxation.

    Returns
    -------
    All candidates, accepted or not, sorted by energy above the hull.
    """
    candidates = []
    for entry in entries:
        if isinstance(entry, PhonsmithError):
            print(f"left out: {entry}", flush=True)
            continue
        path = path_of(database, entry.origin.entry)
        known = Entry(read_structure(path), entry.origin) if path.exists() else entry
        candidate = judge(known, limits, calculator)
        if candidate.kept and not path.exists():
            entry.save(path)
        print(f"{candidate.id}: {candidate.reason or 'kept'}", flush=True)
        candidates.append(candidate)
    return sorted(candidates, key=_by_energy)


def _by_energy(candidate: Candidate) -> tuple[float, str]:
    hull = candidate.energy_above_hull_ev_per_atom
    return (float("inf") if hull is None else hull, candidate.id)


# --- the list --------------------------------------------------------------------------------


def write_list(path: str | Path, candidates: Sequence[Candidate], database: str, how: str) -> None:
    """Write the YAML file for ``structures_from`` and a CSV file with the whole table.

    Parameters
    ----------
    path
        YAML file; the CSV file differs from it in the suffix only.
    candidates
        Accepted and rejected candidates.
    database
        Name of the database, part of the structures' names.
    how
        Description of the query and its limits for the comment at the top of the YAML file.

    Raises
    ------
    PhonsmithError
        No candidate is accepted. The CSV file is written before.
    """
    import pandas as pd

    path = Path(path)
    table = pd.DataFrame([asdict(one) for one in candidates], columns=list(_COLUMNS))
    table = table.astype({"atoms_in_supercell": "Int64"})
    with replacing(path.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False)
    kept = [one for one in candidates if one.kept]
    if not kept:
        raise PhonsmithError(
            f"{path}: none of {len(candidates)} crystals is kept; see {path.with_suffix('.csv')} "
            "for the reasons"
        )
    structures = {_name(database, one.id): _setting(database, one.id) for one in kept}
    shown = table.rename(columns=_COLUMNS).astype(object).where(table.notna().to_numpy(), "")
    lines = [
        f"Crystals for campaigns (structures_from: {path}); delete unwanted entries.",
        f"{how}; {today()}.",
        "",
        *shown.to_markdown(index=False, disable_numparse=True).splitlines(),
    ]
    text = yaml.safe_dump({"structures": structures}, sort_keys=False, default_flow_style=None)
    with replacing(path) as temporary:
        comment = "".join(f"# {line}".rstrip() + "\n" for line in lines)
        temporary.write_text(f"{comment}\n{text}", encoding="utf-8")


_COLUMNS = {
    "id": "id",
    "formula": "formula",
    "space_group": "space group",
    "energy_above_hull_ev_per_atom": "eV/atom above hull",
    "atoms": "atoms",
    "atoms_in_supercell": "in supercell",
    "kept": "kept",
    "reason": "why not",
}


def _name(database: str, id: str) -> str:
    """Name of the structure in campaigns: the id, with the provider before it."""
    if database == MATERIALS_PROJECT:
        return id
    provider = "" if "://" in database else f"{database}-"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{provider}{id}").strip("-._")[:80]


def _setting(database: str, id: str) -> dict[str, Any]:
    structure = structure_at(path_of(database, id))
    assert fetched_path(structure) == path_of(database, id)
    return structure.model_dump(mode="json", exclude_defaults=True)


# --- command line ----------------------------------------------------------------------------


def _arguments() -> argparse.ArgumentParser:
    sizes = Supercells()
    parser = argparse.ArgumentParser(
        prog="python -m phonsmith.structures.candidates",
        description="Choose the crystals of a campaign from a database.",
    )
    parser.add_argument("list", help="YAML file to write, e.g. config/structures/si.yaml")
    parser.add_argument(
        "--chemical-system", nargs="+", required=True, metavar="A-B", help="e.g. Si or Ga-O"
    )
    parser.add_argument("--max-energy-above-hull", type=float, default=0.1, metavar="EV_PER_ATOM")
    parser.add_argument("--min-length", type=float, default=sizes.min_length_angstrom, metavar="Å")
    parser.add_argument("--min-atoms", type=int, default=sizes.min_atoms)
    parser.add_argument("--max-atoms", type=int, default=sizes.max_atoms, help="in the supercell")
    parser.add_argument("--provider", help="an OPTIMADE database, e.g. oqmd (default: MP)")
    parser.add_argument("--base-url", help="address of another OPTIMADE database")
    parser.add_argument(
        "--hull-key", help="field of the OPTIMADE database with the energy above the hull"
    )
    parser.add_argument(
        "--relax-with",
        metavar="CALCULATOR",
        help="relax, and keep only crystals that remain unchanged, e.g. with chgnet",
    )
    parser.add_argument("--model", help="model file of --relax-with gap or mace")
    return parser


def _found(given: argparse.Namespace) -> tuple[str, Iterator[Entry | PhonsmithError]]:
    """Name of the database, and its entries."""
    if not (given.provider or given.base_url):
        from phonsmith.structures.databases.materials_project import entries

        return MATERIALS_PROJECT, iter(entries(given.chemical_system))
    from phonsmith.structures.databases.optimade import HULL_KEYS, address_of
    from phonsmith.structures.databases.optimade import entries as optimade_entries

    key = given.hull_key or HULL_KEYS.get(given.provider or "")
    if key is None:
        raise PhonsmithError(
            "--hull-key: give the field with the energy above the hull for this database; known "
            "for " + ", ".join(f"{name}: {field}" for name, field in HULL_KEYS.items())
        )
    address = address_of(OptimadeEntry(provider=given.provider, base_url=given.base_url, id="-"))
    pages = partial(optimade_entries, address, hull_key=key)
    return given.provider or given.base_url, (
        one for system in given.chemical_system for one in pages(system)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose candidates as specified on the command line."""
    given = _arguments().parse_args(arguments)
    with errors_in_words():
        sizes = Supercells(
            min_length_angstrom=given.min_length,
            min_atoms=given.min_atoms,
            max_atoms=given.max_atoms,
        )
        limits = Limits(given.max_energy_above_hull, sizes)
        calculator = None
        if given.relax_with:
            from phonsmith.potentials.calculators import make_calculator

            calculator = make_calculator(
                PotentialSource(calculator=given.relax_with, model=given.model)
            )
        database, entries = _found(given)
        how = " ".join(["python -m phonsmith.structures.candidates", *(arguments or sys.argv[1:])])
        write_list(given.list, choose(entries, database, limits, calculator), database, how)
        print(f"\n{given.list}: check the entries, then set `structures_from: {given.list}`")


if __name__ == "__main__":
    main()
