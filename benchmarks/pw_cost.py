"""Calibrate the cost model of pw.x (phonsmith.labels.espresso.cost.ESPRESSO) on real runs.

    python benchmarks/pw_cost.py run FOLDER [CELL...]   runs pw.x and writes benchmarks/pw_cost.csv
    python benchmarks/pw_cost.py fit                    fits the constants to it, and compares

FOLDER holds the pseudopotentials of FILES. Named cells alone are run, and replace their rows. On
one core, one after the other, the runs take about fifteen minutes, nine of them for 128 atoms; user
and system time count, so that a busy machine disturbs little.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.build import bulk
from ase.io.espresso import write_espresso_in
from scipy.optimize import nnls

from phonsmith.labels.espresso.cost import ESPRESSO
from phonsmith.running.costs import COMPLEX, MB, ElectronicSize

TABLE = Path(__file__).with_suffix(".csv")
FILES = {
    "PBEsol": {"Si": "Si.pbesol-nl-rrkjus_psl.1.0.0.UPF"},
    "PBE": {"Si": "Si.pbe-nl-rrkjus_psl.1.0.0.UPF", "O": "O.pbe-rrkjus.UPF"},
}


def cells() -> dict[str, tuple[Atoms, str, float, tuple[int, int, int], bool]]:
    """Atoms, functional, cutoff in Ry, mesh, and whether there is smearing."""
    primitive, cube = bulk("Si", a=5.43), bulk("Si", cubic=True, a=5.43)
    displaced = {2: primitive.copy(), 16: primitive.repeat(2)}
    for atoms in displaced.values():
        atoms.positions[0] += [0, 0.01 / 2**0.5, 0.01 / 2**0.5]
    return {
        "Si2": (primitive, "PBEsol", 30, (8, 8, 8), False),
        "Si2 displaced": (displaced[2], "PBEsol", 30, (6, 6, 6), False),
        "Si2 rattled, 20 Ry": (rattled(primitive), "PBEsol", 20, (6, 6, 6), False),
        "Si2 rattled, 45 Ry": (rattled(primitive), "PBEsol", 45, (4, 4, 4), False),
        "Si4 rattled": (rattled(primitive.repeat((2, 1, 1))), "PBEsol", 30, (2, 4, 4), False),
        "Si8 rattled": (rattled(cube), "PBEsol", 30, (3, 3, 3), False),
        "Si8 rattled, smearing": (rattled(cube), "PBEsol", 40, (2, 2, 2), True),
        "Si16 rattled": (rattled(primitive.repeat(2)), "PBEsol", 25, (2, 2, 2), False),
        "Si16 displaced": (displaced[16], "PBEsol", 36, (2, 2, 2), False),
        "Si32 rattled": (rattled(cube.repeat((2, 2, 1))), "PBEsol", 24, (1, 1, 1), False),
        "Si3O6 rattled": (rattled(quartz()), "PBE", 35, (2, 2, 2), False),
        "Si64 rattled": (rattled(cube.repeat(2)), "PBEsol", 18, (1, 1, 1), False),
        "Si64 rattled, 30 Ry": (rattled(cube.repeat(2)), "PBEsol", 30, (1, 1, 1), False),
        "Si128 rattled": (rattled(primitive.repeat(4)), "PBEsol", 18, (1, 1, 1), False),
    }


def rattled(atoms: Atoms) -> Atoms:
    """A copy with all atoms moved, without symmetry."""
    copy = atoms.copy()
    copy.positions += np.random.default_rng(1).normal(scale=0.03, size=copy.positions.shape)
    return copy


def quartz() -> Atoms:
    """α-quartz."""
    fractional = [
        *[(0.4697, 0, 0), (0, 0.4697, 2 / 3), (0.5303, 0.5303, 1 / 3)],
        *[(0.4135, 0.2669, 0.1191), (0.2669, 0.4135, 0.5476), (0.7331, 0.1466, 0.7858)],
        *[(0.5865, 0.8534, 0.2142), (0.8534, 0.5865, 0.4524), (0.1466, 0.7331, 0.8809)],
    ]
    cell = [4.916, 4.916, 5.4054, 90, 90, 120]
    return Atoms("Si3O6", cell=cell, pbc=True, scaled_positions=fractional)


def run(pseudopotentials: Path, names: list[str]) -> None:
    """Run cells, all where none is named, and write their rows to the table."""
    rows = {} if not names else {row["cell"]: row for row in pd.read_csv(TABLE).to_dict("records")}
    for name in names or cells():
        rows[name] = {"cell": name, **measure(*cells()[name], pseudopotentials)}
        print(rows[name], flush=True)
    pd.DataFrame([rows[name] for name in cells() if name in rows]).to_csv(TABLE, index=False)


def measure(  # noqa: PLR0917
    atoms: Atoms,
    functional: str,
    cutoff: float,
    mesh: tuple[int, int, int],
    smearing: bool,
    pseudopotentials: Path,
) -> dict[str, float]:
    """What one run prints and takes."""
    system = {"ecutwfc": cutoff, "ecutrho": 8 * cutoff}
    if smearing:
        system |= {"occupations": "smearing", "smearing": "gaussian", "degauss": 0.005}
    settings = {
        "control": {
            "calculation": "scf",
            "tprnfor": True,
            "tstress": True,
            "verbosity": "high",
            "pseudo_dir": str(pseudopotentials.absolute()),
            "outdir": "out",
        },
        "system": system,
        "electrons": {"conv_thr": 1e-9},
    }
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "in").open("w") as stream:
            write_espresso_in(
                stream, atoms, settings, pseudopotentials=FILES[functional], kpts=mesh
            )
        output = Path(folder) / "pwo"
        with output.open("w") as stream:
            process = subprocess.Popen(
                ["pw.x", "-in", "in"],
                cwd=folder,
                stdout=stream,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            _, status, usage = os.wait4(process.pid, 0)
        text = output.read_text()
    if status:
        sys.exit(f"pw.x fails:\n{text[-2000:]}")
    return {
        "atoms": len(atoms),
        "volume_angstrom3": round(atoms.get_volume(), 3),
        "ecutwfc_ry": cutoff,
        "ecutrho_ry": 8 * cutoff,
        "electrons": float(_found(r"number of electrons *= *([\d.]+)", text)),
        "kpoints": int(_found(r"number of k points= *(\d+)", text)),
        "bands": int(_found(r"number of Kohn-Sham states= *(\d+)", text)),
        "plane_waves": np.mean([int(n) for n in re.findall(r"\(\s*(\d+) PWs\)", text)]),
        "density_waves": int(_found(r"Dense +grid: *(\d+) G-vectors", text)),
        "scf_steps": len(re.findall(r"iteration # *\d+ ", text)),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "memory_mb": round(usage.ru_maxrss * 1024 / MB),
    }


def _found(pattern: str, text: str) -> str:
    return re.search(pattern, text)[1]


def size_of(row: "pd.Series") -> ElectronicSize:
    """The size that pw.x printed."""
    return ElectronicSize(
        int(row["atoms"]),
        row["electrons"],
        int(row["kpoints"]),
        row["plane_waves"],
        int(row["bands"]),
        row["density_waves"],
    )


def fit() -> None:
    """Fit the constants to relative errors, and print measured and estimated cost."""
    table = pd.read_csv(TABLE)
    sizes = [size_of(row) for _, row in table.iterrows()]
    seconds, memory = table["cpu_s"].to_numpy(), table["memory_mb"].to_numpy()
    steps = [ESPRESSO.steps(size.atoms) for size in sizes]
    rows = [
        [*(step * feature for feature in ESPRESSO.features(size)), 1.0]
        for step, size in zip(steps, sizes, strict=True)
    ]
    constants, _ = nnls(np.array(rows) / seconds[:, None], np.ones(len(rows)))
    print("fft {:.2e}, algebra {:.2e}, augmentation {:.2e}, start_s {:.2f}".format(*constants))
    states = np.array([s.kpoints * s.bands * s.plane_waves for s in sizes]) * COMPLEX / MB
    grids = np.array([[s.density_waves * COMPLEX / MB * f for f in (1, s.atoms)] for s in sizes])
    parts = np.column_stack([grids, np.ones(len(sizes))])
    constants, _ = nnls(parts / memory[:, None], 1 - states / memory)
    print("grids {:.1f}, grids_per_atom {:.2f}, base_mb {:.0f}".format(*constants))
    costs = [ESPRESSO.run(size) for size in sizes]
    table["estimated_s"] = [round(cost.core_seconds, 1) for cost in costs]
    table["time_ratio"] = (table["estimated_s"] / seconds).round(2)
    table["memory_ratio"] = ([cost.memory_mb for cost in costs] / memory).round(2)
    columns = ["cell", "kpoints", "plane_waves", "bands", "scf_steps", "cpu_s", "estimated_s"]
    print(table[[*columns, "time_ratio", "memory_mb", "memory_ratio"]].to_string(index=False))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", folder, *names]:
            run(Path(folder), names)
        case ["fit"]:
            fit()
        case _:
            sys.exit(__doc__)
