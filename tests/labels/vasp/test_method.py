"""VASP: inputs field by field, runs under custodian, and what becomes a label."""

import gzip
import io
import json
import math
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from phonopy.file_IO import parse_BORN
from pydantic import ValidationError
from pymatgen.core import SETTINGS
from pymatgen.io.vasp import Incar, Poscar, Potcar, Vasprun

from phonsmith.campaign.model import Campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames
from phonsmith.files.sources import sha256_of
from phonsmith.labels.checks import check_label
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.kpoints import mesh
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.recorded.readers.vasp import read_run, unfinished_relaxation
from phonsmith.labels.registry import method_kind
from phonsmith.labels.relaxations import relaxed
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.labels.vasp.inputs import (
    born_tags,
    in_vasp_order,
    isolated_atom_tags,
    relaxation_tags,
    static_tags,
    write_inputs,
)
from phonsmith.labels.vasp.method import VaspMethod, _in_own_order, born_text
from phonsmith.labels.vasp.potcars import potcars_of, valence_electrons
from phonsmith.labels.vasp.running import Attempt, accepted, changed_physics
from phonsmith.labels.vasp.settings import VaspReference
from phonsmith.structures.reading import read_structure
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult
from phonsmith.structures.settings import Relaxation
from phonsmith.supercells.cells import make_phonopy
from tests.labels.vasp.vasp_std import TITEL
from tests.potcars import SECRET, write_potcar
from tests.project import Project

STAND_IN = Path(__file__).with_name("vasp_std.py")

RECORDED = {
    "functional": "PBE",
    "potcars": {"Sn": "Sn_d"},
    "ismear": 1,
    "kspacing_per_angstrom": 0.1,
    "isolated_atom_edges_angstrom": [20.0, 20.0, 20.0],
    "volume": "fixed",
}
"""The settings of the recorded α-Sn runs."""


def contents(reference):
    """Checksums of the pseudopotential files."""
    return method_kind(reference).contents(reference)


@pytest.fixture(autouse=True)
def potcar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "potcars"
    write_potcar(folder, "Sn_d")
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    return folder


@pytest.fixture
def tin(shared_data: Path) -> Path:
    return shared_data / "sn-alpha-vasp"


def vasp(**settings: object) -> VaspReference:
    return VaspReference.model_validate({"method": "vasp", "potcars": {"Sn": "Sn_d"}, **settings})


def recorded_method(
    data: Path, tmp_path: Path, failure: object = "", attempt: int = 1, **settings: object
) -> VaspMethod:
    command = f"{sys.executable} {STAND_IN} {data} {failure}"
    reference = vasp(**{**RECORDED, "command": command, **settings})
    return VaspMethod(reference, None, Allocation(1, tmp_path / "work", attempt))


def poscar(run: Path, name: str = "inputs/POSCAR.gz") -> Atoms:
    return read(io.StringIO(gzip.decompress((run / name).read_bytes()).decode()), format="vasp")


def kept_files(tmp_path: Path) -> dict[str, bytes]:
    """All that runs left behind, packed files opened."""
    found = {}
    for path in (tmp_path / "work").rglob("*"):
        if path.is_file():
            found[path.name] = path.read_bytes()
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as packed:
                for one in packed.getmembers():
                    stream = packed.extractfile(one)
                    found[one.name] = stream.read() if stream else b""
    return found


# --- inputs ---------------------------------------------------------------------------------------


def test_incar_of_a_label_has_the_settings_of_the_papers(tmp_path: Path) -> None:
    """George et al. 2020, and autoplex where they leave it open; nothing more."""
    reference = vasp()
    write_inputs(tmp_path, bulk("Sn"), static_tags(reference, "x"), potcars_of(reference, ["Sn"]))
    assert dict(Incar.from_file(tmp_path / "INCAR")) == {
        **{"ENCUT": 700, "KSPACING": 0.2, "KGAMMA": True, "GGA": "Ps"},
        **{"EDIFF": 1e-7, "ISMEAR": 0, "SIGMA": 0.05, "LREAL": False, "ISYM": 0, "ISPIN": 1},
        **{"PREC": "Accurate", "LASPH": True, "ALGO": "Normal", "NELM": 200},
        **{"NSW": 0, "IBRION": -1, "ISIF": 2, "LWAVE": False, "LCHARG": False},
    }
    assert not (tmp_path / "KPOINTS").exists()


