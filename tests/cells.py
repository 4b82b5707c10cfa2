"""Cells to label."""

from ase import Atoms
from ase.build import bulk


def rattled_cells(count: int, symbol: str = "Si") -> list[Atoms]:
    """Cubic cells that differ; the same in every process."""
    made = []
    for index in range(count):
        cell = bulk(symbol, cubic=True)
        cell.rattle(0.05, seed=index)
        cell.info.update(structure="mp-1", kind="rattled", generation=0, index=index, seed=index)
        made.append(cell)
    return made
