"""Exported potentials in plain LAMMPS, as docs/lammps.md describes, against ASE."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from ase.md.velocitydistribution import thermalize_momenta
from scipy.stats import ttest_ind

from phonsmith.datasets.sets import Baseline
from phonsmith.fits import training as fits
from phonsmith.fits.pod.settings import PodFit
from phonsmith.fits.registry import KINDS
from phonsmith.potentials.calculators import evaluate, make_calculator
from phonsmith.potentials.dynamics import Bath, LangevinRun, Stretch
from phonsmith.potentials.environments import made
from phonsmith.potentials.settings import PotentialSource
from tests.environments import require_environment
from tests.fits.examples import SW, labelled

DOCS = Path(__file__).parents[3] / "docs/lammps.md"
BAR = 1.6021765e6
"""Bar in one eV/Å³, as LAMMPS's metal units."""

pytestmark = pytest.mark.slow


def rattled(seed: int) -> Atoms:
    random = np.random.default_rng(seed)
    atoms = bulk("Si", cubic=True, a=5.43) * (2, 2, 1)
    atoms.set_cell(atoms.cell.array * random.uniform(0.97, 1.03), scale_atoms=True)
    atoms.positions += random.normal(scale=0.12, size=(len(atoms), 3))
    return atoms


@pytest.fixture(scope="module")
def lmp(repository: Path):
    """LAMMPS's program, in a directory with the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        require_environment("lammps", repository)
        yield made("lammps").folder.absolute() / "bin/lmp"


@pytest.fixture(scope="module")
def potential(lmp: Path, tmp_path_factory: pytest.TempPathFactory) -> PotentialSource:
    """A POD of Stillinger–Weber silicon."""
    folder = tmp_path_factory.mktemp("pod")
    cells = [rattled(seed) for seed in range(20)]
    found = evaluate(cells, SW)
    cells = [
        labelled(cell, one, "dia", "rattled", index)
        for index, (cell, one) in enumerate(zip(cells, found, strict=True))
    ]
    fit = PodFit(
        kind="pod", cutoff_angstrom=4.5, radial_functions=[8, 6, 4], angular_degrees=[4, 3]
    )
    record = fits.train(fit, cells, Baseline({"Si": 0.5}, "none"), folder, folder / "work", 1)
    return PotentialSource(calculator="pod", model=str(folder / record.model))


def example() -> list[str]:
    """The input of LAMMPS in the docs, whose lines for the potential are those beside a model."""
    (block,) = re.findall(r"```\n(units metal\n.*?)```", DOCS.read_text(), re.DOTALL)
    lines = KINDS["pod"].in_lammps(Path("pod_coefficients.pod"), ["Si"]).splitlines()
    assert "\n".join(lines[1:]) in block
    return block.splitlines()


def run(lmp: Path, potential: PotentialSource, cell: Atoms, lines: list[str], folder: Path) -> str:
    """Run LAMMPS in a folder with the exported files, and return its output."""
    for name in ("pod_param.pod", "pod_coefficients.pod"):
        shutil.copy(Path(str(potential.model)).with_name(name), folder)
    write(
        folder / "cell.data",
        cell,
        format="lammps-data",
        specorder=["Si"],
        masses=True,
        atom_style="atomic",
    )
    (folder / "in.test").write_text("\n".join(lines) + "\n")
    command = [lmp, "-in", "in.test", "-log", "none"]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def table(output: str) -> np.ndarray:
    """The last table that thermo prints."""
    text = re.findall(r"^ *Step .*\n(?:[ \d.eE+-]+\n)+", output, re.MULTILINE)[-1]
    return np.array([line.split() for line in text.splitlines()[1:]], dtype=float)


def test_a_static_run_of_the_exported_files_agrees_with_the_calculator(
    lmp: Path, potential: PotentialSource, tmp_path: Path
) -> None:
    cell = rattled(100)
    # LAMMPS's form of a triclinic cell, so that forces need no rotation
    cell.set_cell([[10.8, 0, 0], [1.3, 10.9, 0], [-0.7, 1.1, 5.5]], scale_atoms=True)
    lines = [line for line in example() if not line.startswith(("velocity", "fix", "run"))]
    lines = [re.sub("custom.*", "custom step pe pxx pyy pzz pyz pxz pxy", one) for one in lines]
    lines += ["dump 1 all custom 1 forces.dump id type x y z fx fy fz"]
    lines += ["dump_modify 1 format float %.12g sort id", "thermo_modify format float %.12g"]
    (row,) = table(run(lmp, potential, cell, [*lines, "run 0"], tmp_path))
    (ours,) = evaluate([cell], potential)
    assert row[1] == pytest.approx(ours.energy, abs=1e-7)
    voigt = ours.stress[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
    assert -row[2:] / BAR == pytest.approx(voigt, abs=1e-9)
    forces = read(tmp_path / "forces.dump", format="lammps-dump-text").get_forces()
    assert forces == pytest.approx(ours.forces, abs=1e-7)


# Langevin thermostats in both: LAMMPS's fix npt does not bring so small a crystal to equilibrium.
CRYSTAL = bulk("Si", cubic=True, a=5.43) * (2, 2, 1)
KELVIN, GPA = 600.0, 4.0
FEMTOSECONDS = 2.0
SETTLED, SAMPLED = 500, 3000
"""Steps before, and steps with volumes."""


def volumes_by_lammps(lmp: Path, potential: PotentialSource, seed: int, folder: Path) -> float:
    """Mean volume (Å³ per atom) of a run of the example, at another temperature and pressure."""
    folder.mkdir()
    ours = ("timestep", "velocity", "fix", "thermo", "run")
    lines = [line for line in example() if not line.startswith(ours)]
    bar = GPA * 1e4
    lines += [
        f"timestep {FEMTOSECONDS / 1000}",
        f"velocity all create {2 * KELVIN} {seed + 1} dist gaussian",
        f"fix dynamics all nph iso {bar} {bar} 0.2",
        f"fix thermostat all langevin {KELVIN} {KELVIN} 0.1 {seed + 1} zero yes",
        "thermo_style custom step vol",
        "thermo_modify format float %.8g",
        "thermo 5",
        f"run {SETTLED + SAMPLED}",
    ]
    found = table(run(lmp, potential, CRYSTAL, lines, folder))
    return float(found[found[:, 0] > SETTLED, 1].mean()) / 32


def volumes_by_phonsmith(potential: PotentialSource, seed: int) -> float:
    """Mean volume (Å³ per atom) of a run of phonsmith's dynamics."""
    atoms, random = CRYSTAL.copy(), np.random.default_rng(seed)
    atoms.calc = make_calculator(potential)
    thermalize_momenta(atoms, temperature_K=2 * KELVIN, rng=random)
    steps = Stretch(SETTLED + SAMPLED, (KELVIN, KELVIN), (GPA, GPA))
    dynamics = LangevinRun(
        atoms, [steps], Bath(timestep_fs=FEMTOSECONDS, barostat_fs=200.0), random
    )
    found = [atoms.get_volume() for _ in dynamics.walk() if dynamics.step > SETTLED]
    return float(np.mean(found)) / 32


def test_runs_at_constant_pressure_have_one_density(
    lmp: Path, potential: PotentialSource, tmp_path: Path
) -> None:
    # the spread over independent runs gives errors that correlations within a run cannot spoil
    theirs = [volumes_by_lammps(lmp, potential, one, tmp_path / str(one)) for one in range(5)]
    ours = [volumes_by_phonsmith(potential, one) for one in range(5)]
    print("volumes per atom by LAMMPS", theirs, "by phonsmith", ours)
    compared = ttest_ind(theirs, ours)
    assert compared.pvalue > 1e-3
    low, high = compared.confidence_interval()
    assert high - low < 0.01 * np.mean(ours)  # 1 GPa changes the volume by one per cent
