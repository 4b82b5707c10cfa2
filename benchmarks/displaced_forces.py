"""Forces on displaced cells of a GAP: the changed centres against all centres, in one run.

The displaced cells are those for the phonons of the silicon allotropes, and those for third-order
force constants of diamond. Both ways read the model anew for each set of cells, as jobs do, and
alternate. CPU seconds of this process, one thread.

    python benchmarks/displaced_forces.py results/si-demo/fits/gap/gen0/potential.json OUT.csv

Differences are the largest of all force components, in eV/Å.
"""

import argparse
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from ase import Atoms  # noqa: E402

from phonsmith.conductivity.settings import ThirdOrder  # noqa: E402
from phonsmith.conductivity.third_order import cells_of, displaced  # noqa: E402
from phonsmith.potentials import calculators  # noqa: E402
from phonsmith.potentials.calculators import Evaluation, evaluate, load_potential  # noqa: E402
from phonsmith.potentials.displaced import evaluate_displaced  # noqa: E402
from phonsmith.potentials.locality import common_cell  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.structures.reading import read_structure  # noqa: E402
from phonsmith.supercells.cells import (  # noqa: E402
    displaced_cells,
    make_phonopy,
    supercell_matrix,
    to_ase,
)
from phonsmith.supercells.settings import Displaced, Supercells  # noqa: E402

CRYSTALS = Path(__file__).parents[1] / "config/structures/silicon"
SUPERCELLS = Supercells(min_length_angstrom=10.0, min_atoms=50, max_atoms=300)


def timed(compute: Callable[[], list[Evaluation]]) -> tuple[float, list[Evaluation]]:
    """CPU seconds and results, the reading of the model included."""
    calculators._kept.clear()
    start = time.process_time()
    found = compute()
    return time.process_time() - start, found


def row(
    name: str,
    perfect: Atoms,
    cells: list[Atoms],
    source: PotentialSource,
    translations: Any,
) -> dict[str, Any]:
    """Both ways on one set of cells."""
    full_s, full = timed(lambda: evaluate(cells, source))
    local_s, local = timed(
        lambda: evaluate_displaced(perfect, cells, source, translations=translations)
    )
    return {
        "cells_of": name,
        "cells": len(cells),
        "atoms": len(cells) * len(perfect),
        "all_centres_s": full_s,
        "changed_centres_s": local_s,
        "difference_ev_per_angstrom": max(
            float(np.abs(one.forces - other.forces).max())
            for one, other in zip(full, local, strict=True)
        ),
    }


def main() -> None:
    """Measure both ways crystal by crystal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", type=Path)
    parser.add_argument("out", nargs="?", type=Path)
    options = parser.parse_args()
    source = load_potential(options.potential).source
    warm = Atoms("Si", cell=[4.0] * 3, pbc=True)
    evaluate([warm], source)
    rows = []
    for path in sorted(CRYSTALS.glob("*.vasp")):
        crystal = read_structure(path)
        phonon = make_phonopy(crystal, supercell_matrix(crystal, SUPERCELLS))
        perfect, cells = to_ase(phonon.supercell), displaced_cells(phonon, Displaced())
        translations = phonon.primitive.atomic_permutations
        rows.append(row(path.stem, perfect, cells, source, translations))
    table = pd.DataFrame(rows)
    total = {"cells_of": "all of these", **table.drop(columns="cells_of").sum()}
    total["difference_ev_per_angstrom"] = table["difference_ev_per_angstrom"].max()
    table.loc[len(table)] = total
    diamond = make_phonopy(read_structure(CRYSTALS / "mp-149.vasp"), np.eye(3, dtype=int))
    cells = cells_of(displaced(diamond, ThirdOrder(), seed=0))
    common = common_cell(cells)
    assert common is not None
    table.loc[len(table)] = row("third order of mp-149", common, cells, source, None)
    table["ratio"] = table["all_centres_s"] / table["changed_centres_s"]
    print(table.to_string(index=False))
    print(f"quippy {version('quippy-ase')}, Python {platform.python_version()}, 1 thread")
    if options.out:
        table.to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
