"""phonopy's and phono3py's YAML files of others: units, tolerance, masses and forces are theirs."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phonopy.physical_units import get_calculator_physical_units

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES
from phonsmith.files.phonopy_files import read_phonopy_file
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.force_constants import fit_phonons, reference_phonons
from phonsmith.supercells.settings import Displaced
from tests.phonopy_files import SW, frequencies, write

OF_CALCULATORS = ("qe", "wien2k", "elk", "siesta", "abacus", "abinit", "cp2k", "fleur", "turbomole")


def in_units_of(calculator: str, content: dict[str, Any]) -> dict[str, Any]:
    """The same set as phonopy has it with another code."""
    units = get_calculator_physical_units(calculator)
    content = {**content, "phonopy": {**content["phonopy"], "calculator": calculator}}
    content["phonopy"]["symmetry_tolerance"] = 1e-5 / units.distance_to_A
    content["phonopy"]["frequency_unit_conversion_factor"] = units.factor
    content["physical_unit"] = {
        "atomic_mass": "AMU",
        "length": units.length_unit,
        "force": units.force_unit,
    }
    for key in ("unit_cell", "primitive_cell", "supercell"):
        lattice = np.array(content[key]["lattice"]) / units.distance_to_A
        content[key] = {**content[key], "lattice": lattice.tolist()}
    content["displacements"] = [
        {
            "atom": one["atom"],
            "displacement": (np.array(one["displacement"]) / units.distance_to_A).tolist(),
            "forces": (np.array(one["forces"]) / units.force_to_eVperA).tolist(),
            "supercell_energy": -100.0 / units.energy_to_eV,
        }
        for one in content["displacements"]
    ]
    content["nac"] = {**content["nac"], "unit_conversion_factor": units.nac_factor}
    return content


@pytest.mark.parametrize("calculator", OF_CALCULATORS)
def test_other_units_give_the_same_phonons(
    tmp_path: Path, nacl: dict[str, Any], calculator: str
) -> None:
    ours = read_recorded(write(tmp_path / "ours.yaml", in_units_of("vasp", nacl)), "phonopy", "a")
    path = write(tmp_path / "theirs.yaml", in_units_of(calculator, nacl))
    theirs = read_recorded(path, "phonopy", "a")
    assert ours.phonon is not None
    assert theirs.phonon is not None
    assert theirs.crystal is not None
    for mine, other in zip(ours.frames, theirs.frames, strict=True):
        assert np.allclose(mine.positions, other.positions, atol=1e-10)
        assert np.allclose(mine.arrays[FORCES], other.arrays[FORCES], atol=1e-10)
        assert other.info[ENERGY] == pytest.approx(-100.0, abs=1e-9)
    found = [frequencies(reference_phonons(one.phonon, one.frames)) for one in (ours, theirs)]
    assert np.abs(found[0] - found[1]).max() < 1e-6
    assert theirs.phonon.nac_params["factor"] == pytest.approx(14.39965, abs=1e-4)
    # and as phonopy itself has it from this file
    import phonopy

    its = phonopy.load(path, log_level=0, produce_fc=False)
    its.produce_force_constants()
    its.symmetrize_force_constants()
    assert np.abs(frequencies(its) - found[1]).max() < 2e-5


@pytest.mark.parametrize(
    ("header", "stated", "reason"),
    [
        ({"calculator": "qe"}, {"length": "angstrom"}, "its calculator qe uses au"),
        ({"calculator": "gpaw"}, {}, "unknown calculator 'gpaw'"),
        ({}, {"length": "au"}, "but no calculator; give the code"),
        ({}, {"length": "furlong"}, "allowed are angstrom and au"),
        ({}, {"length": "angstrom", "force": "N"}, "physical_unit.length is ''"),
        ({}, {"length": "angstrom", "atomic_mass": "kg"}, "only AMU is supported"),
        ({"calculator": "qe"}, {"length": "au"}, "if they are in Å, remove `calculator`"),
        ({"frequency_unit_conversion_factor": 112.105157}, {}, "112.105, the factor of cp2k,"),
        ({"frequency_unit_conversion_factor": 108.97077}, {}, "the factor of qe,"),
        ({"frequency_unit_conversion_factor": 3.0}, {}, "3 contradicts the units of the file"),
        ({}, {"length": "angstrom", "force_constants": "eV/N"}, "physical_unit.length is 'n'"),
        ({}, {"length": "angstrom", "force_constants": "J/angstrom^2"}, "forces .* is j/angstrom"),
        ({}, {"length": "angstrom", "force_constants": "Ry/au^2"}, "force unit ry/au"),
        ({"symmetry_tolerance": 2.0}, {}, "symmetry_tolerance 2 Å"),
        ({"symmetry_tolerance": "wide"}, {}, "symmetry_tolerance is wide, not a number"),
    ],
)
def test_units_that_contradict_each_other_are_refused(
    tmp_path: Path,
    nacl: dict[str, Any],
    header: dict[str, Any],
    stated: dict[str, str],
    reason: str,
) -> None:
    path = write(tmp_path / "odd.yaml", {**nacl, "phonopy": header, "physical_unit": stated})
    with pytest.raises(PhonsmithError, match=reason):
        read_recorded(path, "phonopy", "a")


@pytest.mark.parametrize(
    ("length", "force"),
    [("Angstrom", "eV/Angstrom"), ("Å", "eV/Å"), ("ANG", "ev/ang"), ("angstrom", "eV/angstrom")],
)
def test_units_are_read_in_any_spelling(
    tmp_path: Path, nacl: dict[str, Any], length: str, force: str
) -> None:
    path = write(tmp_path / "a.yaml", {**nacl, "physical_unit": {"length": length, "force": force}})
    recorded = read_recorded(path, "phonopy", "a")
    assert recorded.crystal is not None
    assert recorded.crystal.cell.lengths()[0] == pytest.approx(5.690301476)


def test_units_are_enough_without_a_calculator(tmp_path: Path, nacl: dict[str, Any]) -> None:
    content = in_units_of("qe", nacl)
    del content["phonopy"]["calculator"]
    recorded = read_recorded(write(tmp_path / "a.yaml", content), "phonopy", "a")
    assert recorded.crystal is not None
    assert recorded.crystal.cell.lengths()[0] == pytest.approx(5.690301476)
    assert recorded.frames[0].info[ENERGY] == pytest.approx(-100)


@pytest.mark.parametrize("calculator", ["qe", "cp2k"])
def test_the_unit_of_force_constants_is_enough_in_older_files(
    tmp_path: Path, nacl: dict[str, Any], calculator: str
) -> None:
    content = in_units_of(calculator, nacl)
    units = get_calculator_physical_units(calculator)
    del content["phonopy"]["calculator"], content["physical_unit"]["force"]
    content["physical_unit"]["force_constants"] = units.force_constants_unit
    recorded = read_recorded(write(tmp_path / "a.yaml", content), "phonopy", "a")
    ours = read_recorded(write(tmp_path / "ours.yaml", nacl), "phonopy", "a")
    assert np.allclose(recorded.frames[0].arrays[FORCES], ours.frames[0].arrays[FORCES])


def test_a_born_file_that_is_not_named_is_reported(
    tmp_path: Path, nacl: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "BORN").touch()
    read_recorded(write(tmp_path / "with.yaml", nacl), "phonopy", "a")
    assert "BORN" not in capsys.readouterr().out
    without = {key: value for key, value in nacl.items() if key != "nac"}
    read_recorded(write(tmp_path / "without.yaml", without), "phonopy", "a")
    assert "only if `born` of the structure names it" in capsys.readouterr().out


def test_an_energy_of_zero_was_not_computed(tmp_path: Path, nacl: dict[str, Any]) -> None:
    displacements = [{**one, "supercell_energy": 0.0} for one in nacl["displacements"]]
    path = write(tmp_path / "a.yaml", {**nacl, "displacements": displacements})
    assert not any(ENERGY in one.info for one in read_recorded(path, "phonopy", "a").frames)


@pytest.mark.parametrize("unit", [1.0, 33.35641, 4.1356675, 6.2831853])
def test_frequencies_in_other_units_are_no_other_units_of_forces(
    tmp_path: Path, nacl: dict[str, Any], unit: float
) -> None:
    header = {"frequency_unit_conversion_factor": 15.633302 * unit}
    path = write(tmp_path / "a.yaml", {**nacl, "phonopy": header})
    assert read_recorded(path, "phonopy", "a").frames


@pytest.mark.parametrize("calculator", ["qe", "cp2k", "wien2k", "abacus"])
def test_the_default_factor_beside_a_code_means_nothing(
    tmp_path: Path, nacl: dict[str, Any], calculator: str
) -> None:
    """As ``phonopy -d --qe`` wrote it into phonopy_disp.yaml."""
    content = in_units_of(calculator, nacl)
    content["phonopy"]["frequency_unit_conversion_factor"] = 15.633302
    recorded = read_recorded(write(tmp_path / "a.yaml", content), "phonopy", "a")
    ours = read_recorded(write(tmp_path / "ours.yaml", nacl), "phonopy", "a")
    assert np.allclose(recorded.frames[0].arrays[FORCES], ours.frames[0].arrays[FORCES])


def test_the_tolerance_of_the_file_is_used_and_kept(tmp_path: Path, nacl: dict[str, Any]) -> None:
    """Positions off by 3e-4 Å: cubic within the tolerance of the file, and nothing without it."""
    content = {**nacl, "unit_cell": {**nacl["unit_cell"]}}
    points = [dict(one) for one in content["unit_cell"]["points"]]
    points[1]["coordinates"] = [0.00005, 0.5, 0.5]
    content["unit_cell"]["points"] = points
    del content["supercell"], content["primitive_cell"]
    content["phonopy"] = {"version": "2.22.1", "symmetry_tolerance": 1e-3}
    recorded = read_recorded(write(tmp_path / "a.yaml", content), "phonopy", "a")
    phonon = recorded.phonon
    assert phonon is not None
    assert phonon.symmetry.tolerance == pytest.approx(1e-3)
    assert len(phonon.primitive) == 2
    save_phonons(tmp_path / "kept.yaml", reference_phonons(phonon, recorded.frames))
    kept = load_phonons(tmp_path / "kept.yaml")
    assert kept.symmetry.tolerance == pytest.approx(1e-3)
    assert np.allclose(frequencies(kept), frequencies(phonon), atol=1e-5)
    content["phonopy"] = {"version": "2.22.1"}
    with pytest.raises(PhonsmithError, match="cannot be read"):
        read_recorded(write(tmp_path / "b.yaml", content), "phonopy", "a")


def test_fits_take_the_tolerance_of_the_reference(repository: Path, shared_data: Path) -> None:
    from phonsmith.supercells.cells import to_ase

    file = read_phonopy_file(shared_data / "si-castep" / "22_phonopy.yaml")
    file.tolerance = 1e-3
    reference = file.phonopy()
    crystal = to_ase(reference.unitcell)
    crystal.positions[1] += 2e-4
    fit = fit_phonons(crystal, reference, Displaced(), SW)
    assert fit.symmetry.tolerance == pytest.approx(1e-3)
    assert len(fit.dataset["first_atoms"]) == 1


def test_indexed_symbols_are_the_elements(shared_data: Path) -> None:
    recorded = read_recorded(
        shared_data / "real-inputs" / "phonopy-indexed-symbols.yaml", "phonopy", "a"
    )
    plain = read_recorded(
        shared_data / "real-inputs" / "phonopy-length-Angstrom.yaml", "phonopy", "a"
    )
    assert recorded.crystal is not None
    assert recorded.crystal.get_chemical_formula() == "Cl4Na4"
    both = [frequencies(reference_phonons(one.phonon, one.frames)) for one in (recorded, plain)]
    assert np.allclose(*both, atol=1e-6)


def test_masses_of_the_file_stay_with_the_crystal(tmp_path: Path, nacl: dict[str, Any]) -> None:
    content = dict(nacl)
    for key in ("unit_cell", "primitive_cell", "supercell"):
        points = [
            {**one, "mass": 36.965903 if one["symbol"] == "Cl" else one["mass"]}
            for one in content[key]["points"]
        ]
        content[key] = {**content[key], "points": points}
    recorded = read_recorded(write(tmp_path / "a.yaml", content), "phonopy", "a")
    assert recorded.crystal is not None
    assert recorded.crystal.get_masses()[-1] == pytest.approx(36.965903)
    assert recorded.phonon is not None
    assert recorded.phonon.masses[-1] == pytest.approx(36.965903)
    usual = read_recorded(write(tmp_path / "b.yaml", nacl), "phonopy", "a").crystal
    assert usual is not None
    assert not usual.has("masses")


def broken(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda content: {**content, **changes}


def without_forces_of_second(content: dict[str, Any]) -> dict[str, Any]:
    first, second = (dict(one) for one in content["displacements"])
    del second["forces"]
    return {**content, "displacements": [first, second]}


def with_infinite_force(content: dict[str, Any]) -> dict[str, Any]:
    first, second = content["displacements"]
    forces = [[float("nan")] * 3, *second["forces"][1:]]
    return {**content, "displacements": [first, {**second, "forces": forces}]}


def with_fewer_forces(content: dict[str, Any]) -> dict[str, Any]:
    first, second = content["displacements"]
    return {**content, "displacements": [first, {**second, "forces": second["forces"][:-1]}]}


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "huge supercell": (
        broken(supercell_matrix=[[9999, 0, 0], [0, 9999, 0], [0, 0, 9999]]),
        "gives a supercell of .* atoms",
    ),
    "no volume": (broken(supercell_matrix=[[0, 0, 0]] * 3), "gives a supercell of 0 atoms"),
    "one row": (broken(supercell_matrix=[2, 2, 2]), "three rows"),
    "no cell": (broken(unit_cell=None), "cannot be read"),
    "second without forces": (without_forces_of_second, "displaced cell 2 has no forces"),
    "infinite force": (with_infinite_force, "displaced cell 2 .* not finite"),
    "fewer forces": (with_fewer_forces, "displaced cell 2 has forces of shape"),
    "no displacements": (broken(displacements=None), "cannot be read|contains no forces"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_end_in_one_line(tmp_path: Path, nacl: dict[str, Any], name: str) -> None:
    change, reason = BROKEN[name]
    with pytest.raises(PhonsmithError, match=reason) as caught:
        read_recorded(write(tmp_path / "a.yaml", change(nacl)), "phonopy", "a")
    assert "\n" not in str(caught.value)
    assert "a.yaml" in str(caught.value)


def test_a_phono3py_file_is_named_as_such(shared_data: Path) -> None:
    path = shared_data / "si-pbesol-fc3" / "phono3py_disp.yaml"
    with pytest.raises(PhonsmithError, match="is a phono3py file"):
        read_recorded(path, "phonopy", "si")


def test_second_order_has_its_own_forces_and_supercell(shared_data: Path, tmp_path: Path) -> None:
    """The forces were made with Stillinger–Weber silicon: its phonons in the larger supercell."""
    import shutil

    from phonsmith.supercells.cells import to_ase

    folder = shared_data / "real-inputs" / "phono3py-with-second-order"
    recorded = read_recorded(folder / "phono3py_disp.yaml", "phono3py", "si")
    assert recorded.phonon is not None
    assert recorded.third is not None
    sizes = [len(frame) for frame in recorded.frames]
    assert sizes[0] == len(recorded.phonon.supercell) > len(recorded.third.supercell)
    phonon = reference_phonons(recorded.phonon, recorded.frames)
    truth = fit_phonons(to_ase(phonon.unitcell), phonon, Displaced(), SW)
    assert np.allclose(frequencies(phonon), frequencies(truth), atol=0.02)

    for name in ("phono3py_disp.yaml", "FORCES_FC3"):
        shutil.copy(folder / name, tmp_path / name)
    with pytest.raises(PhonsmithError, match="no forces for them; put FORCES_FC2 beside it"):
        read_recorded(tmp_path / "phono3py_disp.yaml", "phono3py", "si")
    lines = (folder / "FORCES_FC2").read_text().splitlines()
    (tmp_path / "FORCES_FC2").write_text("\n".join(lines[:-1]))
    with pytest.raises(PhonsmithError, match="FORCES_FC2: cannot be read as forces of 1 cells"):
        read_recorded(tmp_path / "phono3py_disp.yaml", "phono3py", "si")


def test_force_sets_of_another_calculation_are_refused(
    tmp_path: Path, nacl: dict[str, Any]
) -> None:
    content = dict(nacl)
    sets = ["64", "2"]
    for one in content["displacements"]:
        sets += [str(one["atom"]), " ".join(map(str, one["displacement"]))]
        sets += [" ".join(map(str, force)) for force in one["forces"]]
    content["displacements"] = [
        {"atom": one["atom"], "displacement": one["displacement"]}
        for one in content["displacements"]
    ]
    path = write(tmp_path / "phonopy_disp.yaml", content)
    (tmp_path / "FORCE_SETS.gz").write_bytes(gzip.compress("\n".join(sets).encode()))
    assert len(read_recorded(path, "phonopy", "a").frames) == 2
    content["displacements"][1]["atom"] = 40
    with pytest.raises(PhonsmithError, match=r"FORCE_SETS\.gz: displacements differ"):
        read_recorded(write(path, content), "phonopy", "a")
