"""Starting magnetic moments of sites: antiferromagnets, from the crystal to the codes' inputs."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.emt import EMT
from ase.io import write
from ase.io.espresso import read_fortran_namelist
from pymatgen.core import SETTINGS
from pymatgen.io.vasp import Incar, Poscar

from phonsmith.campaign.model import Campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.conductivity.mesh import set_mesh
from phonsmith.conductivity.third_order import new_phono3py
from phonsmith.datasets.settings import Database
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import FORCES, read_frames, write_frames
from phonsmith.files.sources import Places
from phonsmith.labels.checks import labelled
from phonsmith.labels.espresso.density import _atoms as atoms_of_density
from phonsmith.labels.espresso.inputs import Subject, namelists, write_input
from phonsmith.labels.espresso.pseudopotentials import pseudopotentials_of
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.recorded.databases import cells_of_database
from phonsmith.labels.relaxations import relaxed
from phonsmith.labels.store import LabelStore
from phonsmith.labels.vasp.inputs import static_tags, write_inputs
from phonsmith.labels.vasp.method import VaspMethod, _unwrapped
from phonsmith.labels.vasp.potcars import potcars_of
from phonsmith.labels.vasp.settings import VaspReference
from phonsmith.phonons.band_paths import band_path
from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.settings import Phonons
from phonsmith.structures.reading import read_structure
from phonsmith.structures.relaxation import RelaxationResult, relaxed_crystal
from phonsmith.structures.settings import Relaxation, Structure
from phonsmith.structures.sites import moments_of, own_moments, plain
from phonsmith.structures.symmetry import space_group, symmetrized
from phonsmith.supercells.cells import (
    displaced_cells,
    make_phonopy,
    supercell_matrix,
    to_ase,
    to_phonopy,
)
from phonsmith.supercells.making import make_supercells
from phonsmith.supercells.settings import Displaced, Rattled, Supercells
from tests.potcars import write_potcar

ALONG_111 = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
"""The magnetic cell of an antiferromagnet of type II (NiO, MnO) from the primitive fcc cell."""


def nickel_oxide() -> Atoms:
    cell = plain(make_supercell(bulk("NiO", "rocksalt", a=4.17), ALONG_111))
    assert str(cell.symbols) == "NiONiO"
    return own_moments(cell, [2, 0, -2, 0], "NiO")


def nickel() -> Atoms:
    """Nickel as if it were an antiferromagnet: a potential gives forces that know no moments."""
    cell = plain(make_supercell(bulk("Ni", "fcc", a=3.52), ALONG_111))
    return own_moments(cell, [1, -1], "Ni")


def bare(atoms: Atoms) -> Atoms:
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell[:], pbc=True)


def forces(cell: Atoms) -> np.ndarray:
    cell = cell.copy()
    cell.calc = EMT()
    return cell.get_forces()


# --- crystals ------------------------------------------------------------------------------------


def test_moments_come_from_the_campaign_or_the_file(tmp_path):
    crystal = nickel_oxide()
    write(tmp_path / "POSCAR", bare(crystal), format="vasp")
    write(tmp_path / "named.extxyz", crystal)
    results = bare(crystal)
    results.new_array("magmoms", np.array([1.7, 0.01, -1.7, -0.01]))
    write(tmp_path / "computed.extxyz", results)
    listed = read_structure(tmp_path / "POSCAR", [2, 0, -2, 0])
    assert moments_of(listed).tolist() == [2, 0, -2, 0]
    assert str(listed.symbols) == "NiONiO"
    assert moments_of(read_structure(tmp_path / "named.extxyz", "file")).tolist() == [2, 0, -2, 0]
    found = moments_of(read_structure(tmp_path / "computed.extxyz", "file"))
    assert found.tolist() == [1.7, 0.01, -1.7, -0.01]
    for name in ("POSCAR", "named.extxyz", "computed.extxyz"):  # where the campaign does not ask
        assert not read_structure(tmp_path / name).has("initial_magmoms")


@pytest.mark.parametrize(
    ("name", "moments", "words"),
    [
        ("POSCAR", "file", r"POSCAR: no magnetic moments .*list them"),
        ("POSCAR", [2, -2], r"POSCAR: .* 2 numbers for 4 atoms \(NiONiO\); give one number"),
        ("POSCAR", [0, 0, 0, 0], r"all zero"),
        ("NiO.cif", [2, 0, -2, 0], r"NiO.cif: .* which a CIF does not; convert"),
        ("vectors.extxyz", "file", r"non-collinear"),
    ],
)
def test_moments_that_do_not_fit_are_refused(tmp_path, name, moments, words):
    crystal = nickel_oxide()
    write(tmp_path / "POSCAR", bare(crystal), format="vasp")
    write(tmp_path / "NiO.cif", bare(crystal))
    vectors = bare(crystal)
    vectors.set_initial_magnetic_moments(np.ones((4, 3)))
    write(tmp_path / "vectors.extxyz", vectors)
    with pytest.raises(PhonsmithError, match=words):
        read_structure(tmp_path / name, moments)


def test_the_space_group_is_that_of_the_magnetic_crystal():
    """NiO: rhombohedral with moments along [111]; bcc chromium keeps its cubic group."""
    assert space_group(bare(nickel_oxide()), 1e-2) == (225, "Fm-3m")
    assert space_group(nickel_oxide(), 1e-2) == (166, "R-3m")
    chromium = own_moments(bulk("Cr", "bcc", a=2.9, cubic=True), [1, -1], "Cr")
    assert space_group(chromium, 1e-2) == (229, "Im-3m")


def test_noise_is_removed_and_a_distortion_of_the_moments_stays():
    crystal = nickel_oxide()
    strain = np.eye(3) + 0.004 * (np.ones((3, 3)) - np.eye(3))  # along [111]
    crystal.set_cell(crystal.cell[:] @ strain, scale_atoms=True)
    noisy, random = crystal.copy(), np.random.default_rng(1)
    noisy.positions += random.normal(scale=1e-3, size=(4, 3))
    noisy.set_cell(noisy.cell[:] + random.normal(scale=5e-4, size=(3, 3)), scale_atoms=True)
    assert space_group(noisy, 1e-5)[0] in (1, 2)
    exact = symmetrized(noisy, 1e-2)
    assert space_group(exact, 1e-6) == (166, "R-3m")
    assert moments_of(exact).tolist() == [2, 0, -2, 0]
    angles = exact.cell.angles()
    assert np.ptp(angles) < 1e-8
    assert angles[0] == pytest.approx(crystal.cell.angles()[0], abs=0.05)
    assert np.abs(exact.positions - noisy.positions).max() < 5e-3


def test_a_relaxation_keeps_moments_and_judges_the_magnetic_group():
    crystal, verdict = relaxed_crystal(nickel(), EMT(), Relaxation())
    assert moments_of(crystal).tolist() == [1, -1]
    assert (verdict.symbol_before, verdict.symbol_after) == ("R-3m", "R-3m")
    assert not verdict.reason


# --- supercells and phonons ----------------------------------------------------------------------


def test_the_magnetic_cell_is_not_reduced_to_the_chemical_one():
    crystal = nickel_oxide()
    assert len(make_phonopy(crystal, np.eye(3)).primitive) == 4
    assert len(make_phonopy(bare(crystal), np.eye(3)).primitive) == 2
    double = plain(make_supercell(crystal, np.diag([1, 1, 2])))
    primitive = make_phonopy(double, np.diag([2, 2, 1])).primitive
    assert sorted(primitive.magnetic_moments) == [-2, 0, 0, 2]


def test_cells_to_label_carry_their_moments(tmp_path):
    crystal = nickel_oxide()
    settings = Supercells(
        min_length_angstrom=7, min_atoms=8, max_atoms=64, rattled=Rattled(count=2)
    )
    cells = make_supercells("NiO", crystal, settings, 1, 0).cells
    matrix = supercell_matrix(crystal, settings)
    ideal = make_supercell(crystal, matrix)
    assert {one.info["kind"] for one in cells} == {"displaced", "rattled"}
    write_frames(tmp_path / "cells.extxyz", cells)
    for cell in read_frames(tmp_path / "cells.extxyz"):
        moments = moments_of(cell)
        assert moments.sum() == 0
        assert (np.abs(moments) == 2).sum() == len(cell) / 2
        # neighbours of one kind along the cube's edge are antiparallel: as in the ideal cell
        for atom, moment in zip(cell, moments, strict=True):
            shift = ideal.cell.scaled_positions(ideal.positions)
            shift -= cell.cell.scaled_positions(atom.position)
            shift -= np.rint(shift)
            near = np.linalg.norm(shift @ ideal.cell[:], axis=1).argmin()
            assert ideal.get_initial_magnetic_moments()[near] == moment


def test_phonons_of_a_magnetic_cell_are_those_of_its_forces(tmp_path):
    """Forces of a potential: more symmetry than the moments have, and the same frequencies."""
    found = []
    for crystal in (nickel(), bare(nickel())):
        phonon = make_phonopy(crystal, np.diag([2, 2, 2]), "P")
        phonon.forces = [forces(cell) for cell in displaced_cells(phonon, Displaced())]
        phonon.produce_force_constants()
        save_phonons(tmp_path / "phonons.yaml", phonon)
        found.append(load_phonons(tmp_path / "phonons.yaml"))
    magnetic = found[0]
    assert to_ase(magnetic.unitcell).get_initial_magnetic_moments().tolist() == [1, -1]
    points = [[0, 0, 0], [0.1, 0.2, 0.3], [0.5, 0.5, 0.5]]
    frequencies = [one.run_qpoints(points).frequencies for one in found]
    assert frequencies[0] == pytest.approx(frequencies[1], abs=1e-4)
    third = new_phono3py(magnetic, np.diag([2, 2, 2]))
    third.generate_displacements(distance=0.03)
    third.forces = [forces(to_ase(cell)) for cell in third.supercells_with_displacements]
    third.produce_fc3()
    third.fc2 = magnetic.force_constants
    set_mesh(third, [4, 4, 4], "primitive")
    third.init_phph_interaction()
    third.run_thermal_conductivity(temperatures=[300])
    assert (third.thermal_conductivity.kappa[0, 0, :3] > 0).all()


@pytest.mark.parametrize("convention", ["seekpath", "setyawan-curtarolo"])
def test_band_paths_are_of_the_magnetic_lattice(convention):
    """The path of a rhombohedral crystal, in fractions of the magnetic cell's own basis."""
    path = band_path(nickel_oxide(), Phonons(band_path=convention))
    labels = {label for pair in path.labels for label in pair}
    assert {"Γ", "L", "F"} <= labels
    assert "W" not in labels  # of the cubic crystal


