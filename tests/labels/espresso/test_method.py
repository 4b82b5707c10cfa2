"""Quantum ESPRESSO as a reference method, as far as pw.x itself is not needed.

Truths: recorded outputs of aiida-quantumespresso (good and failed ones), and pw.x's own input
description.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io.espresso import read_fortran_namelist
from pydantic import ValidationError

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.checks import labelled
from phonsmith.labels.espresso.inputs import (
    INPUT,
    Subject,
    atom_namelists,
    born_namelists,
    check_spelling,
    k_points,
    namelists,
    write_input,
)
from phonsmith.labels.espresso.method import EspressoMethod
from phonsmith.labels.espresso.pseudopotentials import (
    checksums,
    cutoffs,
    pseudopotentials_of,
    read_upf,
)
from phonsmith.labels.espresso.remedies import LADDER, Start, next_remedy
from phonsmith.labels.espresso.settings import EspressoPseudopotentials, EspressoReference
from phonsmith.labels.factory import reference_method
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.provenance import Provenance
from phonsmith.labels.recorded.readers.pw import RunFailed, read_pw, reason_in
from phonsmith.labels.registry import method_kind
from phonsmith.labels.runs import run_folder
from phonsmith.labels.store import LabelStore
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.subprocesses import run_child
from phonsmith.structures.settings import Relaxation

# --- pseudopotential files -----------------------------------------------------------------------

UPF_2 = """<UPF version="2.0.1">
  <PP_INFO>Element: {element}</PP_INFO>
  <PP_HEADER generated="by hand" element=" {element}" pseudo_type="{kind}" relativistic="scalar"
    functional="{functional}" z_valence="4.000000000000e0" wfc_cutoff="4.374e1" rho_cutoff="0.0"/>
  <PP_MESH/>
</UPF>
"""

UPF_1 = """<PP_INFO>
Generated using Vanderbilt code
</PP_INFO>
<PP_HEADER>
   0                   Version Number
  Rh                   Element
   US                  Ultrasoft pseudopotential
    T                  Nonlinear Core Correction
 SLA  PW   PBE  PBE     PBE  Exchange-Correlation functional
    9.00000000000      Z valence
  -39.07842000000      Total energy
   33.5   199.0        Suggested cutoff for wfc and rho
