"""Forces on displaced cells: phonsmith against a plain loop over ASE's atoms, in one run.

The same potential on the same cells: those for the phonons of the silicon allotropes, and those
for third-order force constants of diamond. Plain means what one would write: one process, one
calculator, cell after cell. Both find the cells by symmetry; the forces have to agree. Each way is
timed in this process, and once more as a program of its own, imports and all.

    python benchmarks/forces.py results/si-demo/fits/gap/gen0/potential.json OUT.csv

Without a fit: the Stillinger-Weber potential. Run it on a quiet machine; it uses all cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from ase import Atoms  # noqa: E402

from phonsmith.conductivity.settings import ThirdOrder  # noqa: E402
from phonsmith.conductivity.third_order import cells_of, displaced  # noqa: E402
from phonsmith.files.extxyz import read_frames, write_frames  # noqa: E402
from phonsmith.potentials.calculators import evaluate, load_potential, make_calculator  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.structures.reading import read_structure  # noqa: E402
from phonsmith.supercells.cells import displaced_cells, make_phonopy, supercell_matrix  # noqa: E402
from phonsmith.supercells.settings import Displaced, Supercells  # noqa: E402

CRYSTALS = Path(__file__).parents[1] / "config/structures/silicon"
SUPERCELLS = Supercells(min_length_angstrom=10.0, min_atoms=50, max_atoms=300)


def harmonic_cells() -> list[Atoms]:
    """The displaced cells of all silicon allotropes."""
    cells = []
    for path in sorted(CRYSTALS.glob("*.vasp")):
        crystal = read_structure(path)
        phonon = make_phonopy(crystal, supercell_matrix(crystal, SUPERCELLS))
        cells += displaced_cells(phonon, Displaced())
    return cells


def plain(cells: list[Atoms], source: PotentialSource) -> list[np.ndarray]:
    """Cell after cell."""
    calculator = make_calculator(source)
    forces = []
    for cell in cells:
        atoms = cell.copy()
        atoms.calc = calculator
        forces.append(atoms.get_forces())
    return forces


def as_program(way: str, cells: list[Atoms], source: PotentialSource, processes: int) -> float:
    """Seconds of a Python that starts, imports, reads the cells and computes their forces."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.extxyz"
        write_frames(path, cells)
        command = [sys.executable, __file__, "--processes", str(processes), "--way", way]
        started = time.perf_counter()
        subprocess.run(
            [*command, "--cells", str(path), "--source", source.model_dump_json()], check=True
        )
        return time.perf_counter() - started


def main() -> None:
    """Measure both ways on both sets of cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", nargs="?", type=Path)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    for inner in ("--way", "--cells", "--source"):  # of the programs that it starts
        parser.add_argument(inner, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        source = PotentialSource.model_validate_json(options.source)
        frames = read_frames(options.cells)
        if options.way == "plain":
            plain(frames, source)
        else:
            evaluate(frames, source, options.processes)
        return
    source = (
        load_potential(options.potential).source
        if options.potential
        else PotentialSource(calculator="stillinger-weber")
    )
    diamond = make_phonopy(read_structure(CRYSTALS / "mp-149.vasp"), np.eye(3, dtype=int))
    sets = {
        "phonons of 13 silicon allotropes": harmonic_cells(),
        "third order of diamond": cells_of(displaced(diamond, ThirdOrder(), seed=0)),
    }
    rows = []
    for name, cells in sets.items():
        started = time.perf_counter()
        theirs = plain(cells, source)
        between = time.perf_counter()
        ours = evaluate(cells, source, options.processes)
        done = time.perf_counter()
        worst = max(float(np.abs(a - b.forces).max()) for a, b in zip(theirs, ours, strict=True))
        assert worst < 1e-6, worst
        whole = {
            way: as_program(way, cells, source, options.processes) for way in ("plain", "phonsmith")
        }
        rows.append(
            {
                "cells_of": name,
                "potential": source.calculator,
                "cells": len(cells),
                "atoms": sum(map(len, cells)),
                "processes": options.processes,
                "plain_s": between - started,
                "phonsmith_s": done - between,
                "ratio": (between - started) / (done - between),
                **{f"{way}_program_s": seconds for way, seconds in whole.items()},
                "ratio_of_programs": whole["plain"] / whole["phonsmith"],
            }
        )
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    if options.out:
        table.to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
