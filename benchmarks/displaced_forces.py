"""Forces on displaced cells of a GAP: the changed centres against all centres, in one run.

The displaced cells are those for the phonons of the silicon allotropes, or of recorded phonopy
files (--recorded), and those for third-order force constants of diamond. Both ways alternate; the
model is read once beforehand. CPU seconds of this process, one thread.

    python benchmarks/displaced_forces.py results/si-demo/fits/gap/gen0/potential.json

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
from phonopy import Phonopy  # noqa: E402

from phonsmith.conductivity.settings import ThirdOrder  # noqa: E402
from phonsmith.conductivity.third_order import cells_of, displaced  # noqa: E402
from phonsmith.files.phonopy_files import read_phonopy_file  # noqa: E402
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
    """CPU seconds and results."""
    start = time.process_time()
    found = compute()
    return time.process_time() - start, found


def generated(path: Path) -> Phonopy:
    """Displacements of a crystal in a supercell of the usual size."""
    crystal = read_structure(path)
    phonon = make_phonopy(crystal, supercell_matrix(crystal, SUPERCELLS))
    displaced_cells(phonon, Displaced())
    return phonon


def recorded(path: Path) -> Phonopy:
    """Displacements of a phonopy file."""
    file = read_phonopy_file(path)
    phonon = file.phonopy()
    phonon.dataset = file.converted(file.data.dataset)
    return phonon


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
    parser.add_argument("--out", type=Path)
    parser.add_argument("--recorded", nargs="+", type=Path, help="phonopy files of displacements")
    options = parser.parse_args()
    source = load_potential(options.potential).source
    warm = Atoms("Si", cell=[4.0] * 3, pbc=True)
    started = time.process_time()
    evaluate([warm], source)
    print(f"imports, reading the model and one atom: {time.process_time() - started:.2f} s")
    rows = []
    for path in options.recorded or sorted(CRYSTALS.glob("*.vasp")):
        phonon = recorded(path) if options.recorded else generated(path)
        cells = [to_ase(cell) for cell in phonon.supercells_with_displacements]
        translations = phonon.primitive.atomic_permutations
        rows.append(row(path.stem, to_ase(phonon.supercell), cells, source, translations))
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
