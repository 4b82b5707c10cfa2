"""What the readers of calculations accept and refuse in public collections of real files.

    python benchmarks/readers.py FOLDER...

Each folder is a collection (custodian, pymatgen's test files, dpdata, aiida-quantumespresso, ASE,
phonopy, phono3py), named by the folder. Every VASP and pw.x output in it is judged twice: by the
reader, and by a judge of its own below, which looks for single words in the raw text and shares no
code with the readers. The table goes to benchmarks/readers.csv; the counts of bad runs accepted
and good runs refused are printed, and both have to be 0. A folder that is absent is skipped.
"""

import bz2
import csv
import gzip
import io
import lzma
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import sha256_of
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.pw import read_pw
from phonsmith.labels.recorded.reading import read_recorded

OUTPUT = Path(__file__).with_suffix(".csv")
LARGEST_NET_FORCE_EV_PER_ANGSTROM = 0.05
LARGEST_CHANGE_OF_VOLUME = 0.03
PACKED = {".gz": gzip.open, ".xz": lzma.open, ".lzma": lzma.open, ".bz2": bz2.open}
OTHER_ALGORITHMS = (
    *("none", "not", "eigen", "exact", "gw", "g0w0", "sc", "bse", "chi", "timeev"),
    *("evgw", "qpgw", "acfdt", "rpa", "crpa"),
)
RESPONSE = {"5", "6", "7", "8"}
NO_OUTPUT = re.compile(r"\.(py|pyc|sh|json|md|rst|txt|ipynb|yaml|csv|npy|npz|png)$")


@dataclass(frozen=True)
class Truth:
    """Whether a file holds a label, from its own words; None: these words do not decide it."""

    good: bool | None
    words: str


def raw_text(path: Path) -> str:
    """The text of a file, packed or not; as much as can be unpacked."""
    opener: Callable[..., object] = PACKED.get(path.suffix, open)
    try:
        with opener(path, "rb") as stream:  # type: ignore[attr-defined]
            return bytes(stream.read(1 << 29)).decode("utf-8", "replace")
    except (OSError, EOFError, lzma.LZMAError):
        return ""


# --- vasprun.xml ---------------------------------------------------------------------------------


def _setting(text: str, name: str) -> str:
    """A setting that VASP used, else one that the user wrote.

    The first of the parameters: NELM is there once more, as 1, for response functions.
    """
    used = text.find("<parameters>")
    pattern = rf'<[iv][^>]* name="{name}"[^>]*>([^<]*)</[iv]>'
    found = re.search(pattern, text[used:] if used >= 0 else "") or re.search(pattern, text)
    return found[1].strip() if found else ""


def _real(text: str, otherwise: float = 0.0) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise


def truth_of_vasprun(text: str) -> Truth:
    """Judge a vasprun.xml by tags and numbers of its raw text."""
    steps = re.findall(r"<calculation>(.*?)</calculation>", text, re.DOTALL)
    shifts = _real(_setting(text, "NSW"))
    moves = shifts > 1 and _setting(text, "IBRION") in {"1", "2", "3", "44"}
    if open_question := _open_question(lambda name: _setting(text, name)):
        return Truth(None, open_question)
    fault = next(_faults_of_vasprun(text, steps, moves=moves), "")
    volumes = _volumes_of_vasprun(text)
    if not fault and moves and volumes and abs(volumes[-1] / volumes[0] - 1) > 0.003:
        return Truth(None, "relaxed with its lattice: how much is too much is a matter of taste")
    if not fault and moves and len(steps) >= shifts:
        return Truth(None, "all NSW steps were used: the text does not say if it is relaxed")
    return Truth(not fault, fault or "complete, self-consistent, below NELM, with forces")