def test_vectors_of_recorded_phonons_do_no_harm():
    crystal = to_phonopy(bare(nickel()))
    crystal.magnetic_moments = [[0, 0, 1], [0, 0, -1]]
    atoms = to_ase(crystal)
    assert moments_of(atoms) is None
    assert space_group(atoms, 1e-3) == (225, "Fm-3m")


def test_a_supercell_that_spglib_cannot_classify_is_refused():
    with pytest.raises(PhonsmithError, match=r"magnetic symmetry of the supercell .*multiples"):
        make_phonopy(nickel(), np.diag([1, 1, 2]))


# --- labels --------------------------------------------------------------------------------------


def test_keys_of_labels_without_moments_are_those_of_older_stores():
    cell = bare(nickel())
    digest = hashlib.sha256()
    digest.update(np.asarray(cell.numbers, dtype="<i8").tobytes())
    digest.update((np.asarray(cell.cell[:], dtype="<f8") + 0.0).tobytes())
    digest.update((np.asarray(cell.positions, dtype="<f8") + 0.0).tobytes())
    digest.update(np.asarray(cell.pbc, dtype="u1").tobytes())
    digest.update(b"fingerprint")
    assert LabelStore.key(cell, "fingerprint") == digest.hexdigest()
    keys = {LabelStore.key(cell, "fingerprint"), LabelStore.key(nickel(), "fingerprint")}
    for moments in ([-1, 1], [1, 1], [2, -2]):
        keys.add(LabelStore.key(own_moments(cell, moments, ""), "fingerprint"))
    assert len(keys) == 5
    assert "magnetic_moments_bohr" not in Structure(file="a.vasp").model_dump(mode="json")