def test_settings_reach_the_incar() -> None:
    reference = vasp(
        functional="PBE",
        encut_ev=500,
        ediff_ev=1e-8,
        ismear=1,
        sigma_ev=0.2,
        kspacing_per_angstrom=0.3,
        incar={"ncore": 4, "LREAL": "Auto"},
        incar_by_structure={"metal": {"KSPACING": 0.1, "SIGMA": 0.3, "LREAL": False}},
    )
    tags = static_tags(reference, "other")
    expected = {"ENCUT": 500, "EDIFF": 1e-8, "ISMEAR": 1, "SIGMA": 0.2, "KSPACING": 0.3}
    expected |= {"GGA": "PE", "NCORE": 4, "LREAL": "Auto"}
    assert {key: tags[key] for key in expected} == expected
    metal = static_tags(reference, "metal")
    assert {key for key in tags if metal[key] != tags[key]} == {"KSPACING", "SIGMA", "LREAL"}
    assert (metal["KSPACING"], metal["SIGMA"], metal["LREAL"]) == (0.1, 0.3, False)
    assert "GGA" not in static_tags(vasp(functional="LDA"), None)


def test_other_runs_differ_from_labels_where_they_have_to(tmp_path: Path) -> None:
    reference = vasp(incar={"NCORE": 4})
    label = static_tags(reference, None)

    def difference(tags: dict) -> dict:
        return {k: tags.get(k) for k in {*tags, *label} if tags.get(k) != label.get(k)}

    settings = Relaxation(fmax_ev_per_angstrom=2e-4, max_steps=60)
    relaxed = difference(relaxation_tags(reference, None, settings, FREE))
    assert relaxed == {"IBRION": 2, "NSW": 60, "ISIF": 3, "EDIFFG": -2e-4}
    fixed = difference(relaxation_tags(reference, None, settings, Load(fixed_volume=True)))
    assert fixed == relaxed | {"ISIF": 4}
    pressed = difference(relaxation_tags(reference, None, settings, Load(pressure_gpa=2.5)))
    assert pressed == relaxed | {"PSTRESS": 25.0}  # kbar
    single = settings.model_copy(
        update={"max_steps": 1}
    )  # VASP does not tell whether it was enough
    assert relaxation_tags(reference, None, single, FREE)["NSW"] == 2
    atom = difference(isolated_atom_tags(reference, "Sn"))
    assert atom == {"ISPIN": 2, "MAGMOM": [2.0], "KSPACING": 10.0}
    assert mesh(Atoms("Sn", cell=[14, 15, 16]), atom["KSPACING"]) == (1, 1, 1)
    born = difference(born_tags(reference, None))
    assert born == {"LEPSILON": True, "ISYM": None, "NCORE": None}


def test_atoms_are_grouped_by_element_with_their_moments(
    tmp_path: Path, potcar_folder: Path
) -> None:
    write_potcar(potcar_folder, "Na_pv", element="Na", valence=7.0, secret="7 7 7")
    reference = vasp(
        potcars={"Sn": "Sn_d", "Na": "Na_pv"}, magnetism=True, magmom={"Sn": 1.5, "Na": 0.5}
    )
    cell = Atoms("NaSnNaSn", positions=np.arange(12).reshape(4, 3) * 1.1, cell=[14] * 3, pbc=True)
    order = in_vasp_order(cell)
    assert order.tolist() == [0, 2, 1, 3]
    tags = static_tags(reference, None)
    write_inputs(tmp_path, cell, tags, potcars_of(reference, cell.symbols), reference.magmom)
    written = Poscar.from_file(tmp_path / "POSCAR")
    assert (written.site_symbols, written.natoms) == (["Na", "Sn"], [2, 2])
    assert written.structure.cart_coords == pytest.approx(cell.positions[order], abs=1e-12)
    incar = Incar.from_file(tmp_path / "INCAR")
    assert (incar["ISPIN"], incar["MAGMOM"]) == (2, [0.5, 0.5, 1.5, 1.5])
    assert Potcar.from_file(tmp_path / "POTCAR").symbols == ["Na_pv", "Sn_d"]


