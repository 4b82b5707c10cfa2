"""Inputs of pw.x, field by field."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io.espresso import read_fortran_namelist

from phonsmith.labels.espresso.inputs import (
    INPUT,
    Subject,
    atom_namelists,
    born_namelists,
    k_points,
    namelists,
    write_input,
)
from phonsmith.labels.espresso.pseudopotentials import pseudopotentials_of, read_upf
from phonsmith.labels.espresso.remedies import LADDER, Start
from phonsmith.labels.espresso.settings import EspressoReference
from tests.labels.espresso.examples import reference, upf


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
