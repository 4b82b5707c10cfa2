"""A reference method that misbehaves on purpose, and says what it has computed."""

import os
import time
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource

WHOLE = PotentialSource(calculator="stillinger-weber")


def key(cell: Atoms) -> str:
    """A name for a cell that its calculator can work out too."""
    return f"{abs(cell.positions).sum():.6f}"


class Trapped(Calculator):  # type: ignore[misc]
    """Stillinger-Weber that writes down every cell it has computed, and the SLURM job it was in.

    ``folder`` holds a file ``trap-KEY`` for each cell that misbehaves: ``memory`` and ``time``
    take more than a job may have, ``wait`` waits to be ended, each once; with ``fault`` the job
    cannot succeed while the file is there; ``slow`` takes some seconds. The lines go to the file
    ``computed`` there.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.whole = make_calculator(WHOLE)
        self.folder = Path(folder)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        trap = self.folder / f"trap-{key(atoms)}"
        if trap.exists():
            self._spring(trap)
        self.whole.calculate(atoms, properties, system_changes)
        self.results = dict(self.whole.results)
        with (self.folder / "computed").open("a") as stream:
            stream.write(f"{key(atoms)} {os.environ.get('SLURM_JOB_ID', '')}\n")

    def _spring(self, trap: Path) -> None:
        what = trap.read_text()
        with (self.folder / "sprung").open("a") as stream:
            stream.write(f"{what}\n")
        if what == "fault":
            raise PhonsmithError("this cell cannot be computed; take the trap away")
        if what == "slow":
            time.sleep(4)
            return
        trap.unlink()
        taken = []
        while True:
            if what == "memory" and len(taken) < 30:  # 3 GB, slowly enough to be seen
                taken.append(os.urandom(1) * 100_000_000)
            time.sleep(0.3)
