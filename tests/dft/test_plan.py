"""The plan's estimate against real runs of pw.x.

Sizes agree exactly and memory within a factor. Time is compared between cells of one run, since
machines differ; seconds of a known machine are in benchmarks/pw_cost.csv.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.labels.espresso.inputs import INPUT, Subject, k_points, namelists, write_input
from phonsmith.labels.espresso.pseudopotentials import pseudopotentials_of
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.plan.costs import electronic_size, label_cost
from phonsmith.running.costs import Cost, ElectronicSize

pytestmark = pytest.mark.dft

MEMORY_FACTOR = 2.5
"""How far memory may be from the estimate, with other libraries."""

TIME_FACTOR = 4.0
"""How far the ratio of the times of two cells may be from the estimated ratio."""

DEBIAN = Path("/usr/share/espresso/pseudo")  # the package quantum-espresso-data
FILES = {"Si": "Si.pbe-nl-rrkjus_psl.1.0.0.UPF", "O": "O.pbe-rrkjus.UPF"}


def displaced() -> Atoms:
    atoms = bulk("Si", a=5.43)
    atoms.positions[0] += [0, 0.01 / 2**0.5, 0.01 / 2**0.5]
    return atoms


def rattled(atoms: Atoms) -> Atoms:
    atoms.positions += np.random.default_rng(2).normal(scale=0.03, size=atoms.positions.shape)
    return atoms


def cristobalite() -> Atoms:
    """The ideal cubic structure of SiO2, which the model was not fitted to: low density, oxygen."""
    silicon = bulk("Si", a=7.16)
    bonds = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    oxygen = [silicon.positions[0] + 7.16 / 8 * np.array(bond) for bond in bonds]
    return silicon + Atoms("O4", positions=oxygen)


CELLS = {
    "Si2 displaced, smearing": (displaced(), {"kspacing_per_angstrom": 0.35}),
    "Si8 rattled, fixed": (
        rattled(bulk("Si", cubic=True, a=5.43)),
        {"kspacing_per_angstrom": 0.45, "occupations": "fixed"},
    ),
    "Si16 rattled, Γ alone": (
        rattled(bulk("Si", a=5.43).repeat(2)),
        {"kspacing_per_angstrom": 1.1},
    ),
    "Si2O4 rattled": (rattled(cristobalite()), {"kspacing_per_angstrom": 0.6}),
}


@dataclass(frozen=True)
class Run:
    """A cell with what was estimated and what pw.x printed and took."""

    size: ElectronicSize
    estimate: Cost
    text: str
    seconds: float
    memory_mb: float


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    found = {}
    for name, (cell, settings) in CELLS.items():
        reference = EspressoReference.model_validate(
            {
                "method": "espresso",
                "functional": "PBE",
                "pseudopotentials": {"folder": str(DEBIAN), "files": FILES},
                "ecutwfc_ry": 25,
                **settings,
            }
        )
        size = electronic_size(cell, reference)
        estimate = label_cost(cell, reference, size)
        found[name] = Run(size, estimate, *run(cell, reference, tmp_path_factory.mktemp("run")))
        steps = len(re.findall(r"iteration # *\d+ ", found[name].text))
        print(
            f"\n{name}: {size.kpoints} k-points, {steps} SCF steps, "
            f"{found[name].seconds:.1f} s of computing and {found[name].memory_mb:.0f} MB; the "
            f"estimate is {estimate.core_seconds / found[name].seconds:.2f} and "
            f"{estimate.memory_mb / found[name].memory_mb:.2f} times that"
        )
    return found


@pytest.mark.parametrize("name", CELLS)
def test_sizes_and_memory_of_a_label(runs, name):
    one = runs[name]
    size = one.size

    def printed(pattern: str) -> float:
        return float(re.search(pattern, one.text)[1])

    assert size.electrons == printed(r"number of electrons *= *([\d.]+)")
    assert size.kpoints == printed(r"number of k points= *(\d+)")
    assert size.bands == printed(r"number of Kohn-Sham states= *(\d+)")
    waves = np.mean([int(number) for number in re.findall(r"\( *(\d+) PWs\)", one.text)])
    assert size.plane_waves == pytest.approx(waves, rel=0.03)
    density = printed(r"Dense +grid: *(\d+) G-vectors") / (1 if size.kpoints > 1 else 0.5)
    assert size.density_waves == pytest.approx(density, rel=0.03)
    assert 1 / MEMORY_FACTOR < one.estimate.memory_mb / one.memory_mb < MEMORY_FACTOR


def test_the_time_of_one_cell_follows_from_that_of_another(runs):
    """Of the cell with most computing, since a short run is mostly its start."""
    speeds = {name: one.estimate.core_seconds / one.seconds for name, one in runs.items()}
    longest = max(runs, key=lambda name: runs[name].seconds)
    for name, speed in speeds.items():
        assert 1 / TIME_FACTOR < speed / speeds[longest] < TIME_FACTOR, name


def run(cell: Atoms, reference: EspressoReference, folder: Path) -> tuple[str, float, float]:
    """Output, core seconds and peak memory (MB) of pw.x with the input of a label."""
    potentials = pseudopotentials_of(reference.pseudopotentials, "PBE", cell.symbols)
    settings = namelists(reference, potentials)
    settings["control"]["verbosity"] = "high"  # to print the plane waves
    subject = Subject(cell, potentials, k_points(reference, cell))
    write_input(folder, subject, reference, settings)
    output = folder / "out.txt"
    with output.open("w") as stream:
        process = subprocess.Popen(
            ["pw.x", "-in", INPUT],
            cwd=folder,
            stdout=stream,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        _, status, usage = os.wait4(process.pid, 0)
    text = output.read_text()
    assert status == 0 and "convergence has been achieved" in text, text[-2000:]
    return text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024e-6
