"""Does it help to start the SCF of a cell from the density of the last one?

python benchmarks/density_restart.py PSEUDOPOTENTIALS   (the folder of si-qe-small; some minutes)

Labels displaced and rattled cells of eight silicon atoms twice, starting from overlapping free
atoms and from the density of the cell before, and prints SCF steps and CPU time of pw.x.
"""

import contextlib
import io
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from phonsmith.labels.factory import reference_method
from phonsmith.labels.protocol import Allocation

CELLS = 5


def displaced(index: int) -> Atoms:
    """One atom moved by 0.01 Å, as phonopy does."""
    cell = bulk("Si", a=5.435, cubic=True)
    cell.positions[index % 8] += 0.01 * np.roll([1, 0, 0], index)
    return cell


def rattled(index: int, std: float, volumes: float = 0.0) -> Atoms:
    """All atoms moved, and the volume changed by up to ``volumes``."""
    rng = np.random.default_rng(index)
    cell = bulk("Si", a=5.435, cubic=True)
    cell.set_cell(cell.cell[:] * (1 + volumes * rng.uniform(-1, 1)) ** (1 / 3), scale_atoms=True)
    cell.positions += rng.normal(scale=std, size=cell.positions.shape)
    return cell


KINDS = {
    "displaced 0.01 Å": displaced,
    "rattled 0.001 Å": lambda index: rattled(index, 0.001),
    "rattled 0.01 Å": lambda index: rattled(index, 0.01),
    "rattled 0.03 Å": lambda index: rattled(index, 0.03),
    "rattled 0.03 Å, volume ±3 %": lambda index: rattled(index, 0.03, 0.03),
}


def measure(cells: list[Atoms], folder: Path, reuse: bool) -> tuple[list[int], float]:
    """SCF steps and CPU seconds of all cells but the first."""
    settings = {
        "method": "espresso",
        "pseudopotentials": {
            "folder": str(folder),
            "files": {"Si": "Si.pbesol-nl-rrkjus_psl.1.0.0.UPF"},
        },
        "ecutwfc_ry": 30,
        "ecutrho_ry": 180,
        "kspacing_per_angstrom": 0.6,
        "occupations": "fixed",
        "reuse_density": reuse,
    }
    steps = []
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
        method = reference_method(settings, allocation=Allocation(1, Path(work)))
        method.label(cells[0])
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        for cell in cells[1:]:
            steps.append(int(method.label(cell).info["scf_steps"]))
    return steps, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main() -> None:
    """Print one line for each kind of cell."""
    print("| cells | steps, free atoms | steps, last density | CPU time |")
    print("|---|---|---|---|")
    for name, make in KINDS.items():
        cells = [make(index) for index in range(CELLS)]
        fresh, fresh_s = measure(cells, Path(sys.argv[1]), reuse=False)
        last, last_s = measure(cells, Path(sys.argv[1]), reuse=True)
        print(
            f"| {name} | {np.mean(fresh):.1f} | {np.mean(last):.1f} | "
            f"{100 * (last_s / fresh_s - 1):+.0f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
