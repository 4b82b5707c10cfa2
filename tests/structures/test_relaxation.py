"""Structures: reading, symmetry, relaxation and the verdict on it."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import write
from ase.units import GPa
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import StillingerWeber
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (
    Stillinger_Weber_PRB_31_5262_Si,
)

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.reading import check_structure, read_structure
from phonsmith.structures.relaxation import Load, RelaxationResult, compare, relax
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.symmetry import space_group, symmetrized
from phonsmith.structures.vacuum import vacuum_caution, vacuum_thicknesses

# Materials Project's and George et al.'s (J. Chem. Phys. 153, 044104) stable silicon allotropes
ALLOTROPES = {
    "mp-149": (2, 227),  # diamond
    "mp-165": (4, 194),  # hexagonal diamond
    "mp-168": (8, 206),  # BC8
    "mp-571520": (8, 148),  # R8
    "mp-999200": (4, 139),
    "mp-1072544": (6, 229),
    "mp-1079297": (8, 12),
    "mp-1095269": (12, 63),
    "mp-971661": (23, 217),
    "mp-16220": (34, 227),
    "mp-1200830": (41, 217),
    "mp-971662": (46, 223),  # clathrate I
    "mp-1203790": (68, 194),
}
SETTINGS = Relaxation()


def stillinger_weber() -> Manybody:
    return Manybody(**StillingerWeber(Stillinger_Weber_PRB_31_5262_Si))


@pytest.fixture
def silicon(repository: Path) -> Path:
    return repository / "config" / "structures" / "silicon"


# --- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"), [("POSCAR", "vasp"), ("a.cif", "cif"), ("b.extxyz", "extxyz")]
)
def test_reads_every_format_and_drops_the_rest(tmp_path: Path, name: str, kind: str) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.set_constraint(FixAtoms([0]))
    if kind == "extxyz":
        atoms.info["note"] = "left over"
        atoms.set_array("charge", np.ones(2))
    write(tmp_path / name, atoms, format=kind)
    crystal = read_structure(tmp_path / name)
    assert crystal.get_chemical_formula() == "ClNa"
    assert crystal.get_volume() / len(crystal) == pytest.approx(5.64**3 / 8, rel=1e-6)
    assert space_group(crystal, 1e-3) == (225, "Fm-3m")
    assert crystal.pbc.all()
    assert crystal.calc is None
    assert not crystal.info
    assert not crystal.constraints
    assert set(crystal.arrays) == {"numbers", "positions"}


POSCAR = "Si\n1.0\n{cell}\nSi\n2\nDirect\n{positions}\n"
CUBE = "5 0 0\n0 5 0\n0 0 5"
TWO = "0 0 0\n0.5 0.5 0.5"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.vasp", "", "is empty"),
        (
            "a.vasp",
            "Si\n1.0\nhello\n",
            "line 3: lattice vector a must be 3 numbers",
        ),
        ("a.cif", "no data here\n", "a.cif: "),
        ("a.pdf", "something", "unknown format of structure file"),
        ("a.vasp", POSCAR.format(cell=CUBE, positions="0 0 0\nnan 0.5 0.5"), "'nan 0.5 0.5'"),
        ("a.vasp", POSCAR.format(cell="5 0 0\n0 5 0\n5 5 0", positions=TWO), "zero volume"),
        ("a.vasp", POSCAR.format(cell="0 5 0\n5 0 0\n0 0 5", positions=TWO), "left-handed"),
        ("a.vasp", POSCAR.format(cell=CUBE, positions="0 0 0\n0 0 0.98"), "0.100 Å apart"),
        ("a.xyz", "1\nno lattice\nSi 0 0 0\n", "no Lattice"),
        ("a.xyz", '0\nLattice="5 0 0 0 5 0 0 0 5"\n', "a.xyz: "),
        ("a.xyz", '1\nLattice="5 0 0 0 5 0 0 0 5"\nX 0 0 0\n', "line 3: 'X' is not an element"),
        ("a.xyz", 2 * '1\nLattice="5 0 0 0 5 0 0 0 5"\nSi 0 0 0\n', "2 crystals"),
    ],
)
def test_bad_files_get_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(PhonsmithError) as caught:
        read_structure(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PhonsmithError, match="no such structure file"):
        read_structure(tmp_path / "POSCAR")


def test_disordered_crystal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "alloy.cif"
    path.write_text(
        "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n_cell_angle_alpha 90\n"
        "_cell_angle_beta 90\n_cell_angle_gamma 90\n_symmetry_Int_Tables_number 1\nloop_\n"
        "_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n"
        "_atom_site_fract_z\n_atom_site_occupancy\nSi1 Si 0 0 0 0.5\nGe1 Ge 0 0 0 0.5\n"
    )
    with pytest.raises(PhonsmithError, match="partially occupied"):
        read_structure(path)


def test_no_atoms_and_images_too_close() -> None:
    with pytest.raises(PhonsmithError, match=r"here: has no atoms"):
        check_structure(Atoms(cell=[3, 3, 3], pbc=True), "here")
    with pytest.raises(PhonsmithError, match=r"0\.400 Å apart"):
        check_structure(Atoms("Si", cell=[0.4, 5, 5], pbc=True), "here")


# --- the shipped crystals --------------------------------------------------------------------


def test_the_thirteen_allotropes_are_shipped(silicon: Path) -> None:
    assert {path.stem for path in silicon.glob("*.vasp")} == set(ALLOTROPES)


@pytest.mark.parametrize("name", ALLOTROPES)
def test_shipped_allotrope(silicon: Path, shared_data: Path, name: str) -> None:
    crystal = read_structure(silicon / f"{name}.vasp")
    assert set(crystal.symbols) == {"Si"}
    number, symbol = space_group(crystal, 1e-5)
    assert (len(crystal), number) == ALLOTROPES[name]
    assert (silicon / f"{name}.vasp").read_text().startswith(f"Si {name} {symbol} ({number})\n")
    published = read_structure(shared_data / "si-castep" / "structures" / f"{name}.vasp")
    verdict = compare(published, RelaxationResult(crystal, True, 0, 0.0, None), SETTINGS)
    assert verdict.reason == ""
    assert abs(verdict.volume_change_percent) < 2.5


# --- relaxation ------------------------------------------------------------------------------


def test_diamond_relaxes_to_the_known_lattice_constant(silicon: Path) -> None:
    """Stillinger–Weber: a = 5.431 Å, -4.3366 eV/atom (Phys. Rev. B 31, 5262)."""
    start = read_structure(silicon / "mp-149.vasp")
    start.rattle(0.003, seed=1)
    strain = np.array([[1, 0.004, 0], [0, 1.01, 0], [0, 0, 1]])
    start.set_cell(start.cell[:] @ strain, scale_atoms=True)
    result = relax(start, stillinger_weber(), SETTINGS)
    assert result.converged
    assert result.steps < 30
    assert result.fmax_ev_per_angstrom < 1e-4
    assert result.energy_ev == pytest.approx(2 * -4.3366, abs=1e-5)
    exact = symmetrized(result.atoms, 1e-2)
    assert space_group(exact, 1e-5) == (227, "Fd-3m")
    assert (4 * exact.get_volume()) ** (1 / 3) == pytest.approx(5.4309, abs=2e-4)
    assert exact.get_volume() == pytest.approx(result.atoms.get_volume(), rel=1e-3)
    assert np.abs(exact.positions - result.atoms.positions).max() < 1e-2


def test_relaxation_leaves_its_input_and_repeats_itself(silicon: Path) -> None:
    start = read_structure(silicon / "mp-168.vasp")
    start.rattle(0.02, seed=3)
    before = start.positions.copy()
    first, second = (relax(start, stillinger_weber(), SETTINGS) for _ in range(2))
    assert start.calc is None
    np.testing.assert_array_equal(start.positions, before)
    np.testing.assert_array_equal(first.atoms.positions, second.atoms.positions)
    np.testing.assert_array_equal(first.atoms.cell[:], second.atoms.cell[:])
    forces, stress = first.atoms.copy(), first.atoms.copy()
    forces.calc = stress.calc = stillinger_weber()
    assert np.linalg.norm(forces.get_forces(), axis=1).max() < 1e-4
    assert np.abs(stress.get_stress()).max() * stress.get_volume() / 8 < 1e-4


def test_relaxation_under_pressure_follows_the_energy_of_volumes(silicon: Path) -> None:
    """p = -dE/dV; BC8 has a free coordinate, so that positions have to follow."""
    start = read_structure(silicon / "mp-168.vasp")
    pressed = relax(start, stillinger_weber(), SETTINGS, Load(pressure_gpa=5.0))
    assert pressed.converged
    assert pressed.fmax_ev_per_angstrom < 1e-4
    energies, volumes = [], []
    for factor in (0.999, 1.001):
        cell = pressed.atoms.copy()
        cell.set_cell(cell.cell[:] * factor ** (1 / 3), scale_atoms=True)
        held = relax(cell, stillinger_weber(), SETTINGS, Load(fixed_volume=True))
        assert held.converged
        assert held.atoms.get_volume() == pytest.approx(cell.get_volume(), rel=1e-9)
        energies.append(held.energy_ev)
        volumes.append(cell.get_volume())
    slope = -(energies[1] - energies[0]) / (volumes[1] - volumes[0]) / GPa
    assert slope == pytest.approx(5.0, rel=2e-3)


def test_relaxation_that_runs_out_of_steps(silicon: Path) -> None:
    start = read_structure(silicon / "mp-168.vasp")
    result = relax(start, stillinger_weber(), Relaxation(max_steps=2))
    assert not result.converged
    assert result.steps == 2
    verdict = compare(start, result, SETTINGS)
    assert not verdict.converged
    assert "not converged after 2 steps" in verdict.reason


class Breaking(Calculator):
    """Pulls the cell together, and after a few calls fails in the way asked for."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, failure: str):
        super().__init__()
        self.failure, self.calls = failure, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        broken = self.calls > 3
        if broken and self.failure == "raise":
            raise RuntimeError("lost")
        scale = np.nan if broken and self.failure == "nan" else 1.0
        self.results = {
            "energy": scale,
            "forces": np.zeros((len(atoms), 3)) * scale,
            "stress": 3.0 * np.array([1, 1, 1, 0, 0, 0]) * scale,
        }


