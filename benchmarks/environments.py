"""What it costs to compute in another environment: one force call inside and outside.

    python benchmarks/environments.py

Stillinger–Weber silicon inside this process and in a child under this Python, alternately; and a
calculator outside that computes nothing, whose whole time is overhead. The shortest of many calls
counts, since others may use the machine.
"""

import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import BaseCalculator

from phonsmith.files.reading_writing import write_json
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.environments import environment
from phonsmith.potentials.outside import OutsideCalculator
from phonsmith.potentials.settings import PotentialSource

OWN = """
import numpy as np
from ase.calculators.calculator import Calculator
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (
    StillingerWeber, Stillinger_Weber_PRB_31_5262_Si as SILICON)

class Silicon(Manybody):
    def __init__(self):
        super().__init__(**StillingerWeber(SILICON))

class Nothing(Calculator):
    implemented_properties = ["energy", "forces", "stress"]

    def calculate(self, atoms, *arguments):
        forces = np.zeros((len(atoms), 3))
        self.results = {"energy": 0.0, "forces": forces, "stress": np.zeros(6)}
"""
CALLS = 100


@contextmanager
def this_python_as_an_environment() -> Iterator[None]:
    """A folder whose environment `here` has the packages of this Python."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("own_calculators.py").write_text(OWN, encoding="utf-8")
        Path("envs").mkdir()
        Path("envs/here.txt").write_text("ase==0\n", encoding="utf-8")
        found = environment("here")
        venv = [sys.executable, "-m", "venv", "--without-pip", str(found.folder)]
        subprocess.run(venv, check=True)
        (packages,) = found.folder.glob("lib/*/site-packages")
        (packages / "all.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        write_json(found.record, {"packages": {}})
        os.environ["PYTHONPATH"] = folder
        try:
            yield
        finally:
            os.chdir(before)
            shutil.rmtree(folder, ignore_errors=True)


def times_ms(cell: Atoms, calculators: dict[str, BaseCalculator]) -> dict[str, list[float]]:
    """Wall time of force calls in ms by calculator, alternately."""
    found: dict[str, list[float]] = {name: [] for name in calculators}
    for _ in range(CALLS):
        cell.positions[0, 0] += 1e-6
        for name, calculator in calculators.items():
            start = time.perf_counter()
            calculator.get_property("forces", cell)
            found[name].append(1e3 * (time.perf_counter() - start))
    return found


def main() -> None:
    """Print a table."""
    with this_python_as_an_environment():
        calculators = {
            "inside": make_calculator(PotentialSource(calculator="stillinger-weber")),
            "outside": OutsideCalculator("here", "own_calculators:Silicon", {}),
            "overhead": OutsideCalculator("here", "own_calculators:Nothing", {}),
        }
        print("| atoms | inside / ms | outside / ms | overhead / ms (median) |\n|---|---|---|---|")
        for number in (1, 2, 3, 4):
            cell = bulk("Si", cubic=True).repeat(number)
            cell.rattle(0.02, seed=number)
            left, right = (calculators[name].get_forces(cell) for name in ("inside", "outside"))
            assert np.array_equal(left, right)
            found = times_ms(cell, calculators)
            least = {name: min(each) for name, each in found.items()}
            print(
                f"| {len(cell)} | {least['inside']:.2f} | {least['outside']:.2f} | "
                f"{least['overhead']:.2f} ({statistics.median(found['overhead']):.2f}) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
