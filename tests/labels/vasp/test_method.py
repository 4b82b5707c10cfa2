"""VASP as a reference method, on recorded runs: labels, relaxations, what labels depend on."""

import gzip
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import phonopy
import pytest
from ase.build import bulk
from pymatgen.core import SETTINGS
from pymatgen.io.vasp import Vasprun

from phonsmith.campaign.model import Campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames
from phonsmith.files.sources import sha256_of
from phonsmith.labels.checks import check_label
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.recorded.readers.vasp import read_run, unfinished_relaxation
from phonsmith.labels.relaxations import relaxed
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.labels.vasp.inputs import in_vasp_order
from phonsmith.labels.vasp.method import VaspMethod, _in_own_order
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult
from phonsmith.structures.settings import Relaxation
from tests.labels.vasp.examples import RECORDED, STAND_IN, kept_files, poscar, recorded_method, vasp
from tests.labels.vasp.vasp_std import TITEL
from tests.potcars import SECRET, write_potcar
from tests.project import Project


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
        ({"potcars": {"Sb": "Sb"}}, r"^c.yaml: reference.potcars: no entry for Sn; add one"),
        ({"potcars": {"Sn": "Sn_x"}}, r"reference.potcars.Sn: no POTCAR Sn_x of PBE_54; looked"),
        (
            {"incar": {"ENAUGG": 900}},
            r"reference.incar.ENAUGG: not a key of VASP; did you mean ENAUG",
        ),
        ({"incar_by_structure": {"tn": {}}}, r"reference.incar_by_structure.tn: no such structure"),
    ):
        with pytest.raises(PhonsmithError, match=words):
            check(**settings)
    with pytest.raises(PhonsmithError) as several:
        check(
            incar={"ENAUGG": 900, "ISMER": 1},
            potcars={"Sb": "Sb_x", "Sn": "Sn_x"},
            incar_by_structure={"tn": {}},
        )
    starts = ("incar_by_structure.tn", "incar.ENAUGG", "incar.ISMER", "potcars.Sn", "potcars.Sb")
    for line, start in zip(str(several.value).splitlines(), starts, strict=True):
        assert line.startswith(f"c.yaml: reference.{start}: ")
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR")
    with pytest.raises(PhonsmithError, match="PMG_VASP_PSP_DIR is not set; set it, ") as caught:
        check()
    assert "\n" not in str(caught.value)


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