@pytest.mark.parametrize("failure", ["raise", "nan", "collapse"])
def test_explosion_is_a_result_not_an_error(failure: str) -> None:
    start = bulk("Si")
    result = relax(start, Breaking(failure), SETTINGS)
    assert not result.converged
    assert np.isfinite(result.atoms.positions).all()
    check_structure(result.atoms, "result")
    verdict = compare(start, result, SETTINGS)
    assert not verdict.converged
    assert verdict.reason


def test_calculator_without_stress_is_named() -> None:
    class ForcesOnly(LennardJones):
        def get_property(self, name, *args, **kwargs):
            if name == "stress":
                from ase.calculators.calculator import PropertyNotImplementedError

                raise PropertyNotImplementedError
            return super().get_property(name, *args, **kwargs)

    with pytest.raises(PhonsmithError, match="ForcesOnly: no stress"):
        relax(bulk("Ar", a=5.3), ForcesOnly(), SETTINGS)


# --- verdict ---------------------------------------------------------------------------------


def test_verdict_when_all_is_well(silicon: Path) -> None:
    start = read_structure(silicon / "mp-165.vasp")
    verdict = compare(start, relax(start, stillinger_weber(), SETTINGS), SETTINGS)
    assert verdict.reason == ""
    assert verdict.same_structure
    assert verdict.symmetry_kept
    assert verdict.space_group_before == verdict.space_group_after == 194
    assert -2 < verdict.volume_change_percent < -1
    assert verdict.model_dump()["symbol_after"] == "P6_3/mmc"


