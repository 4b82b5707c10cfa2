"""Comparison of spectra, tables, and mechanics against literature values."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError

from phonsmith.benchmarks.comparison import (
    Benchmark,
    Benchmarks,
    CellResult,
    cell_result,
    compare_spectra,
    dos_distance,
    load_benchmarks,
)
from phonsmith.benchmarks.mechanics import elastic_constants, equation_of_state, mechanics
from phonsmith.benchmarks.tables import (
    RMSE_COLUMNS,
    mechanics_table,
    read_rmse_table,
    rmse_table,
    special_point_table,
    sweeps_table,
    to_markdown,
)
from phonsmith.files.errors import PhonsmithError
from phonsmith.phonons.band_paths import band_path
from phonsmith.phonons.force_constants import fit_phonons, potential_phonons
from phonsmith.phonons.settings import Phonons
from phonsmith.phonons.spectra import DOS_PITCH_THZ, Spectrum, spectrum
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.reading import read_structure
from phonsmith.structures.relaxation import relaxed_crystal
from phonsmith.structures.settings import Relaxation
from phonsmith.supercells.cells import to_ase
from phonsmith.supercells.settings import Displaced

SW = PotentialSource(calculator="stillinger-weber")
LATTICE_CONSTANT = 5.4310


@pytest.fixture(scope="module")
def phonon():
    crystal = bulk("Si", "diamond", LATTICE_CONSTANT)
    return potential_phonons(crystal, 2 * np.eye(3, dtype=int), Displaced(), SW)


@pytest.fixture(scope="module")
def path(phonon):
    return band_path(to_ase(phonon.primitive), Phonons(points_per_segment=11))


@pytest.fixture(scope="module")
def reference(phonon, path) -> Spectrum:
    return spectrum(phonon, path)


# --- comparison --------------------------------------------------------------------------------


def test_a_potential_against_itself(phonon, path, reference):
    errors = compare_spectra(reference, spectrum(phonon, path), 0.1)
    assert errors.rmse_thz == 0
    assert errors.max_deviation_thz == 0
    assert errors.rmse_gamma_thz == 0
    assert errors.dos_distance == 0
    assert errors.volume_error_percent == 0
    assert errors.imaginary_reference == errors.imaginary_fit == 0
    assert not errors.q_resolved_rmse_thz.any()


def test_a_potential_relaxed_against_itself(phonon, path, reference):
    """A crystal off its minimum comes back to it, and the RMSE to zero."""
    from phonsmith.potentials.calculators import make_calculator
    from phonsmith.structures.relaxation import relax
    from phonsmith.structures.symmetry import symmetrized

    start = to_ase(phonon.unitcell)
    start.set_cell(1.01 * start.cell.array, scale_atoms=True)
    result = relax(start, make_calculator(SW), Relaxation(fmax_ev_per_angstrom=1e-5))
    assert result.converged
    crystal = symmetrized(result.atoms, 1e-2)
    fit = spectrum(fit_phonons(crystal, phonon, Displaced(), SW), path)
    errors = compare_spectra(reference, fit, 0.1)
    assert errors.rmse_thz < 2e-3
    assert abs(errors.volume_error_percent) < 0.01
    # while at the cell it started from the error is plain to see
    strained = spectrum(fit_phonons(start, phonon, Displaced(), SW), path)
    errors = compare_spectra(reference, strained, 0.1)
    assert errors.rmse_thz > 0.05
    assert errors.volume_error_percent == pytest.approx(100 * (1.01**3 - 1))


def test_errors_of_a_known_difference(reference):
    """All bands 0.3 THz up, except the highest, 0.6 THz up."""
    shift = np.array([0.3] * 5 + [0.6])
    fit = replace(reference, frequencies_thz=reference.frequencies_thz + shift)
    errors = compare_spectra(reference, fit, 0.1)
    wanted = np.sqrt((5 * 0.09 + 0.36) / 6)
    assert errors.rmse_thz == pytest.approx(wanted)
    np.testing.assert_allclose(errors.q_resolved_rmse_thz, wanted)
    assert errors.rmse_gamma_thz == pytest.approx(wanted)
    assert errors.max_deviation_thz == pytest.approx(0.6)
    assert errors.dos_distance == 0
    modes = [mode for mode in errors.special_points if mode.label == "Γ"]
    assert [mode.branch for mode in modes] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose([mode.fit_thz - mode.reference_thz for mode in modes], shift)
    labels = {mode.label for mode in errors.special_points}
    assert labels == {"Γ", "X", "U", "K", "L", "W"}
    assert len(errors.special_points) == 6 * len(labels)


def test_branches_are_sorted(reference):
    """The order in which a program names the branches makes no error."""
    fit = replace(reference, frequencies_thz=reference.frequencies_thz[:, ::-1])
    assert compare_spectra(reference, fit, 0.1).rmse_thz == 0


def test_dos_distance_is_0_to_2(reference):
    far = replace(reference, dos_frequencies_thz=reference.dos_frequencies_thz + 40.0)
    assert dos_distance(reference, far) == pytest.approx(2, abs=1e-6)
    assert dos_distance(far, reference) == pytest.approx(2, abs=1e-6)
    # one of six bands moved away altogether: 2/6
    grid = np.arange(200) * DOS_PITCH_THZ
    peak = np.exp(-(((grid - 5) / 0.1) ** 2) / 2) / (0.1 * np.sqrt(2 * np.pi))
    moved = np.exp(-(((grid - 8) / 0.1) ** 2) / 2) / (0.1 * np.sqrt(2 * np.pi))
    one = replace(reference, dos_frequencies_thz=grid, dos=6 * peak)
    other = replace(reference, dos_frequencies_thz=grid, dos=5 * peak + moved)
    assert dos_distance(one, other) == pytest.approx(2 / 6, rel=1e-6)
    cut = replace(other, dos_frequencies_thz=grid[40:180], dos=other.dos[40:180])
    assert dos_distance(one, cut) == pytest.approx(2 / 6, rel=1e-6)


def test_imaginary_modes(reference):
    frequencies = reference.frequencies_thz.copy()
    frequencies[4, :2] = [-0.5, -0.2]
    frequencies[0, :3] = [-0.09, 0.0, 0.0]  # acoustic at Γ, within the tolerance
    mesh = reference.mesh_frequencies_thz.copy()
    mesh[7, 0] = -0.7
    fit = replace(reference, frequencies_thz=frequencies, mesh_frequencies_thz=mesh)
    errors = compare_spectra(reference, fit, 0.1)
    assert errors.imaginary_reference == 0
    assert errors.imaginary_fit == 3
    assert errors.minimum_frequency_fit_thz == -0.7
    assert compare_spectra(reference, fit, 0.3).imaginary_fit == 2
    assert compare_spectra(fit, reference, 0.1).imaginary_reference == 3


def test_what_cannot_be_compared(reference):
    fewer = replace(reference, frequencies_thz=reference.frequencies_thz[:, :3])
    with pytest.raises(ValueError, match="6 and 3 bands"):
        compare_spectra(reference, fewer, 0.1)
    other = replace(reference, qpoints=reference.qpoints + 0.01)
    with pytest.raises(ValueError, match="different q points"):
        compare_spectra(reference, other, 0.1)
    short = replace(
        reference, qpoints=reference.qpoints[1:], frequencies_thz=reference.frequencies_thz[1:]
    )
    with pytest.raises(ValueError, match="different q points"):
        compare_spectra(reference, short, 0.1)
    coarse = replace(reference, mesh=reference.mesh - 1)
    with pytest.raises(ValueError, match="different q points"):
        compare_spectra(reference, coarse, 0.1)


# --- results and tables --------------------------------------------------------------------------


def benchmark(reference: Spectrum, structure: str, fit: str, shift: float | None) -> Benchmark:
    """A benchmark whose relaxed RMSE is ``shift``; None: the crystal fell apart."""
    moved = replace(reference, frequencies_thz=reference.frequencies_thz + (shift or 0.0))
    relaxed = (
        cell_result("relaxed", reference, moved, 0.1, symmetry_kept=True)
        if shift is not None
        else cell_result(
            "relaxed",
            reference,
            None,
            0.1,
            symmetry_kept=False,
            volume_error_percent=12.5,
            reason="space group 227 became 1",
        )
    )
    return Benchmark(
        campaign="si",
        structure=structure,
        fit=fit,
        fit_kind="gap",
        generation=0,
        in_sample=True,
        imaginary_tolerance_thz=0.1,
        cells=(relaxed, cell_result("reference", reference, reference, 0.1)),
    )


@pytest.fixture(scope="module")
def benchmarks(reference) -> list[Benchmark]:
    return [
        benchmark(reference, "mp-165", "b", 0.3),
        benchmark(reference, "mp-149", "b", 0.1),
        benchmark(reference, "mp-165", "a", -3.0),
        benchmark(reference, "mp-149", "a", None),
    ]


def test_benchmarks_file(benchmarks, tmp_path):
    for number, found in enumerate((benchmarks[:2], benchmarks[2:])):
        Benchmarks(benchmarks=found).save(tmp_path / "new" / f"{number}.json")
    assert load_benchmarks(sorted((tmp_path / "new").iterdir())) == benchmarks
    assert Benchmarks.load(tmp_path / "new" / "1.json").of("mp-149") == benchmarks[3]
    with pytest.raises(PhonsmithError, match="no such file"):
        Benchmarks.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(PhonsmithError, match="not benchmarks of a fit"):
        Benchmarks.load(tmp_path / "bad.json")


def test_number_or_reason(reference):
    with pytest.raises(ValidationError, match="either an RMSE or a reason"):
        CellResult(cell="relaxed")
    with pytest.raises(ValueError, match="either a spectrum"):
        cell_result("relaxed", reference, None, 0.1)
    with pytest.raises(ValueError, match="either a spectrum"):
        cell_result("relaxed", reference, reference, 0.1, reason="both")


def test_rmse_table(benchmarks, tmp_path):
    table = rmse_table(benchmarks)
    assert tuple(table.columns) == RMSE_COLUMNS
    assert len(table) == 8
    assert not table.duplicated(["campaign", "fit", "generation", "structure", "cell"]).any()
    relaxed = table[table["cell"] == "relaxed"].set_index(["structure", "fit"])
    assert relaxed.loc[("mp-165", "b"), "rmse_thz"] == pytest.approx(0.3)
    assert relaxed.loc[("mp-165", "a"), "rmse_thz"] == pytest.approx(3.0)
    assert bool(relaxed.loc[("mp-165", "a"), "false_imaginary"])
    assert not bool(relaxed.loc[("mp-165", "b"), "false_imaginary"])
    broken = relaxed.loc[("mp-149", "a")]
    assert np.isnan(broken["rmse_thz"])
    assert broken["reason"] == "space group 227 became 1"
    assert broken["volume_error_percent"] == 12.5
    assert broken["imaginary_reference"] == 0
    table.to_csv(tmp_path / "rmse.csv", index=False)
    again = read_rmse_table(tmp_path / "rmse.csv")
    assert again.dtypes.equals(table.dtypes)
    assert again.equals(table) or again.round(12).equals(table.round(12))


def test_empty_tables():
    assert tuple(rmse_table([]).columns) == RMSE_COLUMNS
    assert special_point_table([]).empty
    assert mechanics_table([]).empty


def test_sweeps_table_sets_settings_beside_rmse(benchmarks):
    rmse = rmse_table(benchmarks)
    fit = rmse["fit"].iloc[0]
    swept = {fit: {"soap.n_sparse": 10, "kind": "gap"}, "absent": {"soap.n_sparse": 20}}
    table = sweeps_table(rmse, {"s": swept})
    rows = rmse[rmse["fit"] == fit]
    assert len(table) == 2 * len(rows)
    points = table[table["setting"] == "soap.n_sparse"]
    assert set(points["value"]) == {10}
    assert points["rmse_thz"].tolist() == pytest.approx(rows["rmse_thz"].tolist(), nan_ok=True)
    assert set(table["sweep"]) == {"s"}


def test_sweeps_table_counts_repeats(benchmarks):
    rmse = rmse_table(benchmarks)
    one, other = rmse["fit"].unique()[:2]
    table = sweeps_table(rmse, {"s": {one: {"n": 10}, other: {"n": 10}}, "t": {other: {"n": 10}}})
    repeats = table.drop_duplicates(["sweep", "fit"])[["sweep", "fit", "repeat"]].to_numpy()
    assert repeats.tolist() == [["s", one, 1], ["s", other, 2], ["t", other, 1]]


def test_special_point_table(benchmarks, reference):
    table = special_point_table(benchmarks)
    one = table[(table["structure"] == "mp-165") & (table["fit"] == "b")]
    one = one[(one["cell"] == "relaxed") & (one["label"] == "Γ")]
    np.testing.assert_allclose(one["fit_thz"] - one["reference_thz"], 0.3)
    assert list(one["branch"]) == [1, 2, 3, 4, 5, 6]


def test_markdown(benchmarks):
    text = to_markdown(rmse_table(benchmarks))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "## si, generation 0, relaxed cell: phonon RMSE (THz)" in lines
    assert "| structure | b | a |" in lines
    assert "| mp-165 | 0.300 | 3.000 |" in lines
    assert "| mp-149 | 0.100 | – |" in lines
    assert "| **mean** | **0.200** | **3.000** |" in lines
    assert "| structures in the mean | 2 | 1 |" in lines
    assert any("space group 227 became 1" in line for line in lines)
    assert not any(word in text for word in ("nan", "None", "<NA>", "-0.0000"))


# --- mechanics -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_stillinger_weber_silicon():
    """Literature: H. Balamane, T. Halicioglu and W. A. Tiller, Phys. Rev. B 46, 2250 (1992)."""
    crystal = bulk("Si", "diamond", LATTICE_CONSTANT)
    found = mechanics(crystal, SW)
    state = found.equation_of_state
    assert state.volume_angstrom3_per_atom == pytest.approx(LATTICE_CONSTANT**3 / 8, rel=1e-4)
    assert state.energy_ev_per_atom == pytest.approx(-4.3363, abs=5e-4)
    assert state.bulk_modulus_gpa == pytest.approx(101.4, abs=0.2)
    matrix = np.array(found.elastic_constants_gpa)
    assert matrix[0, 0] == pytest.approx(151.4, abs=0.1)
    assert matrix[0, 1] == pytest.approx(76.4, abs=0.1)
    assert matrix[3, 3] == pytest.approx(56.4, abs=0.1)
    # two ways to one number
    bulk_modulus = (matrix[0, 0] + 2 * matrix[0, 1]) / 3
    assert state.bulk_modulus_gpa == pytest.approx(bulk_modulus, rel=2e-3)


def test_the_bulk_modulus_is_that_of_hydrostatic_pressure(repository):
    """Shape and ions relax: Reuss's modulus of the elastic constants, far from Voigt's here."""
    given = read_structure(repository / "config/structures/silicon/mp-1095269.vasp")
    crystal, verdict = relaxed_crystal(given, make_calculator(SW), Relaxation())
    assert not verdict.reason
    stiffness = elastic_constants(crystal, SW)
    reuss = 1 / np.linalg.inv(stiffness)[:3, :3].sum()
    assert stiffness[:3, :3].sum() / 9 - reuss > 3
    state = equation_of_state(crystal, SW)
    assert state.bulk_modulus_gpa == pytest.approx(reuss, abs=0.2)


def test_internal_strain_and_orientation():
    """Frozen ions are stiffer, and a turned crystal has the same constants in its own axes.

    Literature with the energy scaled to a cohesive energy of 4.63 eV: C11 161.6, C44 60.3 relaxed
    and 117.2 GPa unrelaxed; here it is 4.3363 eV, and all constants go with it.
    """
    crystal = bulk("Si", "diamond", LATTICE_CONSTANT)
    frozen = elastic_constants(crystal, SW, relax_ions=False)
    assert frozen[3, 3] == pytest.approx(117.2 * 4.3363 / 4.63, abs=0.2)
    crystal.rotate(37, (1, 2, 3), rotate_cell=True)
    turned = elastic_constants(crystal, SW)
    assert turned[0, 0] == pytest.approx(151.4, abs=0.1)
    assert turned[3, 3] == pytest.approx(56.4, abs=0.1)
    np.testing.assert_allclose(turned, turned.T)


def test_orientation_of_another_crystal():
    """A tensor is given in the axes of the crystal it is compared with."""
    crystal = bulk("Si", "diamond", LATTICE_CONSTANT)
    other = crystal.copy()
    other.rotate(20, "z", rotate_cell=True)
    own = elastic_constants(crystal, SW)
    forced = elastic_constants(crystal, SW, oriented_as=other)
    assert abs(own[0, 0] - forced[0, 0]) > 5
    np.testing.assert_allclose(
        np.trace(own[:3, :3]) + 2 * np.trace(own[3:, 3:]),
        np.trace(forced[:3, :3]) + 2 * np.trace(forced[3:, 3:]),
        rtol=1e-6,
    )


def test_no_minimum_within_range():
    stretched = bulk("Si", "diamond", 1.05 * LATTICE_CONSTANT)
    with pytest.raises(PhonsmithError, match="the energy has no minimum within the volumes"):
        equation_of_state(stretched, SW)


def test_mechanics_table(benchmarks):
    found = mechanics(bulk("Si", "diamond", LATTICE_CONSTANT), SW)
    one = benchmarks[0].model_copy(update={"mechanics_reference": found, "mechanics_fit": found})
    other = benchmarks[1].model_copy(update={"mechanics_reason": "a force-only fit"})
    table = mechanics_table([one, other])
    row = table[table["quantity"] == "C44"].iloc[0]
    assert row["unit"] == "GPa"
    assert row["fit"] == "b"
    assert row["fit_value"] == row["reference_value"] == pytest.approx(56.4, abs=0.1)
    assert table.iloc[-1]["reason"] == "a force-only fit"
    assert len(table) == 4 + 21 + 1


def test_birch_murnaghan_is_recovered():
    """A potential whose energy is the equation itself gives its parameters back."""
    from ase import units
    from ase.calculators.calculator import Calculator, all_changes
    from ase.eos import birchmurnaghan

    class Equation(Calculator):
        implemented_properties = ("energy", "forces", "stress")

        def calculate(self, atoms=None, properties=None, system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            volume = atoms.get_volume()
            energy = birchmurnaghan(volume, -3.0, 80 * units.GPa, 4.5, 17.0)
            self.results = {"energy": energy, "forces": np.zeros((1, 3)), "stress": np.zeros(6)}

    side = 17.2 ** (1 / 3)
    state = equation_of_state(Atoms("Si", cell=[side] * 3, pbc=True), Equation())
    assert state.volume_angstrom3_per_atom == pytest.approx(17.0, rel=1e-5)
    assert state.energy_ev_per_atom == pytest.approx(-3.0, abs=1e-6)
    assert state.bulk_modulus_gpa == pytest.approx(80, rel=1e-3)
    assert state.bulk_modulus_derivative == pytest.approx(4.5, rel=1e-3)