def test_meshes_are_those_of_vasp(tin: Path) -> None:
    """OUTCAR tells what VASP made of KSPACING: 12.35 Å and 0.1/Å give 5.09, hence 6."""
    seen = set()
    for run in sorted(tin.glob("*_mp-117_*")):
        text = gzip.decompress((run / "outputs/OUTCAR.gz").read_bytes()).decode()
        found = re.search(r"generate k-points for: +(\d+) +(\d+) +(\d+)", text)
        assert found
        divisions = tuple(int(number) for number in found.groups())
        assert mesh(poscar(run), 0.1) == divisions
        seen.add(divisions[0])
    assert seen == {5, 6, 10, 11}


# --- POTCARs ------------------------------------------------------------------------------------


def test_potcars_are_found_and_told_by_title_and_hash(potcar_folder: Path) -> None:
    reference = vasp()
    file = potcars_of(reference, ["Sn"])["Sn"]
    assert (file.title, file.valence, file.enmax_ev) == (TITEL, 14.0, 241.083)
    assert valence_electrons(reference, ["Sn", "Sn"]) == {"Sn": 14.0}
    method = VaspMethod(reference, None, Allocation())
    content = json.loads(method.fingerprint(["Sn"]))
    assert content["potcars"] == {"Sn": {"title": TITEL, "sha256": file.sha256}}
    assert SECRET not in method.fingerprint(["Sn"]) + repr(file)
    write_potcar(potcar_folder, "Sn", valence=4.0)
    other = VaspMethod(vasp(potcars={"Sn": "Sn"}), None, Allocation())
    assert other.fingerprint(["Sn"]) != method.fingerprint(["Sn"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lexch": "CA"}, r"potcars.Sn: the POTCAR Sn_d is made for LDA, .* PBEsol needs .* PBE"),
        ({"element": "Sb"}, "potcars.Sn: the POTCAR Sn_d is one of Sb"),
        ({}, None),
    ],
)
def test_unsuited_potcars_are_refused(potcar_folder: Path, values: dict, words: str | None) -> None:
    path = write_potcar(potcar_folder, "Sn_d", **values)
    if words is None:
        words = "potcars.Sn: the POTCAR Sn_d is cut off"
        path.write_text(path.read_text().replace("End of Dataset", ""))
    with pytest.raises(PhonsmithError, match=words):
        potcars_of(vasp(potcars={"Sn": "Sn_d"}), ["Sn"])