def _faults_of_vasprun(text: str, steps: list[str], *, moves: bool) -> Iterator[str]:
    if "</modeling>" not in text[-400:]:
        yield "does not end with </modeling>"
    yield from _no_ground_state(lambda name: _setting(text, name))
    if re.search(r'name="(ML_LMLFF|ML_LRUN)"[^>]*>\s*T', text):
        yield "machine-learned force field"
    if not steps:
        yield "no <calculation>"
        return
    limit, wanted = _real(_setting(text, "NELM"), 60), _real(_setting(text, "EDIFF"), 1e-4)
    dynamics = _real(_setting(text, "NSW")) > 1 and _setting(text, "IBRION") == "0"
    verdicts = [_step_of_vasprun(step, limit, wanted) for step in steps]
    used = verdicts if dynamics else verdicts[-1:]
    if all(used):
        yield used[-1]
    yield from _grew(_volumes_of_vasprun(text), moves=moves)
    kinds = re.findall(
        r"<rc><c>\s*(\d+)</c><c>[^<]*</c><c>[^<]*</c><c>\s*([\d.]+)</c><c>[^<]*</c></rc>", text
    )
    yield from _charged(_setting(text, "NELECT"), kinds)
    energies = re.findall(r'"e_fr_energy">([^<]*)</i>', steps[-1])
    if energies and _real(energies[-1]) / max(sum(int(n) for n, _ in kinds), 1) > 100:
        yield "more than 100 eV per atom above neutral atoms"
    final = re.findall(r'<varray name="positions"\s*>(.*?)</varray>', text, re.DOTALL)
    rows = re.findall(r"<v>\s*(.*?)\s*</v>", final[-1]) if final else []
    if len(set(rows)) < len(rows):
        yield "two atoms on one site"


def _open_question(value: Callable[[str], str]) -> str:
    """Runs of which some steps are labels and others are not, by conventions of each reader."""
    if value("IBRION") in RESPONSE:
        return "force constants by displacement or response"
    if any(value(n).startswith(("T", ".T")) for n in ("LEPSILON", "LCALCEPS", "LCHIMAG")):
        return "response to a field, with electronic steps of its own"
    return ""


def _no_ground_state(value: Callable[[str], str]) -> Iterator[str]:
    """Settings under which the energy or the forces are not those of the ground state."""
    if _real(value("ICHARG")) >= 10:
        yield f"ICHARG = {value('ICHARG')}: not self-consistent"
    algorithm = value("ALGO").lower()
    if algorithm.startswith(OTHER_ALGORITHMS):
        yield f"ALGO = {algorithm}"
    if value("IALGO") in {"-1", "2", "3", "4", "5"}:
        yield f"IALGO = {value('IALGO')}"
    if abs(_real(value("PSTRESS"))) > 0:
        yield f"PSTRESS = {value('PSTRESS')}"
    if _real(value("IMAGES")) > 0:
        yield "IMAGES: a band of images"
    if _real(value("ICORELEVEL")) > 1:
        yield "ICORELEVEL: a hole in a core"
    if "MBJ" in value("METAGGA").upper():
        yield "METAGGA = MBJ: a potential without an energy"


def _step_of_vasprun(step: str, limit: float, wanted: float) -> str:
    """Why one ionic step is no label; empty if it is one."""
    loops = step.count("<scstep>")
    if loops >= limit:
        return f"{loops} electronic steps of NELM = {limit:g}"
    energies = [_real(e, np.nan) for e in re.findall(r'"e_fr_energy">([^<]*)</i>', step)]
    if not energies or not np.isfinite(energies[-1]):
        return "no free energy"
    changes = energies[:loops]
    if len(changes) > 1 and abs(changes[-1] - changes[-2]) > 2 * wanted + 2e-8:
        return f"the last electronic step changed the energy by more than EDIFF = {wanted:g}"
    forces = re.findall(r'<varray name="forces"\s*>(.*?)</varray>', step, re.DOTALL)
    if not forces:
        return "no forces"
    rows = [[_real(x, np.nan) for x in v.split()] for v in re.findall(r"<v>(.*?)</v>", forces[-1])]
    return _net(rows)


def _net(rows: list[list[float]]) -> str:
    if not rows or any(len(row) != 3 for row in rows):
        return "a damaged table of forces"
    net = float(np.abs(np.sum(rows, axis=0)).max())
    if not np.isfinite(net):
        return "forces are not finite"
    return f"forces sum to {net:.3g} eV/Å" if net > LARGEST_NET_FORCE_EV_PER_ANGSTROM else ""


def _volumes_of_vasprun(text: str) -> list[float]:
    """From the first cell on: a primitive cell may stand before it."""
    start = max(text.find('name="initialpos"'), 0)
    return [_real(x) for x in re.findall(r'<i name="volume">([^<]*)</i>', text[start:])]


def _charged(electrons: str, kinds: list[tuple[str, str]]) -> Iterator[str]:
    neutral = sum(int(number) * _real(valence) for number, valence in kinds)
    if kinds and electrons and abs(_real(electrons) - neutral) > 0.01:
        yield f"{_real(electrons):g} electrons, {neutral:g} are neutral"