def test_verdict_on_a_crystal_that_becomes_another(silicon: Path) -> None:
    """mp-16220 has atoms without neighbours; Stillinger–Weber bonds them, keeping Fd-3m."""
    start = read_structure(silicon / "mp-16220.vasp")
    result = relax(start, stillinger_weber(), SETTINGS)
    verdict = compare(start, result, SETTINGS)
    assert result.converged
    assert not verdict.same_structure
    assert verdict.symmetry_kept
    assert verdict.reason.startswith("became another structure")


def test_verdict_tells_r8_from_bc8_and_two_sizes(silicon: Path) -> None:
    bc8, r8 = (read_structure(silicon / f"{name}.vasp") for name in ("mp-168", "mp-571520"))
    verdict = compare(bc8, RelaxationResult(r8, True, 5, 0.0, None), SETTINGS)
    assert not verdict.symmetry_kept
    assert "space group changed from Ia-3 to R-3" in verdict.reason
    swollen = bc8.copy()
    swollen.set_cell(1.15 * bc8.cell[:], scale_atoms=True)
    verdict = compare(bc8, RelaxationResult(swollen, True, 5, 0.0, None), SETTINGS)
    assert not verdict.same_structure
    assert verdict.volume_change_percent == pytest.approx(100 * (1.15**3 - 1))


