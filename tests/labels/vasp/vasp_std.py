"""Stands in for VASP in tests: lays recorded outputs beside the inputs it finds.

``vasp_std.py DATA [FAILURE]``: among the runs recorded in the folder DATA it looks for the one of
the cell in ./POSCAR under the settings in ./INCAR, and puts the true vasprun.xml, OUTCAR and
CONTCAR of that run here. A cell or a setting that was never computed ends as VASP ends on bad
input. FAILURE makes it fail in a way of its own: see main.

Of the recorded isolated atom only cutoff, functional and precision have to agree: it was computed
without spin.
"""

import gzip
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

TITEL = "PAW_PBE Sn_d 06Sep2000"

OF_ALL = ("ENCUT", "GGA", "PREC", "LREAL", "LASPH")
OF_CRYSTALS = ("EDIFF", "ISMEAR", "SIGMA", "ISPIN", "ISYM", "KSPACING")
OF_RELAXATIONS = ("ISIF", "EDIFFG")


def tags_in(text: str) -> dict[str, str]:
    """An INCAR, numbers and logicals written in one way."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): plain(value.strip().lower()) for key, value in pairs}


def plain(value: str) -> str:
    try:
        return f"{float(value):.10g}"
    except ValueError:
        return value.strip(".")[0] if value.strip(".") in ("true", "false", "t", "f") else value


def unpacked(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def same(one: Atoms, other: Atoms) -> bool:
    """Same atoms in the same order at the same places, to 1e-5 Å."""
    if len(one) != len(other) or (one.numbers != other.numbers).any():
        return False
    if np.abs(one.cell[:] - other.cell[:]).max() > 1e-5:
        return False
    shift = one.get_scaled_positions() - other.get_scaled_positions()
    return bool(np.abs((shift - np.rint(shift)) @ one.cell[:]).max() < 1e-5)


def find(data: Path, asked: dict[str, str], cell: Atoms) -> Path:
    moving = float(asked.get("NSW", 0)) > 0
    compared = OF_ALL if len(cell) == 1 else OF_ALL + OF_CRYSTALS
    compared += OF_RELAXATIONS if moving else ()
    seen = "no recorded run has this cell"
    for run in sorted(data.glob("*/inputs")):
        Path("SAME").write_text(unpacked(run / "POSCAR.gz"))
        if not same(read("SAME", format="vasp"), cell):
            continue
        recorded = tags_in(unpacked(run / "INCAR.gz"))
        if moving != (float(recorded.get("NSW", 0)) > 0):
            continue
        other = [key for key in compared if asked.get(key) != recorded.get(key)]
        if not other and Path("KPOINTS").exists():
            other = ["KPOINTS"]
        if not other:
            return run.parent / "outputs"
        seen = f"{run.parent.name} has other {', '.join(other)}"
    fail(f" ERROR: the stand-in finds nothing: {seen}", 1)
    raise AssertionError


def fail(text: str, status: int) -> None:
    print(text, flush=True)
    sys.exit(status)


def lay(outputs: Path) -> None:
    for packed in outputs.glob("*.gz"):
        if packed.stem in ("vasprun.xml", "OUTCAR", "CONTCAR"):
            Path(packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))


def run_out_of_steps() -> None:
    """As if the one ionic step were two, and NSW = 2 had ended them."""
    xml, outcar = Path("vasprun.xml").read_text(), Path("OUTCAR").read_text()
    start, end = xml.index(" <calculation>"), xml.index("</calculation>") + len("</calculation>\n")
    xml = xml[:start] + xml[start:end] + xml[start:]
    Path("vasprun.xml").write_text(re.sub(r'(name="NSW">) *\d+', r"\g<1>     2", xml))
    Path("OUTCAR").write_text(outcar.replace("reached required accuracy", ""))


def spoil(failure: str, asked: dict[str, str]) -> None:
    """Make a good run a bad one."""
    if failure == "steps" and float(asked.get("NSW", 0)) <= 2:
        run_out_of_steps()
    if failure == "cut":  # as after a kill that nobody noticed
        whole = Path("OUTCAR").read_bytes()
        Path("OUTCAR").write_bytes(whole[: len(whole) // 2])
    if failure == "status":
        sys.exit(3)


def main() -> None:
    data, failure = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    print(" running on    1 total cores\n vasp.6.1.2 (stand-in)", flush=True)
    if failure == "forever":
        Path("children").write_text(str(os.getpid()))
        time.sleep(600)
    if failure == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if failure == "memory":
        print("forrtl: severe (41): insufficient virtual memory", file=sys.stderr)
        sys.exit(41)
    if failure == "disk":
        fail("forrtl: No space left on device\nforrtl: severe (38): error during write", 38)
    if failure == "launcher":  # mpirun says so where a node is lost
        fail("ORTE has lost communication with a remote daemon.", 255)
    if failure == "potcar":
        fail("forrtl: severe (24): end-of-file during read, unit 10, file POTCAR", 24)
    if failure.startswith("/"):  # a file of a recorded failure, laid where it belongs
        source = Path(failure)
        target = "vasprun.xml" if source.name.startswith("vasprun") else "vasp.out"
        if target == "vasp.out":
            fail(source.read_text(errors="replace"), 0)
        shutil.copyfile(source, target)
        return
    if TITEL not in Path("POTCAR").read_text():
        fail(" ERROR: another POTCAR than that of the recorded runs", 1)
    asked = tags_in(Path("INCAR").read_text())
    outputs = find(data, asked, read("POSCAR", format="vasp"))
    lay(outputs)
    spoil(failure, asked)
    if failure == "once" and asked.get("ALGO") == "normal":
        fail(" Error EDDDAV: Call to ZHEGV failed. Returncode =  18 2  32", 0)


if __name__ == "__main__":
    main()