def _grew(volumes: list[float], *, moves: bool) -> Iterator[str]:
    numbers = [x for x in volumes if x > 0]
    if moves and numbers and abs(numbers[-1] / numbers[0] - 1) > LARGEST_CHANGE_OF_VOLUME:
        yield f"volume {numbers[0]:.2f} became {numbers[-1]:.2f} Å³: plane waves of another cell"


# --- OUTCAR --------------------------------------------------------------------------------------


def truth_of_outcar(text: str) -> Truth:
    """Judge an OUTCAR by words and numbers of its raw text."""
    if open_question := _open_question(lambda name: _word(text, name)):
        return Truth(None, open_question)
    fault = next(_faults_of_outcar(text), "")
    volumes = _volumes(text)
    moves = _real(_word(text, "NSW")) > 1 and _word(text, "IBRION") != "0"
    if not fault and moves and volumes and abs(volumes[-1] / volumes[0] - 1) > 0.003:
        return Truth(None, "relaxed with its lattice: how much is too much is a matter of taste")
    return Truth(not fault, fault or "complete, self-consistent, below NELM, with forces")


def _word(text: str, name: str) -> str:
    found = re.search(rf"^\s*{name}\s*=\s*(\S+)", text, re.MULTILINE)
    return found[1].rstrip(";") if found else ""


def _faults_of_outcar(text: str) -> Iterator[str]:
    def setting(name: str) -> str:
        return _word(text, name)

    if "General timing and accounting informations" not in text:
        yield "does not end with VASP's timing"
    yield from _no_ground_state(setting)
    if re.search(r"ML_LMLFF\s*=\s*T", text):
        yield "machine-learned force field"
    if re.search(r"ICORELEVEL\s*=\s*2", text):
        yield "ICORELEVEL: a hole in a core"
    ions = re.search(r"NIONS\s*=\s*(\d+)", text)
    listed = re.search(r"ions per type =([\s\d]*)", text)
    if ions and listed and sum(map(int, listed[1].split())) != int(ions[1]):
        yield "its list of ions per type is cut off"
    valences = re.search(r"^\s*ZVAL\s*=((?:\s+[\d.]+)+)", text, re.MULTILINE)
    if listed and valences:
        yield from _charged(
            setting("NELECT"), list(zip(listed[1].split(), valences[1].split(), strict=False))
        )
    energy = re.findall(r"free  ?energy\s+TOTEN\s*=\s*(\S+)", text)
    if ions and energy and _real(energy[-1]) / int(ions[1]) > 100:
        yield "more than 100 eV per atom above neutral atoms"
    limit = int(_real(setting("NELM"), 60))
    loops: Counter[int] = Counter()
    for ionic, electronic in re.findall(r"Iteration\s+(\d+)\(\s*(\d+)\)", text):
        loops[int(ionic)] = max(loops[int(ionic)], int(electronic))
    dynamics = _real(setting("NSW")) > 1 and setting("IBRION") == "0"
    used = list(loops.values()) if dynamics else [loops[max(loops, default=0)]]
    if all(count >= limit or not count for count in used):
        yield f"{used[-1]} electronic steps of NELM = {limit}"
    if "aborting loop because EDIFF is reached" not in text:
        yield "never says that EDIFF is reached"
    tables = re.findall(r"TOTAL-FORCE \(eV/Angst\)[^\n]*\n\s*-+\n(.*?)\n\s*-{10}", text, re.DOTALL)
    if not tables or not re.search(r"free  ?energy\s+TOTEN", text):
        yield "no forces or no free energy"
        return
    if net := _net(
        [[_real(x, np.nan) for x in row.split()[3:6]] for row in tables[-1].split("\n")]
    ):
        yield net
    moves = _real(setting("NSW")) > 1 and setting("IBRION") in {"1", "2", "3", "44"}
    if moves and "reached required accuracy" not in text:
        yield "the relaxation never says that it is done"
    yield from _grew(_volumes(text), moves=moves)


def _volumes(text: str) -> list[float]:
    blocks = re.findall(
        r"basis-vectors are now.*?volume of cell\s*:\s*(\S+)", text, re.DOTALL | re.IGNORECASE
    )
    return [_real(volume) for volume in blocks]


# --- pw.x ----------------------------------------------------------------------------------------


