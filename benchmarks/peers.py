"""Time of the phonons of many crystals with one potential: phonsmith, matcalc, atomate2, janus.

Every program relaxes the crystals, displaces atoms in the same supercells, and computes force
constants, bands and density of states. The programs alternate. Each of them needs a Python of its
own, with quippy-ase (for a GAP) or mace-torch (for a MACE) beside the program:

    python3.12 -m venv PEERS
    PEERS/bin/pip install matcalc atomate2 seekpath quippy-ase mace-torch
    python3.12 -m venv JANUS
    JANUS/bin/pip install janus-core mace-torch
    python benchmarks/peers.py --model gap.xml --rounds 2 --out peers.csv \\
        --python matcalc=PEERS/bin/python atomate2=PEERS/bin/python

A model that ends in .xml is a GAP, any other a MACE. janus computes one crystal a start and has no
GAP; the others take all crystals in one process. The table has one row for each program and round:
CPU time and wall time (s), the largest frequency at Γ of all crystals (THz, a check), versions.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CRYSTALS = Path(__file__).parents[1] / "config/structures/silicon"
FMAX = 1e-4  # eV/Å, of all programs


def phonsmith(crystals: dict[str, Path], matrices: dict[str, list], model: str, out: Path) -> None:
    """Phonons with the library behind the workflow's jobs."""
    from phonsmith.running.job_context import limit_threads

    limit_threads(1)
    from phonsmith.phonons.band_paths import band_path
    from phonsmith.phonons.force_constants import potential_phonons
    from phonsmith.phonons.settings import Phonons
    from phonsmith.phonons.spectra import spectrum
    from phonsmith.potentials.calculators import make_calculator
    from phonsmith.potentials.settings import PotentialSource
    from phonsmith.structures.reading import read_structure
    from phonsmith.structures.relaxation import relaxed_crystal
    from phonsmith.structures.settings import Relaxation
    from phonsmith.supercells.cells import to_ase
    from phonsmith.supercells.settings import Displaced

    kind = "gap" if model.endswith(".xml") else "mace"
    source = PotentialSource(calculator=kind, model=model, trust=True)
    relaxation = Relaxation(fmax_ev_per_angstrom=FMAX)
    for name, path in crystals.items():
        crystal = read_structure(path)
        relaxed, verdict = relaxed_crystal(crystal, make_calculator(source), relaxation)
        assert not verdict.reason, verdict.reason
        phonon = potential_phonons(relaxed, matrices[name], Displaced(), source)
        spectrum(phonon, band_path(to_ase(phonon.primitive), Phonons()))
        phonon.save(out / f"{name}.yaml", settings={"force_constants": True})


def matcalc(crystals: dict[str, Path], matrices: dict[str, list], model: str, out: Path) -> None:
    """Phonons with matcalc's PhononCalc."""
    from matcalc import PhononCalc
    from pymatgen.core import Structure

    calculator = _calculator(model)
    for name, path in crystals.items():
        PhononCalc(
            calculator,
            atom_disp=0.01,
            supercell_matrix=matrices[name],
            fmax=FMAX,
            write_phonon=out / f"{name}.yaml",
            write_band_structure=out / f"{name}.bands.yaml",
            write_total_dos=out / f"{name}.dos.dat",
        ).calc(Structure.from_file(path))


def atomate2(crystals: dict[str, Path], matrices: dict[str, list], model: str, out: Path) -> None:
    """Phonons with atomate2's flow for force fields, run by jobflow in this process."""
    from atomate2.forcefields.flows.phonons import PhononMaker
    from jobflow import run_locally
    from pymatgen.core import Structure

    gap = model.endswith(".xml")
    arguments = {"args_str": "IP GAP", "param_filename": model} if gap else {"model": model}
    maker = PhononMaker.from_force_field_name(
        "GAP" if gap else "MACE", calculator_kwargs=arguments, min_length=None
    )
    maker.bulk_relax_maker.relax_kwargs = {"fmax": FMAX}
    for name, path in crystals.items():
        place = out / f"flow-{name}"
        place.mkdir()
        flow = maker.make(Structure.from_file(path), supercell_matrix=matrices[name])
        run_locally(flow, create_folders=True, root_dir=place, ensure_success=True)
        (found,) = place.glob("*/phonopy.yaml")
        found.rename(out / f"{name}.yaml")


