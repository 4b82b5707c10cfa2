"""Inputs of VASP, field by field."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError
from pymatgen.io.vasp import Incar, Poscar, Potcar

from phonsmith.labels.kpoints import mesh
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.vasp.inputs import (
    born_tags,
    in_vasp_order,
    isolated_atom_tags,
    relaxation_tags,
    static_tags,
    write_inputs,
)
from phonsmith.labels.vasp.method import VaspMethod
from phonsmith.labels.vasp.potcars import potcars_of
from phonsmith.structures.relaxation import FREE, Load
from phonsmith.structures.settings import Relaxation
from tests.labels.vasp.examples import poscar, vasp
from tests.potcars import write_potcar


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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"incar": {"nsw": 10}}, "incar.nsw: not allowed; set by phonsmith"),
        ({"incar": {"ISIF": 3}}, "incar.ISIF: not allowed; set by phonsmith"),
        ({"incar": {"ML_LMLFF": True}}, "incar.ML_LMLFF: not allowed; labels are DFT"),
        ({"incar": {"ENCUT": 400}}, "incar.ENCUT: not allowed; use encut_ev"),
        ({"incar": {"KSPACING": 0.4}}, "incar.KSPACING: not allowed; use kspacing_per_angstrom"),
        ({"incar_by_structure": {"a": {"GGA": "PE"}}}, "incar_by_structure.a.GGA: .* functional"),
        ({"incar_by_structure": {"a": {"MAGMOM": [1]}}}, "a.MAGMOM: not allowed; use magnetism"),
        ({"incar": {"NELM": 5, "nelm": 6}}, "incar: NELM is given twice"),
        ({"potcar_family": "LDA_54"}, "LDA_54 is not made for PBEsol"),
        ({"magmom": {"Sn": 1}}, "magmom requires magnetism: true"),
        ({"cores": 4, "command": "vasp_std"}, "command must contain `{cores}`"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        vasp(**settings)


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


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        *(({"ALGO": value}, "ALGO: .* allowed: Normal") for value in ("None", "Exact", "GW0")),
        ({"IALGO": 90}, "IALGO: 90"),
        ({"PSTRESS": 10}, "PSTRESS: not allowed"),
        ({"IMAGES": 3}, "IMAGES: not allowed"),
        ({"VCA": [0.5, 0.5]}, "VCA: not allowed"),
        ({"EFIELD": 0.1}, "EFIELD: not allowed"),
        ({"I_CONSTRAINED_M": 1}, "I_CONSTRAINED_M: not allowed"),
        ({"SCALEE": 0.5}, "SCALEE: not allowed"),
    ],
)
def test_keys_that_spoil_labels_are_refused(tags: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        vasp(incar=tags)


def test_solvers_that_end_in_a_ground_state_are_allowed() -> None:
    for value in ("Fast", "veryfast", "A", "Normal", "D"):
        assert vasp(incar={"ALGO": value}).incar == {"ALGO": value}
