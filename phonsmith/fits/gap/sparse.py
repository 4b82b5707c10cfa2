"""Environments from which the sparse points of a GAP are chosen."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.seeds import generator_for
from phonsmith.fits.gap.settings import GapFit, Soap
from phonsmith.fits.record import DRAWN_AGAIN

PRISTINE_KINDS = frozenset({"displaced", "constraint"})
SMALLEST_COPY = 24
"""Atoms of a rattled copy, at least: in smaller cells periodic images move alike."""
CHOICE = 3
"""Environments in the rattled copies for each sparse point."""


def special_name(atoms: Atoms, names: Collection[str]) -> str | None:
    """Return the most specific of ``names`` for a frame: config type, structure or kind."""
    info = atoms.info
    for name in (info.get("config_type"), info.get("structure"), info.get("kind")):
        if name is not None and str(name) in names:
            return str(name)
    return None


@dataclass(frozen=True)
class SparsePlan:
    """Sparse points by group.

    ``groups`` has the group of each frame, or None for those that give no sparse points;
    ``points`` how many sparse points each group gives, for each central element; ``copies`` the
    further cells without labels, and ``copy_groups`` their groups.
    """

    groups: list[str | None]
    points: dict[str, int]
    copies: list[Atoms]
    copy_groups: list[str | None]


def plan_sparse_points(fit: GapFit, frames: Sequence[Atoms]) -> SparsePlan:
    """Share the sparse points of the SOAP descriptor among groups of frames.

    gap_fit chooses sparse points for each central element separately: the total number is
    divided by the number of elements.

    Raises
    ------
    PhonsmithError
        ``n_sparse_by_group`` names a group without frames, or ``sparse_from: rattled`` finds no
        cell to copy.
    """
    soap = fit.soap
    if soap is None:
        return SparsePlan([None] * len(frames), {}, [], [])
    candidates = list(frames)
    if soap.sparse_from == "rattled":
        candidates = [a for a in frames if a.info.get("kind") not in PRISTINE_KINDS]
        candidates += _bases(frames).values()
    shares = _shares(soap, candidates)
    copies = _rattled_copies(fit, soap, frames, shares) if soap.sparse_from == "rattled" else []
    elements = len({symbol for atoms in frames for symbol in set(atoms.symbols)})
    points = {group: max(1, number // elements) for group, number in shares.items()}
    pristine = PRISTINE_KINDS if soap.sparse_from == "rattled" else frozenset()
    groups = [
        None
        # two equal sparse points make the covariance singular
        if atoms.info.get("kind") in pristine or DRAWN_AGAIN in atoms.info
        else _group(soap, atoms)
        for atoms in frames
    ]
    return SparsePlan(groups, points, copies, [_group(soap, atoms) for atoms in copies])


def _group(soap: Soap, atoms: Atoms) -> str | None:
    if soap.n_sparse_by_group is not None:
        return special_name(atoms, soap.n_sparse_by_group)
    if atoms.info.get("kind") in ("isolated_atom", "constraint") and soap.share_sparse == "kind":
        return None  # a handful of environments needs no equal share
    if atoms.info.get("kind") == "isolated_atom" and soap.share_sparse != "all":
        return None
    if soap.share_sparse == "structure":
        return str(atoms.info.get("structure", "all"))
    if soap.share_sparse == "kind":
        return str(atoms.info.get("kind", "all"))
    return "all"


def _shares(soap: Soap, candidates: Sequence[Atoms]) -> dict[str, int]:
    found = sorted({group for atoms in candidates if (group := _group(soap, atoms)) is not None})
    if soap.n_sparse_by_group is not None:
        for name in soap.n_sparse_by_group:
            if name not in found:
                raise PhonsmithError(
                    f"soap.n_sparse_by_group: '{name}' is not the most specific config type, "
                    f"structure or kind of any training cell; found {', '.join(found) or 'none'}"
                )
        return dict(soap.n_sparse_by_group)
    each, more = divmod(soap.n_sparse, max(1, len(found)))
    return {name: max(1, each + (i < more)) for i, name in enumerate(found)}


def _bases(frames: Sequence[Atoms]) -> dict[str, Atoms]:
    """The cell of each crystal that is copied: its constraint cell, else its first displaced."""
    order = {"constraint": 0, "displaced": 1}
    cells = [atoms for atoms in frames if atoms.info.get("kind") in order]
    cells.sort(
        key=lambda a: (
            order[a.info["kind"]],
            int(a.info.get("generation", 0)),
            int(a.info.get("index", 0)),
        )
    )
    bases: dict[str, Atoms] = {}
    for atoms in cells:
        base = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
        base.info.update(structure=str(atoms.info.get("structure", "")), kind="displaced")
        bases.setdefault(base.info["structure"], base)
    return dict(sorted(bases.items()))


def _rattled_copies(
    fit: GapFit, soap: Soap, frames: Sequence[Atoms], shares: dict[str, int]
) -> list[Atoms]:
    bases = _bases(frames)
    crystals: dict[str, int] = defaultdict(int)
    for base in bases.values():
        crystals[_group(soap, base) or ""] += 1
    copies = []
    for name, base in bases.items():
        group = _group(soap, base) or ""
        wanted = CHOICE * shares.get(group, 0) / crystals[group]
        repeat = 1
        while repeat**3 * len(base) < SMALLEST_COPY:
            repeat += 1
        for i in range(int(np.ceil(wanted / (repeat**3 * len(base))))):
            copy = base.repeat(repeat)
            random = generator_for(fit.seed, name, 0, i)
            copy.positions += random.normal(
                scale=soap.sparse_rattle_std_angstrom, size=copy.positions.shape
            )
            copies.append(copy)
    return copies
