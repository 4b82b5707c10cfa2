"""Equations of state, harmonic and quasi-harmonic free energies."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase.build import make_supercell
from ase.units import GPa, J, kB, mol

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.labels.factory import reference_method
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.reading import read_structure
from phonsmith.structures.settings import Relaxation
from phonsmith.supercells.cells import make_phonopy
from phonsmith.supercells.settings import Displaced
from phonsmith.thermodynamics.crystals import Crystal, RecordedCrystal
from phonsmith.thermodynamics.equations_of_state import (
    FORMS,
    EquationOfState,
    Form,
    fit_energies,
    fit_equation_of_state,
)
from phonsmith.thermodynamics.free_energies import odd_mesh, thermodynamics
from phonsmith.thermodynamics.results import Result
from phonsmith.thermodynamics.settings import Thermodynamics
from phonsmith.thermodynamics.tables import states_table, thermodynamics_table

SW = {"calculator": "stillinger-weber"}
R = kB * mol / J  # J/(mol K)
SETTINGS = Thermodynamics(
    max_temperature_kelvin=900,
    temperature_step_kelvin=15,
    pressures_gpa=[0.0, 0.5, 1.0],
    mesh_length_angstrom=20,
)


def crystal(folder: Path, name: str, conventional: bool = False) -> Crystal:
    """A crystal of config/structures/silicon with Stillinger–Weber; supercells are equal."""
    atoms = read_structure(folder / f"{name}.vasp")
    matrix = 2 * np.eye(3, dtype=int)
    if name == "mp-149":
        cube = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
        if conventional:
            atoms = make_supercell(atoms, cube)
        matrix = np.eye(3, dtype=int) * (2 if conventional else 1)
        matrix = matrix if conventional else 2 * cube
    return Crystal(
        structure=name,
        atoms=atoms,
        template=make_phonopy(atoms, matrix),
        method=reference_method({"method": "calculator", "potential": SW}),
        relaxation=Relaxation(fmax_ev_per_angstrom=1e-5),
        displaced=Displaced(),
        labels=Labels(),
    )


def run(one: Crystal, **changes: object) -> Result:
    settings = Thermodynamics.model_validate({**SETTINGS.model_dump(), **changes})
    return thermodynamics(one, settings, method="reference", tolerance_thz=0.1)


@pytest.fixture(scope="module")
def silicon(repository: Path) -> Path:
    return repository / "config/structures/silicon"


@pytest.fixture(scope="module")
def diamond(silicon: Path) -> Result:
    found = run(crystal(silicon, "mp-149"))
    assert not found.reason
    assert not found.notes
    return found


# --- equations of state ---------------------------------------------------------------------


def equation(form: Form) -> EquationOfState:
    return EquationOfState(
        volume_angstrom3_per_atom=20.0,
        energy_ev_per_atom=-5.0,
        bulk_modulus_gpa=98.0,
        bulk_modulus_derivative=4.2,
        form=form,
    )


@pytest.mark.parametrize("form", FORMS)
def test_equation_of_state_finds_its_own_parameters(form: str) -> None:
    exact = equation(form)
    volumes = np.linspace(18, 22, 9)
    found = fit_equation_of_state(volumes, exact.energy(volumes), form)
    assert found.volume_angstrom3_per_atom == pytest.approx(20.0, abs=1e-5)
    assert found.bulk_modulus_gpa == pytest.approx(98.0, rel=1e-4)
    assert found.bulk_modulus_derivative == pytest.approx(4.2, rel=1e-3)
    assert found.residual_mev_per_atom < 1e-4
    # definitions: B = V d²E/dV², and p = -dE/dV where the enthalpy is lowest
    step = 0.01
    curvature = np.diff(exact.energy(np.array([20 - step, 20, 20 + step])), 2)[0] / step**2
    assert 20 * curvature / GPa == pytest.approx(98.0, rel=1e-4)
    volume, enthalpy = exact.at_pressure(5.0, (18, 22))
    slope = np.diff(exact.energy(np.array([volume - step, volume + step])))[0] / (2 * step)
    assert -slope / GPa == pytest.approx(5.0, rel=1e-4)
    assert enthalpy == pytest.approx(float(exact.energy(volume)) + 5.0 * GPa * volume, abs=1e-9)


def test_equations_of_state_without_a_minimum_are_refused() -> None:
    volumes = np.linspace(18, 19, 6)
    with pytest.raises(UnusablePotential, match="no minimum within the volumes 18"):
        fit_equation_of_state(volumes, 0.05 * (volumes - 20) ** 2)
    with pytest.raises(UnusablePotential, match="requires five"):
        fit_equation_of_state(volumes[:4], volumes[:4])


@pytest.mark.parametrize("form", FORMS)
def test_the_compressed_side_alone_gives_enthalpies(form: str) -> None:
    """Volumes 75 to 92 % of that at rest, 6 to 43 GPa: H(p) is that of the curve itself."""
    exact = equation(form)
    volumes = np.linspace(15.0, 18.4, 9)
    within = (15.0, 18.4)
    energies = exact.energy(volumes)
    with pytest.raises(UnusablePotential, match="no minimum within the volumes 15"):
        fit_equation_of_state(volumes, energies, form)
    found = fit_energies(volumes, energies, form)
    assert found.extrapolated
    assert found.volume_angstrom3_per_atom == pytest.approx(20.0, abs=1e-3)
    for pressure in (15, 25, 35):
        right = exact.at_pressure(pressure, within)
        assert found.at_pressure(pressure, within) == pytest.approx(right, abs=1e-6)
        # dH/dp = V
        ends = [found.at_pressure(pressure + step, within)[1] for step in (-0.1, 0.1)]
        assert (ends[1] - ends[0]) / (0.2 * GPa) == pytest.approx(right[0], rel=1e-4)
    for beyond in (0, 80):
        with pytest.raises(UnusablePotential, match=f"volume at {beyond} GPa is outside"):
            found.at_pressure(beyond, within)
    # the other form is wrong about the rest, and right where it was fitted
    other = fit_energies(volumes, energies, *(one for one in FORMS if one != form))
    assert other.at_pressure(25, within)[1] == pytest.approx(right_enthalpy(exact, 25), abs=5e-5)
    assert not fit_energies(
        np.linspace(18, 22, 9), exact.energy(np.linspace(18, 22, 9))
    ).extrapolated


def right_enthalpy(exact: EquationOfState, pressure: float) -> float:
    return exact.at_pressure(pressure, (15.0, 18.4))[1]


def test_static_values_of_stillinger_weber(diamond: Result) -> None:
    """a = 5.431 Å, −4.3366 eV/atom; B = (C11 + 2 C12)/3 = 101.4 GPa (Cowley, PRL 60, 2379)."""
    for form in FORMS:
        state = diamond.equation_of_state(form)
        assert (8 * state.volume_angstrom3_per_atom) ** (1 / 3) == pytest.approx(5.431, abs=1e-3)
        assert state.energy_ev_per_atom == pytest.approx(-4.3366, abs=2e-5)
        assert state.bulk_modulus_gpa == pytest.approx(101.4, abs=0.4)


# --- vibrations -----------------------------------------------------------------------------


def test_limits_of_the_harmonic_oscillator(silicon: Path, diamond: Result) -> None:
    one = crystal(silicon, "mp-149")
    found = run(one, quasi_harmonic=False, max_temperature_kelvin=6000, temperature_step_kelvin=500)
    heat = found.harmonic.heat_capacity_v_j_per_mol_k
    assert heat[0] == 0
    # less than 3R by the acoustic modes at Γ that are left out, and by (θ/T)²/20
    assert 0.99 * 3 * R < heat[-1] < 3 * R
    # zero-point energy: half a quantum for each mode
    phonon = one.phonons(one.at_rest())
    phonon.run_mesh(20.0)
    mesh = phonon.mesh
    mean = np.average(mesh.frequencies.mean(axis=1), weights=mesh.weights)
    zero_point = 0.5 * 3 * mean * 4.135667696e-3  # h in eV/THz
    assert found.harmonic.free_energy_ev_per_atom[0] == pytest.approx(zero_point, rel=5e-3)
    # S = -dF/dT
    free = np.array(diamond.harmonic.free_energy_ev_per_atom)
    slope = -np.gradient(free, 15.0)[20:40] / (J / mol)
    assert slope == pytest.approx(np.array(diamond.harmonic.entropy_j_per_mol_k)[20:40], rel=1e-3)


def test_thermodynamic_identities_hold_at_every_temperature(diamond: Result) -> None:
    low, middle, high = diamond.quasi_harmonic
    part = slice(14, 55)  # 210 to 825 K
    temperature = np.array(middle.temperature_kelvin)[part]
    volume = np.array(middle.volume_angstrom3_per_atom)[part]
    expansion = np.array(middle.thermal_expansion_per_k)[part]
    bulk = np.array(middle.bulk_modulus_gpa)[part] * GPa
    cp = np.array(middle.heat_capacity_p_j_per_mol_k)[part]
    cv = np.array(middle.heat_capacity_v_j_per_mol_k)[part]
    # Cp - Cv = T V B α²
    assert cp - cv == pytest.approx(
        temperature * volume * bulk * expansion**2 / (J / mol), rel=0.02
    )
    # S = -(∂G/∂T)p, V = (∂G/∂p)T, γ = V α B / Cv
    gibbs = np.array(middle.gibbs_ev_per_atom)
    slope = -np.gradient(gibbs, 15.0)[part] / (J / mol)
    assert slope == pytest.approx(np.array(middle.entropy_j_per_mol_k)[part], rel=2e-3)
    by_pressure = np.array(high.gibbs_ev_per_atom) - np.array(low.gibbs_ev_per_atom)
    assert by_pressure[part] / (1.0 * GPa) == pytest.approx(volume, rel=1e-4)
    grueneisen = volume * expansion * bulk / (cv * (J / mol))
    assert grueneisen == pytest.approx(np.array(middle.grueneisen)[part], rel=0.01)
    # and volumes shrink under pressure as the bulk modulus says
    shrunk = np.log(np.array(low.volume_angstrom3_per_atom) / high.volume_angstrom3_per_atom)
    assert shrunk[part] == pytest.approx(1.0 * GPa / bulk, rel=0.01)


def test_numbers_per_atom_do_not_depend_on_the_cell(silicon: Path, diamond: Result) -> None:
    large = run(crystal(silicon, "mp-149", conventional=True))
    assert (large.atoms_per_formula_unit, large.formula) == (1, "Si")
    for small, other in zip(diamond.quasi_harmonic, large.quasi_harmonic, strict=True):
        assert other.gibbs_ev_per_atom == pytest.approx(small.gibbs_ev_per_atom, abs=2e-6)
        assert other.volume_angstrom3_per_atom == pytest.approx(
            small.volume_angstrom3_per_atom, rel=1e-5
        )
        assert other.heat_capacity_p_j_per_mol_k == pytest.approx(
            small.heat_capacity_p_j_per_mol_k, abs=5e-3
        )


def test_a_formula_unit_of_a_compound_is_all_of_its_atoms(repository: Path) -> None:
    """NaTl of the CsCl type by CHGNet: an energy per formula unit is that of the primitive cell."""
    atoms = read_structure(repository / "config/structures/natl/cscl.vasp")
    assert atoms.get_chemical_formula() == "NaTl"
    potential = {"calculator": "chgnet"}
    one = Crystal(
        structure="cscl",
        atoms=make_supercell(atoms, np.diag([1, 1, 2])),  # two formula units
        template=make_phonopy(make_supercell(atoms, np.diag([1, 1, 2])), np.diag([2, 2, 1])),
        method=reference_method({"method": "calculator", "potential": potential}),
        relaxation=Relaxation(fmax_ev_per_angstrom=5e-3),
        displaced=Displaced(),
        labels=Labels(),
    )
    found = run(one, quasi_harmonic=False, volumes=5, imaginary="report")
    assert (found.formula, found.atoms_per_formula_unit) == ("NaTl", 2)
    state = states_table("c", [found]).iloc[0]
    cell = atoms.copy()
    cell.set_cell(
        cell.cell * (2 * state.volume_angstrom3_per_atom / cell.get_volume()) ** (1 / 3),
        scale_atoms=True,
    )
    (whole,) = evaluate([cell], PotentialSource(**potential))
    assert state.energy_ev_per_formula_unit == pytest.approx(whole.energy, abs=2e-3)
    table = thermodynamics_table("c", [found])
    vibrations = table.gibbs_ev_per_formula_unit - state.energy_ev_per_formula_unit
    both = 2 * np.array(found.harmonic.free_energy_ev_per_atom)
    assert vibrations.to_numpy() == pytest.approx(both, abs=2e-3)


# --- volumes --------------------------------------------------------------------------------


def test_volumes_are_added_until_the_equilibrium_is_bracketed(
    silicon: Path, tmp_path: Path
) -> None:
    one = crystal(silicon, "mp-149")
    one.store = LabelStore(tmp_path / "store")
    narrow = {"first_volumes_percent": (-0.4, 0.4), "volumes": 5, "pressures_gpa": [0.0, 2.0]}
    found = run(one, **narrow)
    assert not found.reason
    assert not found.notes
    volumes = [point.volume_angstrom3_per_atom for point in found.volumes]
    assert volumes == sorted(volumes)
    assert len(volumes) > 5
    for part in found.quasi_harmonic:
        assert part.temperature_kelvin[-1] == 900
        assert volumes[0] < min(part.volume_angstrom3_per_atom)
        assert max(part.volume_angstrom3_per_atom) < volumes[-1]
    short = run(one, **narrow, largest_volume_change_percent=0.6)
    assert len(short.quasi_harmonic) == 1  # 2 GPa take more than 0.6 %
    assert "2 GPa: the volume at equilibrium is not bracketed" in short.notes
    assert any(
        note.startswith("0 GPa: the volume at equilibrium is bracketed up to")
        for note in short.notes
    )
    assert 100 < short.quasi_harmonic[0].temperature_kelvin[-1] < 900


def test_a_pressure_that_fails_leaves_the_others(silicon: Path, diamond: Result) -> None:
    """200 GPa are far from all volumes: nothing can be fitted; -30 GPa tear the crystal apart."""
    found = run(
        crystal(silicon, "mp-149"),
        pressures_gpa=[0.0, 200.0, -30.0, 0.5],
        volumes=5,
        equation_of_state="birch-murnaghan",
        largest_volume_change_percent=6.0,
    )
    assert not found.reason
    assert [one.pressure_gpa for one in found.quasi_harmonic] == [0.0, 0.5]
    assert [one.pressure_gpa for one in found.lost_pressures] == [200, -30]
    assert "EOS fitting" in found.why_not(200.0)
    assert "not bracketed" in found.why_not(-30.0)
    for one in found.lost_pressures:
        assert f"{one.pressure_gpa:g} GPa: {one.reason}" in found.notes
    same = diamond.at_pressure(0.0).gibbs_ev_per_atom
    assert found.at_pressure(0.0).gibbs_ev_per_atom == pytest.approx(same, abs=2e-4)
    table = thermodynamics_table("c", [found])
    rows = table[table["reason"].notna()]
    assert set(rows["approximation"]) == {"quasi-harmonic"}
    assert dict(zip(rows["pressure_gpa"], rows["reason"], strict=True)) == {
        one.pressure_gpa: one.reason for one in found.lost_pressures
    }


def test_imaginary_modes_are_never_passed_over(silicon: Path) -> None:
    """BC8 is unstable with Stillinger–Weber at all volumes around its minimum."""
    one = crystal(silicon, "mp-168")
    left = run(one)
    assert "are imaginary, down to -" in left.reason
    assert left.harmonic is None
    assert all(0 < point.imaginary_share < 1 for point in left.volumes)
    assert all(point.reason for point in left.volumes)
    reported = run(one, imaginary="report", pressures_gpa=[0.0])
    assert not reported.reason
    assert reported.harmonic.imaginary_share > 0
    assert any("the free energy omits these modes" in note for note in reported.notes)
    assert reported.quasi_harmonic
    assert run(one, imaginary="stop").reason.startswith("imaginary modes at ")
    # phonons at the minimum alone
    alone = Thermodynamics(quasi_harmonic=False, imaginary="stop", mesh_length_angstrom=20)
    stopped = thermodynamics(one, alone, method="reference", tolerance_thz=0.1)
    assert stopped.reason.startswith("imaginary modes at the minimum of the energy: ")
    assert stopped.harmonic is None
    # a tolerance that hides the modes does not hide that the free energy omits these modes
    (note,) = thermodynamics(one, alone, method="reference", tolerance_thz=50).notes
    found = re.search(r"([\d.]+) % of the modes are between -50 and 0 THz", note)
    assert found
    assert float(found[1]) == pytest.approx(100 * reported.harmonic.imaginary_share, rel=0.05)


# --- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"first_volumes_percent": (1, 6)}, "give one value below and one above zero"),
        ({"first_volumes_percent": (-4, 30)}, "within largest_volume_change_percent"),
        ({"temperature_step_kelvin": 500}, "at least five temperatures"),
        ({"pressures_gpa": [0, 0]}, "entry twice"),
        ({"volumes": 4}, "greater than or equal to 5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Thermodynamics(**changes)


# --- recorded volumes -----------------------------------------------------------------------------


def test_recorded_volumes_give_what_computed_ones_give(repository):
    """Phonons and energies of a potential as if they were of others; nothing is computed anew."""
    import phonopy

    source = PotentialSource(**SW)
    unit = read_structure(repository / "config/structures/silicon/mp-149.vasp")
    recorded, energies = [], []
    for factor in np.linspace(0.96, 1.06, 7):
        cell = unit.copy()
        cell.set_cell(unit.cell[:] * factor ** (1 / 3), scale_atoms=True)
        recorded.append(potential_phonons(cell, 2 * np.eye(3, dtype=int), Displaced(), source))
        energies.append(evaluate([cell], source)[0].energy)
    settings = Thermodynamics(max_temperature_kelvin=300, temperature_step_kelvin=20)
    crystal = RecordedCrystal("si", recorded, energies)
    found = thermodynamics(crystal, settings, method="recorded", tolerance_thz=0.1)
    assert not found.reason
    (gibbs,) = found.quasi_harmonic
    mesh = odd_mesh(crystal.template, settings.mesh_length_angstrom)
    truth = phonopy.run_qha(
        recorded,
        [
            *gibbs.temperature_kelvin,
            gibbs.temperature_kelvin[-1] + settings.temperature_step_kelvin,
        ],
        energies,
        mesh=mesh,
        eos=settings.equation_of_state.replace("-", "_"),
        exclude_gamma_acoustic=True,
    )
    count = len(gibbs.temperature_kelvin)
    volumes = np.array(truth.equilibrium_volumes)[:count] / 2
    assert np.allclose(gibbs.volume_angstrom3_per_atom, volumes, rtol=1e-8)
    assert np.allclose(gibbs.gibbs_ev_per_atom, np.array(truth.gibbs_free_energies)[:count] / 2)
    assert len(found.volumes) == 7
    assert found.harmonic.energy_ev_per_atom == pytest.approx(min(energies) / 2)

    with pytest.raises(PhonsmithError, match="7 phonons but 6 energies"):
        RecordedCrystal("si", recorded, energies[:-1])
    few = RecordedCrystal("si", recorded[:3], energies[:3])
    lost = thermodynamics(few, settings, method="recorded", tolerance_thz=0.1)
    assert not lost.quasi_harmonic
    assert "volumes remain" in lost.lost_pressures[0].reason
