"""Cells that steer a training, taken from the training set and never from the test set."""

from collections import defaultdict
from collections.abc import Sequence

from ase import Atoms

from phonsmith.files.seeds import seed_for
from phonsmith.fits.record import DRAWN_AGAIN

HOLDABLE_KINDS = frozenset({"rattled", "recorded"})
"""Kinds that validation may withhold from training. A displaced cell holds force constants of its
crystal that no other cell has."""


def validation_split(
    frames: Sequence[Atoms], fraction: float, seed: int
) -> tuple[list[Atoms], list[Atoms], bool]:
    """Split training cells into those that MACE learns from and those for validation.

    Validation cells determine the learning rate and the final state. They are taken, stratified by
    structure and kind, from rattled and recorded cells, which are then not used for training. If
    there are only displaced cells, some serve both for training and for validation.

    Parameters
    ----------
    frames
        Training cells.
    fraction
        Share of validation cells in each group.
    seed
        Seed of the random choice.

    Returns
    -------
    Learning cells, validation cells, and whether the latter are among the former.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, atoms in enumerate(frames):
        if atoms.info.get("kind", "recorded") in HOLDABLE_KINDS:
            groups[_name(atoms)].append(i)
    overlap = sum(len(members) for members in groups.values()) < 2
    if overlap:
        groups.clear()
        for i, atoms in enumerate(frames):
            if atoms.info.get("kind") != "constraint":
                groups[_name(atoms)].append(i)
    ranked = {
        name: sorted(members, key=lambda i: _rank(frames[i], seed))
        for name, members in sorted(groups.items())
    }
    chosen = {
        i for members in ranked.values() for i in members[: int(fraction * len(members) + 1e-9)]
    }
    if not chosen and ranked:
        chosen = {max(ranked.values(), key=len)[0]}
    # a cell that was drawn twice must not train and steer; its first copy ranks before the others
    steering = {_rank(frames[i], seed) for i in chosen}
    chosen |= {
        i
        for i, atoms in enumerate(frames)
        if DRAWN_AGAIN in atoms.info and _rank(atoms, seed) in steering
    }
    validation = [atoms for i, atoms in enumerate(frames) if i in chosen]
    learning = [atoms for i, atoms in enumerate(frames) if overlap or i not in chosen]
    return learning, validation, overlap


def _name(atoms: Atoms) -> tuple[str, str]:
    return str(atoms.info.get("structure", "")), str(atoms.info.get("kind", "recorded"))


def _rank(atoms: Atoms, seed: int) -> int:
    name = "/".join(("validation", *_name(atoms)))
    generation, index = (int(atoms.info.get(key, 0)) for key in ("generation", "index"))
    return seed_for(seed, name, generation, index)