def test_labels_know_their_moments(tmp_path):
    store, cell = LabelStore(tmp_path), nickel()
    key = LabelStore.key(cell, "x")
    store.put(key, labelled(cell, "VASP PBE", -1.0, np.zeros((2, 3)), np.zeros((3, 3))))
    write_frames(tmp_path / "labels.extxyz", [store.get(key)])
    (label,) = read_frames(tmp_path / "labels.extxyz")
    assert moments_of(label).tolist() == [1, -1]
    assert FORCES in label.arrays


def test_relaxations_give_moments_back_from_codes_and_from_the_store(tmp_path):
    class Method:
        def fingerprint(self, elements):
            return '{"method": "forgets moments"}'

        def relax(self, atoms, settings, load):
            return RelaxationResult(bare(atoms), True, 1, 1e-5, -1.0)

    store = LabelStore(tmp_path)
    for _ in range(2):
        result = relaxed(nickel(), Method(), Relaxation(), store=store)
        assert moments_of(result.atoms).tolist() == [1, -1]
    assert moments_of(relaxed(nickel(), Method(), Relaxation()).atoms).tolist() == [1, -1]


# --- VASP ----------------------------------------------------------------------------------------


@pytest.fixture
def potcars(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "potcars"
    write_potcar(folder, "Ni_pv", element="Ni")
    write_potcar(folder, "O", element="O")
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    return folder


def vasp(**settings) -> VaspReference:
    base = {"method": "vasp", "potcars": {"Ni": "Ni_pv", "O": "O"}, "magnetism": True}
    return VaspReference.model_validate(base | settings)


def test_magmom_is_in_the_order_of_the_poscar(potcars, tmp_path):
    reference = vasp(magmom={"Ni": 5.0}, hubbard={"Ni": {"orbital": "d", "u_ev": 6}})
    tags = static_tags(reference, None)
    files = potcars_of(reference, ["Ni", "O"])
    write_inputs(tmp_path, nickel_oxide(), tags, files, reference.magmom, hubbard=reference.hubbard)
    incar, poscar = Incar.from_file(tmp_path / "INCAR"), Poscar.from_file(tmp_path / "POSCAR")
    assert (poscar.site_symbols, poscar.natoms) == (["Ni", "O"], [2, 2])
    assert (incar["ISPIN"], incar["MAGMOM"]) == (2, [2.0, -2.0, 0.0, 0.0])
    assert incar["LDAUU"] == [6, 0]
    write_inputs(tmp_path, bare(nickel_oxide()), tags, files, reference.magmom)
    assert Incar.from_file(tmp_path / "INCAR")["MAGMOM"] == [5.0, 5.0, 0.0, 0.0]


def test_the_second_relaxation_by_vasp_starts_from_the_moments_again():
    assert moments_of(_unwrapped(bare(nickel()), nickel())).tolist() == [1, -1]


def test_moments_of_sites_are_in_no_fingerprint(potcars):
    """They are of the cell, and in the keys of its labels; other labels stay what they are."""
    method = VaspMethod(vasp(), None, Allocation())
    assert '"magmom":{}' in method.fingerprint(["Ni", "O"])


# --- Quantum ESPRESSO ----------------------------------------------------------------------------


UPF = """<UPF version="2.0.1">
  <PP_HEADER element="{element}" pseudo_type="USPP" relativistic="scalar" functional="PBESOL"
    z_valence="{valence}" wfc_cutoff="40" rho_cutoff="320"/>
</UPF>
"""


def espresso(folder: Path, **settings) -> EspressoReference:
    folder.mkdir(exist_ok=True)
    for element, valence in (("Ni", 10.0), ("O", 6.0)):
        (folder / f"{element}.UPF").write_text(UPF.format(element=element, valence=valence))
    base = {
        "method": "espresso",
        "pseudopotentials": {"folder": str(folder), "files": {"Ni": "Ni.UPF", "O": "O.UPF"}},
        "ecutwfc_ry": 40,
        "magnetism": True,
    }
    return EspressoReference.model_validate(base | settings)


def espresso_input(folder: Path, cell: Atoms, settings: EspressoReference, version: str) -> str:
    files = pseudopotentials_of(settings.pseudopotentials, settings.functional, cell.symbols)
    write_input(
        folder, Subject(cell, files, (1, 1, 1), version), settings, namelists(settings, files)
    )
    return (folder / "espresso.pwi").read_text()


def test_species_are_split_by_moment_with_u_on_each(tmp_path):
    settings = espresso(
        tmp_path / "pseudo",
        starting_magnetization={"O": 0.1},
        hubbard={"Ni": {"orbital": "d", "u_ev": 6}},
    )
    text = espresso_input(tmp_path, nickel_oxide(), settings, "7.3")
    data, cards = read_fortran_namelist(text.splitlines())
    starts = [data["system"][f"starting_magnetization({i})"] for i in (1, 2, 3)]
    assert (data["system"]["ntyp"], starts) == (3, [0.2, 0.0, -0.2])  # of 10 valence electrons
    species = [line.split()[0] for line in cards if line.endswith(".UPF")]
    assert species == ["Ni", "O", "Ni1"]
    atoms = [line.split()[0] for line in cards if re.match(r"(Ni1?|O) +\S+ \S+ \S+$", line)]
    assert atoms == ["Ni", "O", "Ni1", "O"]
    assert [line for line in cards if line.startswith("U ")] == ["U Ni-3d 6.0", "U Ni1-3d 6.0"]
    older = espresso_input(tmp_path, nickel_oxide(), settings, "6.7")
    found = dict(re.findall(r"^ +(hubbard_u\S*) += (\S+)$", older, re.MULTILINE))
    assert found == {"hubbard_u(1)": "6.0", "hubbard_u(3)": "6.0"}


def test_a_moment_needs_as_many_valence_electrons(tmp_path):
    cell = own_moments(bare(nickel_oxide()), [12, 0, -12, 0], "")
    with pytest.raises(PhonsmithError, match=r"12 of Ni, which has 10 valence electrons"):
        espresso_input(tmp_path, cell, espresso(tmp_path / "pseudo"), "7.3")


def test_a_density_is_kept_for_cells_of_the_same_moments():
    assert atoms_of_density(nickel()) == atoms_of_density(nickel())
    assert atoms_of_density(nickel()) != atoms_of_density(bare(nickel()))


# --- campaigns -----------------------------------------------------------------------------------


def campaign(tmp_path: Path, structures: dict, **reference) -> Campaign:
    write(tmp_path / "POSCAR", bare(nickel_oxide()), format="vasp")
    base = {"method": "vasp", "potcars": {"Ni": "Ni_pv", "O": "O"}, "magnetism": True}
    settings = {"structures": structures, "fits": {"gap": {"kind": "gap"}}}
    return Campaign.model_validate(settings | {"reference": base | reference})


NIO = {"file": "POSCAR", "magnetic_moments_bohr": [2, 0, -2, 0]}
SW = {"method": "calculator", "potential": {"calculator": "stillinger-weber"}}


@pytest.mark.parametrize(
    ("structures", "reference", "words"),
    [
        (
            {"a": NIO},
            {"magnetism": False},
            r"a\.magnetic_moments_bohr: requires reference.magnetism",
        ),
        ({"a": NIO, "b": {"file": "POSCAR"}}, {}, r"structures.b would start .* reference.magmom"),
        ({"b": {"file": "POSCAR"}}, {"magmom": {"Ni": 0.0}}, r"structures.b would start"),
        (
            {"b": {"file": "POSCAR"}},
            {"magnetism": False, "magmom": {"Ni": 1}},
            "requires magnetism",
        ),
        (
            {"a": NIO, "b": {"scaled": {"of": "a", "linear": 1.1}, "magnetic_moments_bohr": [1]}},
            {},
            r"b\.magnetic_moments_bohr: taken from a; give the moments there",
        ),
    ],
)
def test_moments_and_magnetism_go_together(tmp_path, structures, reference, words):
    with pytest.raises(ValueError, match=words):
        campaign(tmp_path, structures, **reference)


def test_a_reference_that_cannot_start_from_moments_is_refused():
    with pytest.raises(ValueError, match=r"not used by the reference method calculator"):
        Campaign.model_validate(
            {"structures": {"a": NIO}, "reference": SW, "fits": {"gap": {"kind": "gap"}}}
        )


def test_moments_of_another_crystal_are_found_before_the_run(potcars, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = campaign(tmp_path, {"a": NIO, "b": {"scaled": {"of": "a", "linear": 1.1}}})
    check_inputs(good, "campaign.yaml", [])
    bad = campaign(tmp_path, {"a": NIO | {"magnetic_moments_bohr": [2, -2]}})
    with pytest.raises(PhonsmithError, match=r"structures.a.magnetic_moments_bohr: .*4 atoms"):
        check_inputs(bad, "campaign.yaml", [])


def test_moments_in_a_data_set_are_not_those_of_new_labels(tmp_path):
    """Cells of a data set start from the moments of the reference method, as they did."""
    label = labelled(nickel(), "VASP", -1.0, forces(nickel()), np.zeros((3, 3)))
    label.info["kind"] = "recorded"
    write_frames(tmp_path / "set.extxyz", [label])
    database = Database(
        source={"name": "set", "folder": str(tmp_path)},
        level_of_theory="VASP PBE",
        train_files=["set.extxyz"],
        relabel=True,
    )
    (cell,) = cells_of_database("set", database, Places(cache=tmp_path))
    assert moments_of(cell) is None