</PP_HEADER>
<PP_MESH>
</PP_MESH>
<PP_RHOATOM>
</PP_RHOATOM>
"""


def contents(reference):
    """Checksums of the pseudopotential files."""
    return method_kind(reference).contents(reference)


def upf(folder: Path, name: str, element="Si", functional="PBESOL", kind="USPP") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(UPF_2.format(element=element, functional=functional, kind=kind))
    return path


@pytest.fixture
def pseudo(tmp_path) -> Path:
    upf(tmp_path / "pseudo", "Si.pbesol.UPF")
    return tmp_path / "pseudo"


def reference(folder: Path, **changes) -> EspressoReference:
    settings = {
        "method": "espresso",
        "pseudopotentials": {"folder": str(folder), "files": {"Si": "Si.pbesol.UPF"}},
        "ecutwfc_ry": 30,
    }
    return EspressoReference.model_validate(settings | changes)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("PBESOL", "PBEsol"),
        (" SLA  PW   PSX  PSC", "PBEsol"),
        ("SLA-PW-PBX-PBC", "PBE"),
        ("PBE", "PBE"),
        (" SLA  PZ   NOGX NOGC", "LDA"),
        ("SLA LYP B88 BLYP", "SLA LYP B88 BLYP"),
    ],
)
def test_header_of_version_2(tmp_path, text, name):
    found = read_upf(upf(tmp_path, "Si.UPF", functional=text))
    assert (found.element, found.functional, found.valence) == ("Si", name, 4.0)
    assert found.ecutwfc_ry == pytest.approx(43.74)
    assert len(found.sha256) == 64


def test_header_of_version_1(tmp_path):
    (tmp_path / "Rh.UPF").write_text(UPF_1)
    found = read_upf(tmp_path / "Rh.UPF")
    assert (found.element, found.functional, found.valence) == ("Rh", "PBE", 9.0)
    assert (found.kind, found.ecutwfc_ry, found.ecutrho_ry) == ("US", 33.5, 199.0)


@pytest.mark.parametrize("text", [UPF_2.format(element="Si", functional="PBE", kind="NC"), UPF_1])
def test_truncated_files_are_refused(tmp_path, text):
    path = tmp_path / "Si.UPF"
    for share in (0.5, 0.8, 0.97):
        path.write_text(text[: int(share * len(text))])
        read_upf.cache_clear()
        with pytest.raises(PhonsmithError, match=r"Si\.UPF: .*(cut off|no pseudopotential)"):
            read_upf(path)


def test_other_functional_is_refused_or_asked_for(pseudo):
    upf(pseudo, "Si.pbe.UPF", functional="PBE")
    settings = EspressoPseudopotentials(folder=str(pseudo), files={"Si": "Si.pbe.UPF"})
    with pytest.raises(PhonsmithError, match=r"Si\.pbe\.UPF: is made for PBE, .* asks for PBEsol"):
        pseudopotentials_of(settings, "PBEsol", ["Si"])
    allowed = settings.model_copy(update={"allow_other_functional": True})
    potentials = pseudopotentials_of(allowed, "PBEsol", ["Si"])
    asked = reference(pseudo)
    assert namelists(asked, potentials)["system"]["input_dft"] == "pbesol"
    right = pseudopotentials_of(asked.pseudopotentials, "PBEsol", ["Si"])
    assert "input_dft" not in namelists(asked, right)["system"]


def test_other_element_is_refused(tmp_path):
    upf(tmp_path, "Si.UPF", element="Ge")
    settings = EspressoPseudopotentials(folder=str(tmp_path), files={"Si": "Si.UPF"})
    with pytest.raises(PhonsmithError, match="is a pseudopotential of Ge, not Si"):
        pseudopotentials_of(settings, "PBEsol", ["Si"])
    with pytest.raises(PhonsmithError, match="has no file for C; it has Si"):
        pseudopotentials_of(settings, "PBEsol", ["C"])


def test_family_by_names(tmp_path):
    for name, element in (("Si_ONCV.upf", "Si"), ("s_pbesol_v1.UPF", "S"), ("Sn.upf", "Sn")):
        upf(tmp_path, name, element=element)
    settings = EspressoPseudopotentials(folder=str(tmp_path), family="PseudoDojo")
    found = pseudopotentials_of(settings, "PBEsol", ["S", "Si", "Sn"])
    assert {one.path.name for one in found.values()} == {
        "Si_ONCV.upf",
        "s_pbesol_v1.UPF",
        "Sn.upf",
    }
    upf(tmp_path, "Si.other.upf")
    with pytest.raises(PhonsmithError, match="has 2 UPF files of Si"):
        pseudopotentials_of(settings, "PBEsol", ["Si"])


def test_family_by_the_table_of_sssp(tmp_path):
    import hashlib

    path = upf(tmp_path, "Si.any.UPF")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    table = {"Si": {"filename": path.name, "md5": md5, "cutoff_wfc": 30.0, "cutoff_rho": 240.0}}
    (tmp_path / "SSSP_1.3.0_PBEsol_efficiency.json").write_text(json.dumps(table))
    settings = EspressoPseudopotentials(folder=str(tmp_path), family="SSSP")
    assert pseudopotentials_of(settings, "PBEsol", ["Si"])["Si"].path == path
    assert checksums(settings) == {"Si": f"md5:{md5}"}
    path.write_text(path.read_text() + "\n")
    with pytest.raises(PhonsmithError, match="its MD5 differs"):
        pseudopotentials_of(settings, "PBEsol", ["Si"])


def test_density_cutoff_goes_by_the_kind_of_pseudopotential(pseudo):
    soft = read_upf(upf(pseudo, "Si.nc.UPF", kind="NC"))
    ultrasoft = read_upf(pseudo / "Si.pbesol.UPF")
    assert cutoffs(reference(pseudo), [soft]) == (30, 120)
    assert cutoffs(reference(pseudo), [soft, ultrasoft]) == (30, 240)
    assert cutoffs(reference(pseudo, ecutrho_ry=180), [ultrasoft]) == (30, 180)


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_data": {"electrons": {"scf_must_converge": False}}}, "labels have to converge"),
        ({"input_data": {"system": {"ECUTWFC": 50}}}, "use ecutwfc_ry"),
        ({"input_data": {"system": {"starting_magnetization(1)": 1}}}, "starting_magnetization"),
        ({"input_data": {"system": {"Hubbard_U(1)": 3.0}}}, "go by their order"),
        ({"input_data": {"control": {"max_seconds": 3}}}, "use time_limit_minutes"),
        ({"ecutrho_ry": 100}, "four times"),
        ({"conv_thr_ry": 1e-6}, "conv_thr_ry"),
        ({"magnetism": True, "born_charges": True}, "born_charges: ph.x needs fixed"),
        ({"starting_magnetization": {"Si": 0.5}}, "needs magnetism"),
        ({"cores": 4, "command": "mpirun -np 4 pw.x"}, "{cores}"),
        ({"cores": 4, "pools": 3}, "multiple of pools"),
        ({"command": "mpirun vasp_std"}, "has to run pw.x"),
        ({"pseudopotentials": {"folder": "x"}}, "either"),
    ],
)
def test_settings_that_cannot_work_are_refused(pseudo, changes, words):
    with pytest.raises(ValidationError) as caught:
        reference(pseudo, **changes)
    assert words in str(caught.value)


def test_misspelt_keys_are_refused(pseudo):
    check_spelling(reference(pseudo, input_data={"system": {"Lda_Plus_U": True}}))
    with pytest.raises(PhonsmithError, match=r"input_data\.system\.vdwcorr: is no key of pw\.x"):
        check_spelling(reference(pseudo, input_data={"system": {"vdwcorr": "d3"}}))
    with pytest.raises(PhonsmithError, match=r"input_data\.control\.vdw_corr"):
        check_spelling(reference(pseudo, input_data={"control": {"vdw_corr": "d3"}}))


def test_what_labels_depend_on(pseudo, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(pseudo, moved)
    base = reference(pseudo)
    effort = {"pools": 2, "cores": 2, "reuse_density": True, "time_limit_minutes": 9}
    assert reference(moved, **effort).physics() == base.physics()
    for changes in ({"ecutwfc_ry": 31}, {"conv_thr_ry": 1e-12}, {"functional": "PBE"}):
        assert reference(pseudo, **changes).physics() != base.physics()


def test_fingerprint_holds_version_and_checksums(pseudo, tmp_path):
    """A stand-in prints what pw.x prints first; a changed pseudopotential changes the print."""
    program = tmp_path / "pw.x"
    program.write_text("#!/bin/sh\necho; echo '     Program PWSCF v.9.8.7 starts on ...'\nexit 1\n")
    program.chmod(0o755)
    here = Allocation(1, tmp_path)
    make = lambda: reference_method(reference(pseudo, command=str(program)), allocation=here)  # noqa: E731
    first = json.loads(make().fingerprint(["Si"]))
    assert first["code_version"] == "9.8.7"
    assert first["pseudopotential_files"]["Si"] == read_upf(pseudo / "Si.pbesol.UPF").sha256
    path = pseudo / "Si.pbesol.UPF"
    path.write_text(path.read_text() + "\n")
    read_upf.cache_clear()
    assert json.loads(make().fingerprint(["Si"])) != first
    # another element leaves labels valid, as far as it is not in them
    upf(pseudo, "Ge.pbesol.UPF", element="Ge")
    files = {"Si": "Si.pbesol.UPF", "Ge": "Ge.pbesol.UPF"}
    sources = {"folder": str(pseudo), "files": files}
    more = reference(pseudo, command=str(program), pseudopotentials=sources)
    both = reference_method(more, allocation=here)
    assert both.fingerprint(["Si", "Si"]) == make().fingerprint(["Si"])
    mixed = json.loads(both.fingerprint(["Si", "Ge"]))
    assert mixed["pseudopotential_files"].keys() == {"Si", "Ge"}
    missing = reference_method(reference(pseudo, command="/nowhere/pw.x"), allocation=here)
    with pytest.raises(PhonsmithError, match=r"/nowhere/pw\.x.* install Quantum ESPRESSO"):
        missing.fingerprint(["Si"])


def test_a_stated_version_is_compared_before_anything_runs(pseudo, tmp_path):
    program = tmp_path / "pw.x"
    program.write_text("#!/bin/sh\necho '     Program PWSCF v.7.2 starts on ...'\nexit 1\n")
    program.chmod(0o755)
    make = lambda **more: reference_method(  # noqa: E731
        reference(pseudo, command=str(program), **more), allocation=Allocation(1, tmp_path)
    )
    assert make(version="7.2").fingerprint(["Si"]) == make().fingerprint(["Si"])
    with pytest.raises(PhonsmithError, match=r"reference.version is 6.7, but pw.x 7.2 ran"):
        make(version="6.7").fingerprint(["Si"])


def test_another_folder_of_the_same_names_is_told_apart(pseudo, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pseudo, other)
    first = contents(reference(pseudo))
    assert contents(reference(other)) == first
    (other / "Si.pbesol.UPF").write_text("another")
    files = {"folder": str(other), "files": {"Si": "Si.pbesol.UPF"}}
    assert contents(reference(other, pseudopotentials=files)) != first
    family = {"folder": str(other), "family": "PseudoDojo"}
    found = contents(reference(other, pseudopotentials=family))
    (other / "Si.pbesol.UPF").write_text("and another")
    assert contents(reference(other, pseudopotentials=family)) != found


@pytest.mark.parametrize(
    ("version", "keys", "card"),
    [
        ("6.7MaX", {"hubbard_u(2)": "4.0", "lda_plus_u": ".true."}, []),
        ("7.0", {"hubbard_u(2)": "4.0", "lda_plus_u": ".true."}, []),
        ("7.1", {}, ["HUBBARD (atomic)", "U Fe-3d 4.0"]),
        ("10.0", {}, ["HUBBARD (atomic)", "U Fe-3d 4.0"]),
    ],
)
def test_hubbard_u_in_the_words_of_the_version(pseudo, tmp_path, version, keys, card):
    upf(pseudo, "Fe.UPF", element="Fe")
    upf(pseudo, "O.UPF", element="O")
    files = {"folder": str(pseudo), "files": {"Fe": "Fe.UPF", "O": "O.UPF"}}
    hubbard = {"Fe": {"orbital": "d", "u_ev": 4}}
    settings = reference(pseudo, pseudopotentials=files, hubbard=hubbard)
    assert settings.level_of_theory == "Quantum ESPRESSO PBEsol+U"
    cell = Atoms("OFe", positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)
    potentials = pseudopotentials_of(settings.pseudopotentials, settings.functional, cell.symbols)
    subject = Subject(cell, potentials, (1, 1, 1), version)
    write_input(tmp_path, subject, settings, namelists(settings, potentials))
    text = (tmp_path / "espresso.pwi").read_text()
    found = dict(re.findall(r"^ +((?:hubbard_u|lda_plus)\S*) += (\S+)$", text, re.MULTILINE))
    assert found == keys
    assert all(line in text.splitlines() for line in card)
    assert ("HUBBARD" in text) == bool(card)


def test_a_relaxation_that_was_ended_goes_on(pseudo, tmp_path, monkeypatch):
    """With energies of Stillinger-Weber in place of pw.x; its steps are taken from the store."""
    program = tmp_path / "pw.x"
    program.write_text("#!/bin/sh\necho; echo '     Program PWSCF v.9.8.7 starts on ...'\nexit 1\n")
    program.chmod(0o755)
    computed = []

    def label(self, cell):
        if len(computed) == ends:
            raise KeyboardInterrupt
        (one,) = evaluate([cell], PotentialSource(calculator="stillinger-weber"))
        computed.append(cell.positions.copy())
        made = Provenance("SW", "1", "x", 0.1)
        return labelled(cell, "SW", one.energy, one.forces, one.stress, provenance=made)

    monkeypatch.setattr(EspressoMethod, "label", label)
    crystal = bulk("Si", cubic=True)
    crystal.rattle(0.1, seed=1)

    def relaxed(store):
        allocation = Allocation(1, tmp_path, store=store)
        method = EspressoMethod(reference(pseudo, command=str(program)), None, allocation)
        return method.relax(crystal, Relaxation(fmax_ev_per_angstrom=1e-3))

    ends = 1000
    undisturbed = relaxed(None)
    steps = len(computed)
    computed.clear()
    store, ends = LabelStore(tmp_path / "store"), 3
    with pytest.raises(KeyboardInterrupt):
        relaxed(store)
    assert 3 == len(computed) < steps
    ends = 1000
    result = relaxed(store)
    assert len(computed) == steps
    assert np.array_equal(result.atoms.positions, undisturbed.atoms.positions)
    assert result.energy_ev == undisturbed.energy_ev


# --- inputs --------------------------------------------------------------------------------------


def written(folder: Path, cell, settings: EspressoReference) -> tuple[dict, list[str]]:
    potentials = pseudopotentials_of(
        settings.pseudopotentials, settings.functional, set(cell.symbols)
    )
    subject = Subject(cell, potentials, k_points(settings, cell))
    write_input(folder, subject, settings, namelists(settings, potentials))
    with (folder / INPUT).open() as stream:
        data, cards = read_fortran_namelist(stream)
    return data, [" ".join(card.split()) for card in cards if card.strip()]


def test_input_field_by_field(pseudo, tmp_path):
    cell = bulk("Si", a=5.43)
    data, cards = written(tmp_path, cell, reference(pseudo))
    control = dict(data["control"])
    assert control.pop("pseudo_dir") == str(pseudo)
    assert control == {
        "calculation": "scf",
        "tprnfor": True,
        "tstress": True,
        "outdir": "./out",
        "prefix": "pwscf",
        "disk_io": "low",
    }
    assert data["system"] == {
        "ecutwfc": 30.0,
        "ecutrho": 240.0,
        "occupations": "smearing",
        "smearing": "gaussian",
        "degauss": 0.0037,
        "ntyp": 1,
        "nat": 2,
        "ibrav": 0,
    }
    assert data["electrons"] == {"conv_thr": 1e-11, "mixing_beta": 0.7, "electron_maxstep": 100}
    assert "Si 28.085 Si.pbesol.UPF" in cards
    # |b| = 2π √3 / 5.43 Å = 2.004 / Å, 10.02 times the spacing of 0.2 / Å
    assert cards[cards.index("K_POINTS automatic") + 1] == "11 11 11 0 0 0"
    assert cards[cards.index("ATOMIC_POSITIONS angstrom") + 2].startswith("Si 1.3575000000")
    rows = cards[cards.index("CELL_PARAMETERS angstrom") + 1 :][:3]
    np.testing.assert_allclose([np.fromstring(row, sep=" ") for row in rows], cell.cell[:])


def test_input_of_other_settings(pseudo, tmp_path):
    settings = reference(
        pseudo,
        occupations="fixed",
        shifted_mesh=True,
        kspacing_per_angstrom=1.1,
        mixing_beta=0.3,
        electron_maxstep=50,
        input_data={"system": {"vdw_corr": "dft-d3"}, "electrons": {"mixing_mode": "local-TF"}},
    )
    data, cards = written(tmp_path, bulk("Si", a=5.43), settings)
    assert data["system"]["occupations"] == "fixed"
    assert "degauss" not in data["system"]
    assert data["system"]["vdw_corr"] == "dft-d3"
    assert data["electrons"]["mixing_mode"] == "local-TF"
    assert data["electrons"]["mixing_beta"] == 0.3
    assert cards[cards.index("K_POINTS automatic") + 1] == "2 2 2 1 1 1"


def test_one_k_point_is_done_the_fast_way(pseudo, tmp_path):
    _, cards = written(
        tmp_path, bulk("Si", a=5.43, cubic=True), reference(pseudo, kspacing_per_angstrom=1.2)
    )
    assert "K_POINTS gamma" in cards


def test_magnetism_is_given_as_polarisation_of_each_element(pseudo, tmp_path):
    upf(pseudo, "Fe.UPF", element="Fe")
    settings = reference(
        pseudo,
        magnetism=True,
        starting_magnetization={"Fe": 0.4},
        pseudopotentials={
            "folder": str(pseudo),
            "files": {"Si": "Si.pbesol.UPF", "Fe": "Fe.UPF"},
        },
    )
    cell = bulk("FeSi", "cesiumchloride", a=2.8)
    data, cards = written(tmp_path, cell, settings)
    assert data["system"]["nspin"] == 2
    assert data["system"]["starting_magnetization(1)"] == 0.4
    assert data["system"]["starting_magnetization(2)"] == 0
    assert "Fe 55.845 Fe.UPF" in cards


def test_isolated_atom_has_the_moment_of_its_ground_state(pseudo):
    potential = read_upf(pseudo / "Si.pbesol.UPF")
    system = atom_namelists(reference(pseudo, occupations="fixed"), potential, 2.0)["system"]
    assert (system["nspin"], system["tot_magnetization"]) == (2, 2.0)
    assert system["occupations"] == "smearing"
    assert system["nbnd"] >= 3 + 1  # three electrons up, and room
    closed = atom_namelists(reference(pseudo), potential, 0.0)["system"]
    assert closed["nspin"] == 1
    assert "tot_magnetization" not in closed


def test_born_charges_need_fixed_occupations(pseudo):
    potentials = {"Si": read_upf(pseudo / "Si.pbesol.UPF")}
    system = born_namelists(reference(pseudo), potentials)["system"]
    assert system["occupations"] == "fixed"
    assert not {"smearing", "degauss"} & set(system)
    smearing = next(one for one in LADDER if "smearing" in one.words)
    start = Start(born_namelists(reference(pseudo), potentials))
    assert smearing.suits(start)
    assert not smearing.suits(replace(start, insulator=True))  # ph.x would refuse it


# --- recorded outputs ----------------------------------------------------------------------------

GOOD, BAD = "default_xml_241015", ("computing_cholesky", "interrupted", "out_of_walltime")


def recorded(shared_data: Path, name: str) -> tuple[str, Path]:
    folder = shared_data / "qe-outputs" / name
    crash = folder / "CRASH"
    text = (folder / "aiida.out").read_text() + (crash.read_text() if crash.exists() else "")
    return text, folder / "data-file-schema.xml"


def test_good_run(shared_data):
    text, xml = recorded(shared_data, GOOD)
    result = read_pw(text, xml, 8e-10)
    assert result.version == "7.4"
    assert result.scf_steps == 7
    # as in the text: -22.67145894 Ry, P = 4.62 kbar (positive under compression)
    said = float(text.split("!    total energy              =")[1].split()[0])
    assert result.energy == pytest.approx(said * 13.605693, rel=1e-7)
    pressure = float(text.split("P=")[1].split()[0])
    assert -np.trace(result.stress) / 3 * 1602.1766 == pytest.approx(pressure, abs=0.01)
    np.testing.assert_allclose(result.forces, 0, atol=1e-25)
    np.testing.assert_allclose(result.atoms.cell.lengths(), 7.2557731941838339 * 0.52917721, 1e-8)


def test_good_run_is_refused_where_more_is_asked_for(shared_data):
    text, xml = recorded(shared_data, GOOD)
    with pytest.raises(RunFailed, match=r"1\.0e-10 is asked for"):
        read_pw(text, xml, 1e-10)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("failed_computing_cholesky", "diagonalisation", "cdiaghg: problems computing cholesky"),
        ("failed_interrupted", "incomplete", "did not come to its end"),
        ("failed_out_of_walltime", "time", "out of time"),
        ("failed_scf_not_converged", "not converged", "did not converge in 2 steps"),
    ],
)
def test_failed_runs_are_refused_even_if_their_exit_status_were_good(
    shared_data, name, kind, words
):
    text, xml = recorded(shared_data, name)
    with pytest.raises(RunFailed, match=words) as caught:
        read_pw(text, xml, 1e-6)
    assert caught.value.kind == kind
    assert caught.value.wants == ("time" if kind == "time" else "")


def test_no_part_of_a_good_run_is_accepted(shared_data, tmp_path):
    """Every run cut off in the middle, and every XML without one of its parts, is refused."""
    text, xml = recorded(shared_data, GOOD)
    for share in np.linspace(0, 0.99, 34):
        with pytest.raises(RunFailed):
            read_pw(text[: int(share * len(text))], xml, 8e-10)
    content = xml.read_text()
    damaged = tmp_path / "data-file-schema.xml"
    broken = [content[: int(share * len(content))] for share in np.linspace(0, 0.99, 34)]
    for tag in ("forces", "stress", "etot", "scf_error", "atomic_structure"):
        head, _, rest = content.rpartition(f"<{tag}")
        broken.append(head + rest.partition(f"</{tag}>")[2])
    broken.append(content.replace("-7.263136660087705E-033", "NaN"))
    broken.append(content.replace("-7.263136660087705E-033", "*****"))
    broken.append(content.replace("<convergence_achieved>true", "<convergence_achieved>false"))
    for one in broken:
        damaged.write_text(one)
        with pytest.raises(RunFailed):
            read_pw(text, damaged, 8e-10)
    damaged.unlink()
    with pytest.raises(RunFailed, match="no XML"):
        read_pw(text, damaged, 8e-10)
    damaged.write_text(content)
    read_pw(text, damaged, 8e-10)


def test_unconverged_run_with_good_words_is_refused(shared_data):
    """As with scf_must_converge = .false.: "convergence has been achieved" at 3e-3 Ry."""
    text, xml = recorded(shared_data, GOOD)
    head, _, last = text.rpartition("estimated scf accuracy    <")
    lie = f"{head}estimated scf accuracy    <          3.1E-03{last[last.index(' Ry') :]}"
    with pytest.raises(RunFailed, match=r"3\.1e-03"):
        read_pw(lie, xml, 8e-10)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("forrtl: severe (28): CLOSE error, No space left on device", "disk"),
        ("Error allocating 8053063680 bytes", "memory"),
        ("slurmstepd: error: Detected 1 oom-kill event(s)", "memory"),
        ("     Error in routine divide_et_impera (1):\n some nodes have no k-points", "pools"),
        ("     Error in routine readpp (1):\n     file x.UPF not readable\n", "pseudopotential"),
        (
            "     Error in routine c_bands (1):\n     too many bands are not converged",
            "diagonalisation",
        ),
        ("     Error in routine read_namelists (1):\n   bad line in namelist\n", "input"),
    ],
)
def test_reasons_in_the_output(text, kind):
    reason = reason_in(text)
    assert reason is not None
    assert reason.kind == kind


# --- remedies ------------------------------------------------------------------------------------


def climbed(kind, start: Start) -> list[str]:
    tried = []
    while remedy := next_remedy(kind, tried, start):
        tried.append(remedy)
        start = remedy.change(start)
    return [remedy.words for remedy in tried]


def test_remedies_go_by_the_failure(pseudo):
    potentials = {"Si": read_upf(pseudo / "Si.pbesol.UPF")}
    smeared = Start(namelists(reference(pseudo), potentials))
    fixed = Start(namelists(reference(pseudo, occupations="fixed"), potentials), from_density=True)
    for kind in ("time", "disk", "pseudopotential", "input", "memory", "killed"):
        assert climbed(kind, smeared) == []
    assert climbed("memory", Start(smeared.settings, pools=2)) == ["one pool"]
    assert climbed("diagonalisation", smeared) == ["diagonalisation by conjugate gradients"]
    assert not any("smearing" in words for words in climbed("not converged", smeared))
    words = climbed("not converged", fixed)
    assert words[0] == "start from the density of free atoms"
    assert any("smearing" in one for one in words)
    assert {kind for remedy in LADDER for kind in remedy.kinds} >= {"crashed", "incomplete"}


def test_remedies_add_up_and_never_loosen(pseudo):
    potentials = {"Si": read_upf(pseudo / "Si.pbesol.UPF")}
    careful = reference(pseudo, mixing_beta=0.05, electron_maxstep=500)
    start = Start(namelists(careful, potentials))
    tried = []
    while remedy := next_remedy("not converged", tried, start):
        tried.append(remedy)
        start = remedy.change(start)
        electrons = start.settings["electrons"]
        assert electrons["mixing_beta"] == 0.05
        assert electrons["electron_maxstep"] == 500
        assert electrons["conv_thr"] == careful.conv_thr_ry
    assert electrons["diagonalization"] == "cg"


# --- running programs ----------------------------------------------------------------------------


def test_text_files_of_failed_runs_stay(tmp_path):
    with (
        pytest.raises(LabelFailed, match=r"no luck \(see .*failed.*\)") as caught,
        run_folder(tmp_path / "work", ["*.pwi"], ["*.pwo"]) as folder,
    ):
        (folder / "try0").mkdir()
        (folder / "try0/espresso.pwi").write_text("&CONTROL")
        (folder / "try0/wfc1.dat").write_text("large")
        (folder / "try0/espresso.pwo").write_text("\n".join(f"line {i}" for i in range(90)))
        raise LabelFailed("no luck", "memory")
    assert caught.value.wants == "memory"
    assert caught.value.output.splitlines() == [f"line {i}" for i in range(70, 90)]
    left = [path.name for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert left == ["espresso.pwi"]
    with run_folder(tmp_path / "work", ["*"]) as folder:
        (folder / "espresso.pwi").write_text("&CONTROL")
    assert not folder.exists()


def alive(mark: str) -> list[str]:
    found = subprocess.run(["pgrep", "-f", mark], capture_output=True, text=True, check=False)
    return found.stdout.split()


def gone(mark: str) -> bool:
    until = time.monotonic() + 600
    while alive(mark) and time.monotonic() < until:
        time.sleep(0.1)
    return not alive(mark)


SEVERAL = "sleep {mark} & setsid sleep {mark} & exec sleep {mark}"


def test_child_ends_with_all_it_started_at_its_time_limit(tmp_path):
    mark = f"3{os.getpid()}1"
    command = ["bash", "-c", SEVERAL.format(mark=mark)]
    finished = run_child(command, tmp_path, 1, time_limit_s=1)
    assert finished.timed_out
    assert "its time limit" in finished.ending
    assert not alive(f"sleep {mark}")


def test_child_takes_leftovers_along_when_it_ends(tmp_path):
    mark = f"3{os.getpid()}2"
    finished = run_child(["bash", "-c", f"setsid sleep {mark} & exit 3"], tmp_path, 1)
    assert (finished.returncode, finished.timed_out) == (3, False)
    assert not alive(f"sleep {mark}")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_child_ends_with_its_parent(tmp_path, number):
    mark = f"3{os.getpid()}{int(number)}"
    program = (
        "import signal; from pathlib import Path; "
        "from phonsmith.running.subprocesses import run_child; "
        # a job of a script in the background is born deaf to it
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"run_child(['bash', '-c', {SEVERAL.format(mark=mark)!r}], Path('.'), 1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 600
    while len(alive(f"^sleep {mark}")) < 3 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(alive(f"^sleep {mark}")) == 3
    parent.send_signal(number)
    try:
        parent.wait(timeout=60)
    finally:
        parent.kill()
    assert gone(f"^sleep {mark}")


def test_child_tells_how_it_ended(tmp_path, capfd):
    greedy = "a = bytearray(200_000_000); import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    finished = run_child([sys.executable, "-c", greedy], tmp_path, 1)
    assert finished.signal == "SIGKILL"
    assert 200 < finished.peak_memory_mb < 300
    assert "ended by SIGKILL (out of memory?) at 2" in finished.ending
    assert run_child(["sh", "-c", "exit 137"], tmp_path, 1).signal == "SIGKILL"
    assert run_child(["sh", "-c", "exit 2"], tmp_path, 1).ending == "exit status 2"
    missing = run_child(["no-such-program"], tmp_path, 1)
    assert "cannot be started: no-such-program" in missing.ending
    said = run_child(["sh", "-c", "echo one; echo two >&2"], tmp_path, 1)
    assert said.lines == ["one", "two"]
    capfd.readouterr()
    run_child(["sh", "-c", "echo one"], tmp_path, 1, output=tmp_path / "said")
    assert (tmp_path / "said").read_text() == "one\n"
    assert not capfd.readouterr().out


def test_child_knows_its_threads_and_environment(tmp_path):
    said = run_child(["sh", "-c", "echo $OMP_NUM_THREADS $EXTRA"], tmp_path, 3, {"EXTRA": "x"})
    assert said.lines == ["3 x"]