def janus(crystals: dict[str, Path], matrices: dict[str, list], model: str, out: Path) -> None:
    """Phonons with janus-core, one start of its command for each crystal."""
    for name, path in crystals.items():
        matrix = " ".join(str(number) for row in matrices[name] for number in row)
        command = [
            *(str(Path(sys.executable).with_name("janus")), "phonons", "--struct", str(path)),
            *("--arch", "mace", "--model", model, "--supercell", matrix),
            *("--displacement", "0.01", "--minimize", "--fmax", str(FMAX)),
            *("--bands", "--dos", "--no-hdf5", "--no-plot-to-file", "--no-tracker"),
            *("--file-prefix", str(out / name)),
        ]
        subprocess.run(command, check=True, cwd=out)
        (out / f"{name}-phonopy.yml").rename(out / f"{name}.yaml")


PROGRAMS = {
    "phonsmith": (phonsmith, "phonsmith"),
    "matcalc": (matcalc, "matcalc"),
    "atomate2": (atomate2, "atomate2"),
    "janus": (janus, "janus-core"),
}
"""By name: the function, and the distribution whose version is reported."""


def _calculator(model: str):
    if model.endswith(".xml"):
        from quippy.potential import Potential

        return Potential("IP GAP", param_filename=model)
    from mace.calculators import MACECalculator

    return MACECalculator(model_paths=model, device="cpu", default_dtype="float64")


def compute(program: str, task: Path) -> None:
    """Run in the program's own Python: all crystals of the task."""
    from importlib.metadata import version

    given = json.loads(task.read_text())
    crystals = {name: Path(path) for name, path in given["crystals"].items()}
    function, distribution = PROGRAMS[program]
    function(crystals, given["matrices"], given["model"], task.parent)
    versions = {name: version(name) for name in (distribution, "phonopy", "ase")}
    (task.parent / "versions.json").write_text(json.dumps(versions))


def timed(program: str, python: str, task: dict, work: Path) -> dict:
    """Run one program on all crystals; a row of the table."""
    folder = Path(tempfile.mkdtemp(prefix=f"{program}-", dir=work))
    (folder / "task.json").write_text(json.dumps(task))
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with (folder / "log").open("w") as log:
        run = subprocess.run(
            [python, __file__, "--compute", program, str(folder / "task.json")],
            check=False,
            stdout=log,
            stderr=log,
            env={**os.environ, **threads},
        )
    wall = time.perf_counter() - started
    if run.returncode:
        last = (folder / "log").read_text().splitlines()[-20:]
        sys.exit("\n".join([f"{program} failed:", *last]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "program": program,
        "crystals": len(task["crystals"]),
        "cpu_time_s": round(cpu, 2),
        "wall_time_s": round(wall, 2),
        "gamma_thz": [round(largest_at_gamma(folder / f"{n}.yaml"), 3) for n in task["crystals"]],
        "versions": json.loads((folder / "versions.json").read_text()),
    }


def largest_at_gamma(path: Path) -> float:
    """The largest frequency at Γ (THz) of phonons that a program has written."""
    import phonopy

    phonon = phonopy.load(path, produce_fc=True, log_level=0)
    return float(phonon.run_qpoints([[0, 0, 0]]).frequencies.max())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--python", nargs="*", default=[], metavar="PROGRAM=PYTHON")
    parser.add_argument("--crystals", nargs="*", type=Path, default=sorted(CRYSTALS.glob("*.vasp")))
    parser.add_argument("--min-length", type=float, default=10.0, help="of the supercells, Å")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("peers.csv"))
    given = parser.parse_args()

    import pandas as pd

    from phonsmith.structures.reading import read_structure
    from phonsmith.supercells.cells import supercell_matrix
    from phonsmith.supercells.settings import Supercells

    cells = Supercells(min_length_angstrom=given.min_length, min_atoms=1, max_atoms=1000)
    crystals = {path.stem: path.resolve() for path in given.crystals}
    task = {
        "crystals": {name: str(path) for name, path in crystals.items()},
        "matrices": {
            name: supercell_matrix(read_structure(path), cells).tolist()
            for name, path in crystals.items()
        },
        "model": str(Path(given.model).resolve()),
    }
    pythons = {"phonsmith": sys.executable, **dict(pair.split("=", 1) for pair in given.python)}
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for number in range(given.rounds):
            for program, python in pythons.items():
                rows.append({"round": number, **timed(program, python, task, Path(work))})
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(given.out, index=False)
    shares = table.groupby("program", sort=False)[["cpu_time_s", "wall_time_s"]].sum()
    print((shares / shares.loc["phonsmith"]).round(2).to_string())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--compute"]:
        compute(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
