"""Runs of VASP: accepted, failed, ended, mended."""

import gzip
import re
from pathlib import Path

import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.vasp import running
from phonsmith.labels.vasp.method import VaspMethod
from phonsmith.labels.vasp.running import Attempt, accepted, changed_physics
from tests.labels.vasp.examples import RECORDED, STAND_IN, kept_files, poscar, recorded_method, vasp
from tests.potcars import SECRET


def lay(folder: Path, outputs: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("vasprun.xml", "OUTCAR"):
        (folder / name).write_bytes(gzip.decompress((outputs / f"{name}.gz").read_bytes()))


def test_acceptance_takes_all_good_runs_and_no_bad_one(
    tin: Path, tmp_path: Path, shared_data: Path
) -> None:
    """Bad files stand beside a good one, so that each has to be seen through by itself."""
    folder = tmp_path / "run"
    good = sorted(tin.glob("*/outputs"))
    assert len(good) == 16
    refused = []
    for outputs in good:
        lay(folder, outputs)
        try:
            run, _ = accepted(folder)
            assert (run.version, len(run.frames)) == ("6.1.2", 1)
        except LabelFailed as failed:
            refused.append(f"{outputs}: {failed}")
    assert refused == []

    failures = shared_data / "vasp-failures"
    bad = [
        failures / "bad_vasprun/vasprun.xml",
        *sorted(failures.glob("unconverged/vasprun.xml.*")),
    ]
    outcar, vasprun = (folder / "OUTCAR").read_text(), (folder / "vasprun.xml").read_text()
    offered = [("vasprun.xml", path.read_text()) for path in bad]
    offered += [("vasprun.xml", vasprun[: len(vasprun) * share // 10]) for share in (0, 3, 9)]
    offered += [("OUTCAR", outcar[: len(outcar) * share // 10]) for share in (0, 3, 9)]
    word = "aborting loop because EDIFF is reached"
    offered += [
        ("OUTCAR", outcar.replace(word, "aborting loop EDIFF was not reached (unconverged)"))
    ]
    taken = []
    for name, text in offered:
        lay(folder, good[-1])
        (folder / name).write_text(text)
        try:
            taken.append((name, accepted(folder)))
        except LabelFailed as failed:
            assert str(failed).startswith(f"{name}: "), failed
    assert (len(offered), taken) == (11, [])


@pytest.mark.parametrize(
    ("failure", "words", "wants"),
    [
        ("killed", "killed by SIGKILL", "memory"),
        ("memory", "^out of memory", "memory"),
        ("disk", "^disk full", ""),
        ("potcar", "^bad POTCAR", ""),
        ("cut", "OUTCAR: is not a complete OUTCAR", ""),
        ("status", "exit status 3", ""),
        ("launcher", "exit status 255: ORTE has lost", ""),
    ],
)
def test_runs_that_end_badly_say_why(
    tin: Path, tmp_path: Path, failure: str, words: str, wants: str
) -> None:
    cell = poscar(sorted(tin.glob("dft_*"))[0])
    with pytest.raises(LabelFailed, match=words) as caught:
        recorded_method(tin, tmp_path, failure).label(cell)
    assert caught.value.wants == wants
    files = kept_files(tmp_path)
    assert {"INCAR", "POSCAR", "vasp.out", "custodian.json"} <= set(files)
    assert not [name for name in files if "POTCAR" in name]
    assert not [name for name, content in files.items() if SECRET.encode() in content]
    kept = re.search(r"\(see (.*)\)", str(caught.value))
    assert kept and (Path(kept[1]) / "INCAR").is_file()
    assert caught.value.output  # the end of what was said, for the record of failures
    assert len(caught.value.output.splitlines()) <= 20
    if failure == "launcher":
        assert "ORTE has lost communication" in caught.value.output + str(caught.value)


def test_a_cell_that_vasp_never_saw_has_no_label(tin: Path, tmp_path: Path) -> None:
    cell = poscar(sorted(tin.glob("dft_*"))[0])
    other = cell.copy()
    other.positions[5] += 0.001
    method = recorded_method(tin, tmp_path)
    with pytest.raises(LabelFailed, match="no recorded run has this cell"):
        method.label(other)
    for settings in ({"encut_ev": 600}, {"incar": {"LASPH": False}}):
        key = {"encut_ev": "ENCUT", "incar": "LASPH"}[next(iter(settings))]
        reference = {**RECORDED, "command": method.reference.command, **settings}
        changed = VaspMethod(vasp(**reference), None, Allocation(1, tmp_path / "work"))
        with pytest.raises(LabelFailed, match=f"has other {key}"):
            changed.label(cell)


def test_a_run_is_ended_at_its_time_limit_with_all_it_started(tin: Path, tmp_path: Path) -> None:
    method = recorded_method(tin, tmp_path, "forever", time_limit_minutes=0.15)
    cell = poscar(sorted(tin.glob("dft_*"))[0])
    with pytest.raises(LabelFailed, match=r"out of time: ended after 0\.15 minutes") as caught:
        method.label(cell)
    assert caught.value.wants == "time"
    assert not [pid for pid in stand_ins() if Path(f"/proc/{pid}").exists()]


def stand_ins() -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{STAND_IN}\0".encode() in entry.read_bytes() and b"forever" in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def test_a_missing_program_is_an_error_of_the_campaign(tin: Path, tmp_path: Path) -> None:
    cell = poscar(sorted(tin.glob("dft_*"))[0])
    with pytest.raises(PhonsmithError, match=r"'no_such_vasp' cannot be started .*reference.comm"):
        recorded_method(tin, tmp_path, command="no_such_vasp").label(cell)


def test_a_launcher_that_starts_nothing_is_an_error_of_the_campaign(tmp_path: Path) -> None:
    box = "\n".join(
        ["-" * 74, "mpirun has detected an attempt to run as root.", "", "Advice.", "-" * 74]
    )
    (tmp_path / "std_err.txt").write_text(f"{box}\n")
    with pytest.raises(PhonsmithError, match=r"'mpirun vasp' cannot be started .*run as root\.\)"):
        running._judge(tmp_path, running.Attempt(1, "", []), ["mpirun", "vasp"])


def test_remedies_are_told_and_may_not_change_the_physics(tin: Path, tmp_path: Path) -> None:
    cell = poscar(sorted(tin.glob("dft_*"))[0])
    label = recorded_method(tin, tmp_path, "once").label(cell)
    assert re.match("edddav: .*ALGO = All, ISEARCH = 1", label.info["remedies"])
    assert "remedies" not in recorded_method(tin, tmp_path).label(cell).info


def test_remedies_in_words() -> None:
    def correction(*actions: dict) -> dict:
        return {"errors": ["brmix"], "actions": list(actions)}

    mixing = correction({"dict": "INCAR", "action": {"_set": {"IMIX": 1}}})
    files = correction(
        {"file": "CONTCAR", "action": {"_file_copy": {"dest": "POSCAR"}}},
        {"file": "WAVECAR", "action": {"_file_delete": {"mode": "actual"}}},
        {"dict": "INCAR", "action": {"_unset": {"NPAR": 1}}},
    )
    attempt = Attempt(0, "", [mixing, mixing, files, correction()])
    assert attempt.remedies == (
        "brmix: IMIX = 1 (2 times); brmix: CONTCAR as POSCAR, without WAVECAR, without NPAR"
    )
    assert Attempt(0, "", [correction()]).remedies is None


def test_changed_physics_is_found(tmp_path: Path) -> None:
    asked = "ENCUT = 700\nEDIFF = 1e-07\nISMEAR = 0\nKSPACING = 0.2\nALGO = Normal\n"

    def found(after: str, *actions: dict) -> str:
        (tmp_path / "INCAR").write_text(after)
        corrections = [{"errors": ["x"], "actions": list(actions)}]
        return changed_physics(asked, tmp_path, Attempt(0, "", corrections))

    assert found(asked) == ""
    assert found(asked.replace("Normal", "All") + "ISEARCH = 1\nNBANDS = 300\nIMIX = 1\n") == ""
    assert found(asked.replace("1e-07", "1e-08")) == ""
    assert found(asked.replace("1e-07", "1e-06")) == "EDIFF = 1e-06 instead of 1e-07"
    assert found(asked.replace("ISMEAR = 0", "ISMEAR = 1")) == "ISMEAR = 1 instead of 0"
    assert found(asked.replace("0.2", "0.4")) == "KSPACING = 0.4 instead of 0.2"
    assert found(asked + "ENAUG = 900\n") == "ENAUG = 900.0 instead of None"
    assert found(asked, {"dict": "POSCAR", "action": {"_set": {}}}) == "another POSCAR"
    assert found(asked, {"file": "CONTCAR", "action": {"_file_copy": {"dest": "POSCAR"}}}) == ""