def test_verdict_on_lost_symmetry(silicon: Path) -> None:
    start = read_structure(silicon / "mp-149.vasp")
    bent = start.copy()
    bent.positions[1] += [0.05, 0.02, 0]
    verdict = compare(start, RelaxationResult(bent, True, 5, 0.0, None), SETTINGS)
    assert verdict.same_structure
    assert not verdict.symmetry_kept
    assert "space group changed from Fd-3m" in verdict.reason


@pytest.mark.parametrize("name", ["mp-149", "mp-571520", "mp-1079297", "mp-1095269"])
def test_symmetrized_removes_noise_only(silicon: Path, name: str) -> None:
    ideal = read_structure(silicon / f"{name}.vasp")
    noisy = ideal.copy()
    noisy.rattle(3e-4, seed=2)
    assert space_group(noisy, 1e-5)[0] <= 2
    exact = symmetrized(noisy, 1e-2)
    assert space_group(exact, 1e-5)[0] == ALLOTROPES[name][1]
    assert np.abs(exact.positions - noisy.positions).max() < 3e-3
    np.testing.assert_allclose(exact.cell[:], ideal.cell[:], atol=1e-6)
    np.testing.assert_array_equal(exact.numbers, ideal.numbers)


# --- vacuum ----------------------------------------------------------------------------------


def test_slabs_chains_and_molecules_are_cautioned() -> None:
    slab = fcc111("Al", (1, 1, 4), vacuum=6.0, periodic=True)
    assert vacuum_thicknesses(slab) == pytest.approx([12.0])
    assert "12.0 Å of empty space, as of a slab" in vacuum_caution(slab)
    skewed = slab.copy()  # the same crystal in other vectors
    skewed.set_cell(np.array([[1, 0, 0], [0, 1, 0], [2, 1, 1]]) @ slab.cell[:])
    assert vacuum_thicknesses(skewed) == pytest.approx([12.0])
    chain = Atoms("C2", positions=[[0, 0, 0], [1.3, 0, 0]], cell=[2.6, 10, 12], pbc=True)
    assert "10.0 and 12.0 Å of empty space, as of a chain" in vacuum_caution(chain)
    box = molecule("H2O", cell=[15, 15, 15], pbc=True)
    assert "of a molecule" in vacuum_caution(box)


def test_bulk_crystals_have_no_vacuum(repository: Path) -> None:
    for path in sorted((repository / "config" / "structures").rglob("*.vasp")):
        assert vacuum_caution(read_structure(path)) == "", path
    graphite = Atoms(
        "C4",
        scaled_positions=[[0, 0, 0], [1 / 3, 2 / 3, 0], [0, 0, 0.5], [2 / 3, 1 / 3, 0.5]],
        cell=[2.46, 2.46, 6.7, 90, 90, 120],
        pbc=True,
    )
    assert vacuum_caution(graphite) == ""
    assert vacuum_caution(bulk("Xe", "fcc", a=6.2)) == ""