def truth_of_pw(text: str) -> Truth:
    """Judge an output of pw.x by its words."""
    fault = next(_faults_of_pw(text), "")
    if not fault and re.search(r"electric field|Electric field|tefield", text):
        return Truth(None, "under an electric field")
    if not fault and "BFGS Geometry Optimization" in text:
        return Truth(None, "a relaxation; the reader is for single points")
    if not fault and "total   stress" not in text:
        return Truth(None, "without stress, which own runs ask for")
    return Truth(not fault, fault or "done, self-consistent, with forces and stress")


def _faults_of_pw(text: str) -> Iterator[str]:
    for words in ("convergence NOT achieved", "Error in routine", "Maximum CPU time exceeded"):
        if words in text:
            yield words
    if "Band Structure Calculation" in text:
        yield "Band Structure Calculation"
    for words in ("JOB DONE", "convergence has been achieved", "Forces acting on atoms"):
        if words not in text:
            yield f"never says '{words}'"


def read_pw_output(path: Path) -> int:
    """Labels that the reader finds in an output of pw.x and the XML beside it."""
    xml = sorted(path.parent.rglob("data-file*.xml"))
    if not xml:
        raise LabelFailed("no data-file-schema.xml beside it")
    text = raw_text(path)
    stated = re.search(r"convergence threshold\s*=\s*(\S+)", text)
    read_pw(text, xml[0], _real(stated[1] if stated else "", 1e-6))
    return 1


# --- the table -----------------------------------------------------------------------------------


def kind_of(path: Path) -> str:
    """Which reader a file is for; empty for none."""
    name = path.name.lower()
    if NO_OUTPUT.search(name) or ".tar" in name:
        return ""
    if name.startswith("vasprun"):
        return "vasprun"
    if "outcar" in name:
        return "outcar"
    if name.endswith((".out", ".stdout", ".log")) and path.stat().st_size < 1 << 24:
        # without its XML an output is not given to the reader
        xml = next(path.parent.rglob("data-file*.xml"), None)
        return "pw" if xml and "Program PWSCF" in raw_text(path)[:4000] else ""
    return ""


JUDGES = {"vasprun": truth_of_vasprun, "outcar": truth_of_outcar, "pw": truth_of_pw}


def read(path: Path, kind: str) -> tuple[int, str]:
    """Number of labels, and why there are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "pw":
                return read_pw_output(path), ""
            with redirect_stdout(io.StringIO()):
                return len(read_recorded(path, kind, "x").frames), ""
    except (PhonsmithError, LabelFailed) as error:
        return 0, str(error).removeprefix(f"{path}: ")


def rows_of(collection: Path) -> list[dict[str, str]]:
    """One row for each output in a collection."""
    rows = []
    for path in sorted(one for one in collection.rglob("*") if one.is_file()):
        if not (kind := kind_of(path)):
            continue
        start = time.perf_counter()
        labels, reason = read(path, kind)
        seconds = time.perf_counter() - start
        truth = JUDGES[kind](raw_text(path))
        rows.append(
            {
                "collection": collection.name,
                "path": str(path.relative_to(collection)),
                "sha256": sha256_of(path),
                "kind": kind,
                "truth": {True: "label", False: "none", None: "open"}[truth.good],
                "words": truth.words,
                "verdict": "accepted" if labels else "refused",
                "labels": str(labels),
                "reason": " ".join(reason.replace(str(path), path.name).split())[:200],
            }
        )
        if seconds > 10:
            print(f"{path}: {seconds:.0f} s", flush=True)
    return rows


def main() -> None:
    """Judge all collections that are named and there."""
    rows = []
    for folder in map(Path, sys.argv[1:]):
        if not folder.is_dir():
            print(f"{folder}: absent, skipped")
            continue
        found = rows_of(folder)
        print(f"{folder.name}: {len(found)} outputs", flush=True)
        rows += found
    if not rows:
        sys.exit("no collection; give the folders of some")
    with OUTPUT.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    accepted = [row for row in rows if row["truth"] == "none" and row["verdict"] == "accepted"]
    refused = [row for row in rows if row["truth"] == "label" and row["verdict"] == "refused"]
    for row in (*accepted, *refused):
        print(
            f"{row['verdict']}: {row['collection']}/{row['path']}: {row['words']} {row['reason']}"
        )
    print(
        f"{len(rows)} outputs: bad ones accepted {len(accepted)}, good ones refused {len(refused)}"
    )
    sys.exit(bool(accepted or refused))


if __name__ == "__main__":
    main()
