"""Map of the data of a campaign: what fits learn from and are tested on, in SOAP distance."""

from collections.abc import Mapping, Sequence

import pandas as pd
from ase import Atoms

from phonsmith.disorder.settings import SimilaritySoap
from phonsmith.disorder.similarity import kernel_map
from phonsmith.files.seeds import generator_for

CELLS_OF_A_SET = 300
"""Cells of a data set in the map. The kernel of all cells is diagonalised: seconds for ten sets."""

_NAMED = ("recorded", "distilled")
"""Kinds of cells that are told apart by the name of their data set."""
_LEFT_OUT = ("isolated_atom", "constraint")
"""Kinds that are no cells of their own: atoms without neighbours, and copies of crystals."""


def sets_of(train: Sequence[Atoms], test: Sequence[Atoms]) -> dict[str, list[Atoms]]:
    """Sort the cells of a campaign into sets.

    Parameters
    ----------
    train, test
        Cells that fits learn from and are tested on, with ``kind`` and ``structure``.

    Returns
    -------
    Cells by name of the set: that of a database or of a teacher's runs, or the kind of the cells
    of crystals; with ``test: `` before it for test cells. Recorded data come first, then those of
    the teacher, then cells of crystals, then tests.
    """
    found: dict[tuple[bool, int, str], list[Atoms]] = {}
    for is_test, frames in ((False, train), (True, test)):
        for frame in frames:
            kind = str(frame.info["kind"])
            if kind in _LEFT_OUT:
                continue
            place = _NAMED.index(kind) if kind in _NAMED else len(_NAMED)
            name = str(frame.info["structure"]) if kind in _NAMED else f"{kind} cells"
            found.setdefault((is_test, place, name), []).append(frame)
    order = sorted(found, key=lambda key: key[:2])  # stable: names as they come
    return {f"{'test: ' if key[0] else ''}{key[2]}": found[key] for key in order}


def data_map(
    sets: Mapping[str, Sequence[Atoms]],
    settings: SimilaritySoap,
    seed: int,
    most: int = CELLS_OF_A_SET,
) -> pd.DataFrame:
    """Project data sets onto the principal components of their SOAP kernel.

    Parameters
    ----------
    sets
        Cells by name of the set.
    settings
        Parameters of the similarity.
    seed
        Seed of the campaign.
    most
        Cells of each set in the map; of a larger one a random sample of this size.

    Returns
    -------
    The table of :func:`phonsmith.disorder.similarity.kernel_map`, where ``index`` counts the cells
    of the whole set, and ``cells``, their number.

    Raises
    ------
    PhonsmithError
        There are fewer than three cells.
    """
    chosen = {name: _sample(len(frames), most, name, seed) for name, frames in sets.items()}
    cells = {name: [sets[name][index] for index in places] for name, places in chosen.items()}
    table = kernel_map(cells, settings)
    table["index"] = [index for places in chosen.values() for index in places]
    sizes = {name: len(frames) for name, frames in sets.items()}
    table.insert(2, "cells", table["set"].map(sizes))
    return table


def _sample(size: int, most: int, name: str, seed: int) -> list[int]:
    """Indices of a set in ascending order."""
    if size <= most:
        return list(range(size))
    random = generator_for(seed, f"map/{name}", 0, 0)
    return sorted(random.choice(size, most, replace=False).tolist())