def test_a_campaign_is_checked_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tin: Path
) -> None:
    crystal = tmp_path / "tin.vasp"
    crystal.write_bytes((tin / "POSCAR-mp-117").read_bytes())

    def check(**settings: object) -> None:
        reference = {"method": "vasp", "potcars": {"Sn": "Sn_d"}, **settings}
        content = {
            "structures": {"tin": {"file": str(crystal)}},
            "reference": reference,
            "fits": {"gap": {"kind": "gap"}},
        }
        check_inputs(Campaign.model_validate(content), "c.yaml", [])

    check(incar={"IVDW": 12, "SOMETHING_NEW": 1}, incar_by_structure={"tin": {"KSPACING": 0.1}})
    for settings, words in (
        ({"potcars": {"Sb": "Sb"}}, r"^c.yaml: reference.potcars: names none for Sn; add one"),
        ({"potcars": {"Sn": "Sn_x"}}, r"reference.potcars.Sn: no POTCAR Sn_x of PBE_54; looked"),
        ({"incar": {"ENAUGG": 900}}, r"reference.incar.ENAUGG: no key of VASP; is ENAUG meant"),
        ({"incar_by_structure": {"tn": {}}}, r"reference.incar_by_structure.tn: no such structure"),
    ):
        with pytest.raises(PhonsmithError, match=words):
            check(**settings)
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR")
    with pytest.raises(PhonsmithError, match="PMG_VASP_PSP_DIR is not set; let it name") as caught:
        check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"incar": {"nsw": 10}}, "incar.nsw: not here; phonsmith sets it"),
        ({"incar": {"ISIF": 3}}, "incar.ISIF: not here; phonsmith sets it"),
        ({"incar": {"ML_LMLFF": True}}, "incar.ML_LMLFF: not here; labels are DFT"),
        ({"incar": {"ENCUT": 400}}, "incar.ENCUT: not here; use encut_ev"),
        ({"incar": {"KSPACING": 0.4}}, "incar.KSPACING: not here; use kspacing_per_angstrom"),
        ({"incar_by_structure": {"a": {"GGA": "PE"}}}, "incar_by_structure.a.GGA: .* functional"),
        ({"incar_by_structure": {"a": {"MAGMOM": [1]}}}, "a.MAGMOM: not here; use magnetism"),
        ({"incar": {"NELM": 5, "nelm": 6}}, "incar: NELM is given twice"),
        ({"potcar_family": "LDA_54"}, "LDA_54 is not made for PBEsol"),
        ({"magmom": {"Sn": 1}}, "magmom needs magnetism: true"),
        ({"cores": 4, "command": "vasp_std"}, "command has to say where the number of `{cores}`"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        vasp(**settings)


def test_sharing_out_the_work_leaves_labels_valid() -> None:
    def both(structure: str, **settings: object) -> tuple[str, dict]:
        reference = vasp(**settings)
        method = VaspMethod(reference, structure, Allocation())
        return method.fingerprint(["Sn"]), reference.physics()

    plain = both("a")
    assert both("a", incar={"NCORE": 4, "KPAR": 2}, cores=8, time_limit_minutes=1) == plain
    assert both("a", incar={"IVDW": 12}) != plain
    own = both("a", incar_by_structure={"b": {"SIGMA": 0.1}})
    assert own[0] == plain[0]
    assert both("b", incar_by_structure={"b": {"SIGMA": 0.1}})[0] != plain[0]


# --- good runs ------------------------------------------------------------------------------------


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


@pytest.mark.slow
def test_every_good_recorded_run_is_accepted(tin: Path, tmp_path: Path) -> None:
    """Through inputs, custodian and the stand-in: 9 labels, 3 relaxations of 2 runs, 1 atom."""
    method = recorded_method(tin, tmp_path)
    runs = sorted(tin.glob("dft_*"))
    cells = [poscar(run) for run in runs]
    store = LabelStore(tmp_path / "store")
    labels, failures = label_cells(cells, method, Labels(), store)
    assert (len(labels), failures) == (9, [])
    for run, label, cell in zip(runs, labels, cells, strict=True):
        recorded = read_run(run / "outputs/vasprun.xml.gz").frames[0]
        check_label(label, cell, Labels())
        assert label.arrays[FORCES] == pytest.approx(recorded.arrays[FORCES])
        assert label.info[STRESS] == pytest.approx(recorded.info[STRESS])
        outcar = gzip.decompress((run / "outputs/OUTCAR.gz").read_bytes()).decode()
        toten = re.findall(r"free  energy   TOTEN  = +(\S+) eV", outcar)[-1]
        assert label.info[ENERGY] == pytest.approx(float(toten), abs=1e-6)
        assert label.info["code_version"] == "6.1.2"
        assert label.info["scf_steps"] in (17, 18, 19)
        assert 500 < label.info["memory_mb"] < 1500
    assert kept_files(tmp_path) == {}  # nothing of a good run stays

    fixed = {}
    for scale in ("0.94", "1.0", "1.06"):
        (run,) = tin.glob(f"tight_relax_1_mp-117_{scale}_*")
        result = method.relax(poscar(run), Relaxation(fmax_ev_per_angstrom=1e-3))
        (last,) = tin.glob(f"tight_relax_2_mp-117_{scale}_*")
        expected = poscar(last, "outputs/CONTCAR.gz")
        assert result.converged and result.steps == 2
        assert result.fmax_ev_per_angstrom < 1e-3
        assert result.atoms.positions == pytest.approx(expected.positions, abs=1e-6)
        fixed[scale] = result.energy_ev
    assert fixed["1.0"] is not None and fixed["0.94"] > fixed["1.06"] > fixed["1.0"]
    atom = method.isolated_atom("Sn")
    assert atom is not None and atom.info[ENERGY] == pytest.approx(-0.33074971)
    assert atom.info["kind"] == "isolated_atom" and atom.info["code"] == "VASP"


def test_a_relaxation_that_has_ended_needs_no_vasp_again(tin: Path, tmp_path: Path) -> None:
    """From the store, by a command that gives nothing; asked for with the volume kept or not."""
    (run,) = tin.glob("tight_relax_1_mp-117_1.0_*")
    store, settings = LabelStore(tmp_path / "store"), Relaxation(fmax_ev_per_angstrom=1e-3)
    method = recorded_method(tin, tmp_path)
    first = relaxed(poscar(run), method, settings, store=store)
    without = recorded_method(tin, tmp_path, command="false")
    for load in (FREE, Load(fixed_volume=True)):  # `volume: fixed` makes them the same
        again = relaxed(poscar(run), without, settings, load, store)
        assert np.array_equal(again.atoms.positions, first.atoms.positions)
        assert again.energy_ev == first.energy_ev
    assert recorded_method(tin, tmp_path, volume="relaxed").load_of(FREE) == FREE


@pytest.mark.slow
def test_a_relaxation_that_ran_into_its_limit_resumes(
    tin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From its last cell, after all remedies of custodian were in vain."""
    (run,) = tin.glob("tight_relax_1_mp-117_1.0_*")
    store, method = LabelStore(tmp_path / "store"), recorded_method(tin, tmp_path, "steps")

    def within(steps: int) -> RelaxationResult:
        settings = Relaxation(fmax_ev_per_angstrom=1e-3, max_steps=steps)
        return relaxed(poscar(run), method, settings, store=store)

    short = within(2)
    assert (short.converged, short.steps, short.energy_ev) == (False, 2, None)
    assert math.isfinite(short.fmax_ev_per_angstrom)
    assert "first relaxation: VASP did not converge, also with Unconverged: IBRION = 1" in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "work/failed").exists()
    done = within(60)
    assert "this relaxation resumes after 2 steps" in capsys.readouterr().out
    assert (done.converged, done.steps) == (True, 4)


@pytest.mark.filterwarnings("ignore:.*is an unconverged VASP run")
def test_what_a_relaxation_can_go_on_from(shared_data: Path, tin: Path) -> None:
    """Its last cell where the steps alone were too few; nothing after a failed electronic loop."""
    failures = shared_data / "vasp-failures/unconverged"
    ionic = failures / "vasprun.xml.ionic"
    frame = unfinished_relaxation(ionic)
    assert frame is not None
    last = Vasprun(ionic, parse_potcar_file=False).final_structure
    assert frame.cell[:] == pytest.approx(last.lattice.matrix)
    assert frame.positions == pytest.approx(last.cart_coords)
    assert unfinished_relaxation(failures / "vasprun.xml.electronic") is None
    assert unfinished_relaxation(failures / "absent.xml") is None
    (good,) = tin.glob("tight_relax_1_mp-117_1.0_*")
    assert unfinished_relaxation(good / "outputs/vasprun.xml.gz") is None


def test_labels_come_back_in_the_order_of_the_cell() -> None:
    """NaCl has its atoms mixed; forces belong to the atoms, not to their places in POSCAR."""
    cell = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    assert in_vasp_order(cell).tolist() != list(range(8))
    order = in_vasp_order(cell)
    forces = np.arange(24.0).reshape(8, 3)
    frame = cell[order]
    frame.arrays[FORCES] = forces[order]
    back = _in_own_order(frame, cell)
    assert np.array_equal(back.arrays[FORCES], forces)
    assert back.positions == pytest.approx(cell.positions)


# --- bad runs -------------------------------------------------------------------------------------

BAD_FILES = [
    ("bad_vasprun/vasprun.xml", "OUTCAR: VASP wrote none"),
    ("unconverged/vasprun.xml.electronic", r"VASP did not converge, .*Normal \(5 times\)"),
    ("unconverged/vasprun.xml.ionic", "VASP did not converge, .*IBRION = 1"),
    ("unconverged/vasprun.xml.unconverged_unfixable", r"VASP did not converge \(see"),
    ("zpotrf/vasp.out", "ZPOTRF"),
    ("vasp.zbrent", "ZBRENT"),
    ("vasp.edddav", "EDDDAV"),
    ("vasp.brmix", "BRMIX"),
]


@pytest.mark.slow
def test_no_recorded_failure_is_accepted(tin: Path, tmp_path: Path, shared_data: Path) -> None:
    taken = []
    failures = shared_data / "vasp-failures"
    cell = poscar(sorted(tin.glob("dft_*"))[0])
    for name, words in BAD_FILES:
        method = recorded_method(tin, tmp_path, failures / name)
        try:
            taken.append(method.label(cell))
        except LabelFailed as failed:
            print(f"{name}: {failed}")
            assert re.search(words, str(failed)), (name, str(failed))
    assert (len(BAD_FILES), taken) == (8, [])


def test_another_element_leaves_labels_valid(potcar_folder: Path) -> None:
    write_potcar(potcar_folder, "Na_pv")
    magnetic = {"magnetism": True, "magmom": {"Sn": 1.0}}
    tin = VaspMethod(vasp(**magnetic), None, Allocation())
    more = {"potcars": {"Sn": "Sn_d", "Na": "Na_pv"}, **magnetic, "magmom": {"Sn": 1.0, "Na": 2.0}}
    both = VaspMethod(vasp(**more), None, Allocation())
    assert both.fingerprint(["Sn", "Sn"]) == tin.fingerprint(["Sn"])
    assert both.fingerprint(["Na", "Sn"]) != tin.fingerprint(["Sn"])
    assert set(json.loads(both.fingerprint(["Na"]))["potcars"]) == {"Na"}


def test_hubbard_u_goes_by_the_order_of_the_species(tmp_path: Path, potcar_folder: Path) -> None:
    for symbol in ("Fe_pv", "O", "Sn_d"):
        write_potcar(potcar_folder, symbol)
    potcars = {"Fe": "Fe_pv", "O": "O", "Sn": "Sn_d"}
    plain = vasp(potcars=potcars)
    reference = vasp(potcars=potcars, hubbard={"Fe": {"orbital": "d", "u_ev": 4}})
    assert reference.level_of_theory == "VASP PBEsol+U"
    cell = Atoms("OFe", positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)
    for atoms, orbitals, values in ((cell, [-1, 2], [0, 4]), (cell[::-1], [2, -1], [4, 0])):
        tags = static_tags(reference, None)
        files = potcars_of(reference, ["Fe", "O"])
        write_inputs(tmp_path, atoms, tags, files, hubbard=reference.hubbard)
        incar = Incar.from_file(tmp_path / "INCAR")
        assert (incar["LDAUL"], incar["LDAUU"], incar["LDAUJ"]) == (orbitals, values, [0, 0])
        assert (incar["LDAU"], incar["LDAUTYPE"], incar["LMAXMIX"]) == (True, 2, 4)
    write_inputs(tmp_path, bulk("Sn"), tags, potcars_of(plain, ["Sn"]), hubbard=reference.hubbard)
    assert "LDAU" not in Incar.from_file(tmp_path / "INCAR")
    method, without = (VaspMethod(one, None, Allocation()) for one in (reference, plain))
    assert method.fingerprint(["Sn"]) == without.fingerprint(["Sn"])
    assert method.fingerprint(["Fe", "O"]) != without.fingerprint(["Fe", "O"])
    with pytest.raises(ValidationError, match="use hubbard"):
        vasp(incar={"LDAUU": [4, 0]})


def test_a_stated_version_is_that_of_labels(tin: Path, tmp_path: Path) -> None:
    """VASP cannot tell its version before it runs: the run is compared with what is stated."""
    cell = poscar(sorted(tin.glob("dft_*"))[0])
    stated = recorded_method(tin, tmp_path, version="6.1")
    plain = recorded_method(tin, tmp_path)
    assert "version" not in plain.reference.physics()
    assert json.loads(stated.fingerprint(["Sn"]))["code_version"] == "6.1"
    assert "code_version" not in json.loads(plain.fingerprint(["Sn"]))
    assert stated.label(cell).info["code_version"] == "6.1.2"
    other = recorded_method(tin, tmp_path, version="6.1.20")
    with pytest.raises(PhonsmithError, match=r"reference.version is 6.1.20, but VASP 6.1.2 ran"):
        other.label(cell)


def test_contents_of_potcars_are_told_without_pymatgen(
    potcar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcar_folder))
    path = write_potcar(potcar_folder, "Sn_d")
    first = contents(vasp())
    assert first == {"Sn": sha256_of(path)}
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcar_folder / "other"))
    assert contents(vasp()) == {"Sn": "missing"}
    packed = write_potcar(potcar_folder / "other", "Sn_d", enmax=300.0)
    packed = packed.rename(packed.with_name("POTCAR.Sn_d.gz"))
    assert contents(vasp()) == {"Sn": sha256_of(packed)} != first


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        *(({"ALGO": value}, "ALGO: .* allowed: Normal") for value in ("None", "Exact", "GW0")),
        ({"IALGO": 90}, "IALGO: 90"),
        ({"PSTRESS": 10}, "PSTRESS: not here"),
        ({"IMAGES": 3}, "IMAGES: not here"),
        ({"VCA": [0.5, 0.5]}, "VCA: not here"),
        ({"EFIELD": 0.1}, "EFIELD: not here"),
        ({"I_CONSTRAINED_M": 1}, "I_CONSTRAINED_M: not here"),
        ({"SCALEE": 0.5}, "SCALEE: not here"),
    ],
)
def test_keys_that_spoil_labels_are_refused(tags: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        vasp(incar=tags)


def test_solvers_that_end_in_a_ground_state_are_allowed() -> None:
    for value in ("Fast", "veryfast", "A", "Normal", "D"):
        assert vasp(incar={"ALGO": value}).incar == {"ALGO": value}


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


# --- remedies -------------------------------------------------------------------------------------


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


# --- Born charges ---------------------------------------------------------------------------------


def write_lepsilon(path: Path, charges: np.ndarray, epsilon: np.ndarray) -> None:
    """What VASP writes into vasprun.xml with LEPSILON."""

    def rows(tensor: np.ndarray) -> str:
        return "".join(f"<v> {row[0]:.8f} {row[1]:.8f} {row[2]:.8f} </v>" for row in tensor)

    sets = "".join(f"<set>{rows(one)}</set>" for one in charges)
    path.write_text(
        f"""<modeling><calculation><varray name="epsilon">{rows(epsilon)}</varray>
        <array name="born_charges"><dimension dim="1">ion</dimension>{sets}</array>
        </calculation></modeling>"""
    )


def tensors_by_atom(crystal: Atoms, born: Path) -> tuple[np.ndarray, np.ndarray]:
    """Dielectric tensor and Born charges of every atom of the crystal."""
    phonon = make_phonopy(crystal, np.eye(3, dtype=int))
    known = parse_BORN(phonon.primitive, filename=born)
    primitive = phonon.primitive
    inside = [primitive.p2p_map[index] for index in primitive.s2p_map]
    return known["dielectric"], known["born"][inside]


def test_born_charges_reach_phonopy_for_the_right_atoms(tmp_path: Path, shared_data: Path) -> None:
    """Those of β-Ga2O3 in phonondb (monoclinic, five kinds of atoms), its atoms shuffled."""
    (folder,) = (shared_data / "phonondb-pbesol").glob("886-*/*")
    crystal = read_structure(folder / "POSCAR-unitcell")
    epsilon, charges = tensors_by_atom(crystal, folder / "BORN")
    shuffle = np.random.default_rng(3).permutation(len(crystal))
    shuffled = crystal[shuffle]
    order = in_vasp_order(shuffled)
    assert order.tolist() != list(range(20))
    write_lepsilon(tmp_path / "vasprun.xml", charges[shuffle][order], epsilon)
    (tmp_path / "BORN").write_text(born_text(tmp_path / "vasprun.xml", shuffled))
    found = tensors_by_atom(shuffled, tmp_path / "BORN")
    assert found[0] == pytest.approx(epsilon, abs=1e-5)
    assert found[1] == pytest.approx(charges[shuffle], abs=2e-3)  # the sum rule moves them

    write_lepsilon(tmp_path / "vasprun.xml", charges[shuffle][order] + np.eye(3), epsilon)
    with pytest.raises(LabelFailed, match="Born charges sum to 20 e"):
        born_text(tmp_path / "vasprun.xml", shuffled)
    (tmp_path / "vasprun.xml").write_text("<modeling><calculation></calculation></modeling>")
    with pytest.raises(LabelFailed, match="holds no Born charges"):
        born_text(tmp_path / "vasprun.xml", shuffled)


def test_settings_for_born_charges_are_those_of_phonondb(shared_data: Path) -> None:
    (folder,) = (shared_data / "phonondb-pbesol").glob("886-*/*")
    theirs = Incar.from_file(folder / "INCAR-nac")
    ours = Incar(born_tags(vasp(), None))
    keys = ("PREC", "IBRION", "LEPSILON", "ISMEAR", "LREAL", "GGA", "LWAVE", "LCHARG")
    assert {key: ours[key] for key in keys} == {key: theirs[key] for key in keys}


# --- a whole campaign -----------------------------------------------------------------------------

OPTICAL_THZ = {"0.94": 6.95, "1.0": 5.49, "1.06": 4.05}
"""Γ optical modes of the recorded α-Sn at three linear scales."""


@pytest.mark.slow
def test_a_campaign_of_tin_goes_all_the_way(tmp_path: Path, repository: Path, tin: Path) -> None:
    """Inputs, custodian, parsing, labels, data set, fit, phonons; the stand-in is not VASP alone.

    Relaxation at fixed volume, displaced cells and the isolated atom come from phonsmith itself
    and have to be those that were recorded; rattled cells are the recorded ones, labelled anew.
    """
    structures = {}
    for scale in OPTICAL_THZ:
        (run,) = tin.glob(f"tight_relax_1_mp-117_{scale}_*")
        crystal = tmp_path / f"{scale}.vasp"
        crystal.write_bytes(gzip.decompress((run / "inputs/POSCAR.gz").read_bytes()))
        structures[f"tin-{scale}"] = {"file": str(crystal)}
    rattled = sorted(tin.glob("dft_rattle_*/outputs/vasprun.xml.gz"))
    files = {str(path.relative_to(tin)): sha256_of(path) for path in rattled}
    campaign = {
        "structures": structures,
        "reference": {
            "method": "vasp",
            **RECORDED,
            "command": f"{sys.executable} {STAND_IN} {tin}",
        },
        "relaxation": {"fmax_ev_per_angstrom": 1e-3},
        "supercells": {
            "kinds": ["displaced"],
            "min_length_angstrom": 12.0,
            "min_atoms": 8,
            "max_atoms": 70,
        },
        "datasets": {
            "databases": {
                "rattled": {
                    "source": {"name": tin.name, "files": files},
                    "format": "vasprun",
                    "level_of_theory": "VASP PBE",
                    "train_files": list(files),
                    "relabel": True,
                }
            }
        },
        "fits": {
            "gap": {
                "kind": "gap",
                "soap": {"n_sparse": 60, "n_max": 4, "l_max": 3, "cutoff_angstrom": 5.0},
                "learn_from": ["displaced", "recorded"],
            }
        },
        "phonons": {
            "points_per_segment": 5,
            "mesh_length_angstrom": 15,
            "cells": ["reference"],
        },
        "figures": {"formats": ["svg"]},
    }
    project = Project(tmp_path / "project", repository, tin=campaign)
    run = subprocess.run(
        project.command(),
        env={**os.environ, "PMG_VASP_PSP_DIR": SETTINGS["PMG_VASP_PSP_DIR"]},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-6000:]
    results = project.results("tin")

    found = {}
    for scale in OPTICAL_THZ:
        phonon = phonopy.load(results / f"phonons/reference/reference/tin-{scale}.yaml")
        found[scale] = phonon.run_qpoints([[0, 0, 0]]).frequencies.max()
    assert found == pytest.approx(OPTICAL_THZ, abs=0.01)

    labels = read_frames(results / "labels/gen0/tin-1.0.extxyz")
    labels += read_frames(results / "labels/databases/rattled/train.extxyz")
    assert [label.info["kind"] for label in labels] == ["displaced", *["recorded"] * 6]
    assert {label.info["code"] for label in labels} == {"VASP"}
    (atom,) = read_frames(results / "labels/isolated_atoms.extxyz")
    assert atom.info[ENERGY] == pytest.approx(-0.33074971)
    (settings,) = (results / "labels/store/settings").glob("*.json")
    assert settings.stem == labels[0].info["settings"]
    assert json.loads(settings.read_text())["potcars"]["Sn"]["title"] == TITEL

    errors = pd.read_csv(results / "tables/rmse.csv")
    assert set(errors["structure"]) == set(structures)
    assert errors["rmse_thz"].max() < 1.0
    for path in results.rglob("*"):
        assert "POTCAR" not in path.name
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
