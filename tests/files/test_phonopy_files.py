"""phonopy's and phono3py's YAML files of others: no code runs, units and tolerance are theirs."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from phonopy import Phonopy
from phonopy.physical_units import get_calculator_physical_units

from phonsmith.conductivity.third_order import load_displacements as load_third_order
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES
from phonsmith.files.phonopy_files import read_phonopy_file
from phonsmith.files.settings import Source
from phonsmith.files.sources import sha256_of
from phonsmith.files.yaml_files import read_yaml
from phonsmith.labels.recorded.reading import load_recorded, read_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.phonons.files import load_displacements, load_phonons, save_phonons
from phonsmith.phonons.force_constants import fit_phonons, reference_phonons
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.settings import Displaced

QS = [[0, 0, 0], [0.5, 0.1, 0.2], [0.3, 0.5, 0]]
SW = PotentialSource(calculator="stillinger-weber")


def frequencies(phonon: Phonopy) -> np.ndarray:
    return np.asarray(phonon.run_qpoints(QS).frequencies)


def content_of(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
    return path


# --- nothing in a file runs -----------------------------------------------------------------------

TAGS = (
    "!!python/object/apply:os.system ['touch {made}']",
    "!!python/object/new:os.system ['touch {made}']",
    "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{made}']]",
    "!!python/name:os.system",
    "!something 1",
)


def by_load_recorded(path: Path) -> None:
    name = path.name
    source = Source(name="of-others", files={name: sha256_of(path)})
    reference = RecordedReference(
        method="recorded",
        level_of_theory="PBE",
        source=source,
        format="phono3py" if "phono3py" in name else "phonopy",
    )
    (path.parent / "mirror").mkdir(exist_ok=True)
    folder = path.parent / "mirror" / "of-others"
    folder.symlink_to(path.parent, target_is_directory=True)
    load_recorded(reference, name, [path.parent / "mirror"], path.parent / "cache")


ENTRIES: dict[str, Callable[[Path], object]] = {
    "recorded": by_load_recorded,
    "phonopy": lambda path: read_recorded(path, "phonopy", "x"),
    "phono3py": lambda path: read_recorded(path, "phono3py", "x"),
    "results": load_phonons,
    "displacements": load_displacements,
    "third order": load_third_order,
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_no_tag_in_a_file_runs(tmp_path: Path, entry: str, tag: str, suffix: str) -> None:
    made = tmp_path / "made"
    text = f"phonopy:\n  version: {tag.format(made=made)}\nunit_cell: 1\n"
    path = tmp_path / f"bad.yaml{suffix}"
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    path.write_bytes(pack(text.encode()))
    with pytest.raises(PhonsmithError, match=r"has the tag '.*remove it$") as caught:
        ENTRIES[entry](path)
    assert "\n" not in str(caught.value)
    assert not made.exists()


def test_no_phonopy_loader_is_used(repository: Path) -> None:
    """phonopy's own ways to open YAML run code: only the safe ones may stand in the sources."""
    unsafe = ("phonopy.load(", "phono3py.load(", "yaml.CLoader", "yaml.Loader", "unsafe_load")
    unsafe += ("PhonopyYaml()", "Phono3pyYaml()", "read_cell_yaml", "parse_disp_yaml")
    for folder in ("phonsmith", "scripts", "rules"):
        for path in sorted((repository / folder).rglob("*.[ps][ym]*")):
            if path.suffix not in (".py", ".smk"):
                continue
            text = path.read_text()
            assert not [word for word in unsafe if word in text], path


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}" for k in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "aliases": (bomb(12), "values once all aliases"),
    "merge keys": (merges(12), "values once all aliases"),
    "itself": ("a: &a [*a]", "contains itself"),
    "nesting": ("a: " + "[" * 100_000, "not valid YAML"),
    "number to the base 60": ("a: " + ":".join(["59"] * 100_000), "base 60"),
    "long number": ("a: " + "9" * 100_000, "not valid YAML"),
    "key twice": ("a: 1\nb: {c: 1, c: 2}", "the key 'c' stands here twice"),
    "binary": ("a: \x00", "not valid YAML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_yaml_that_would_never_end_is_refused_at_once(tmp_path: Path, name: str) -> None:
    text, reason = HOSTILE[name]
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    with pytest.raises(PhonsmithError, match=reason) as caught:
        read_yaml(path)
    assert len(str(caught.value)) < 600


def test_harmless_aliases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "aliases.yaml"
    path.write_text("a: &id001 [1.0, 2.0]\nb: *id001\nc: {<<: {d: 1}, e: 2}\n")
    assert read_yaml(path) == {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": {"d": 1, "e": 2}}


def test_a_file_larger_than_allowed_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phonsmith.files.reading_writing.LARGEST_BYTES", 1024**2)
    path = tmp_path / "bomb.yaml.xz"
    path.write_bytes(lzma.compress(bytes(20 * 1024**2)))
    with pytest.raises(PhonsmithError, match="holds more than 1 MB"):
        read_yaml(path)


def test_a_pipe_or_a_damaged_archive_ends_in_one_line(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(PhonsmithError, match="no regular file"):
        read_yaml(tmp_path / "pipe.yaml")
    (tmp_path / "cut.yaml.xz").write_bytes(lzma.compress(b"a: 1")[:-8])
    with pytest.raises(PhonsmithError, match="cannot be read"):
        read_yaml(tmp_path / "cut.yaml.xz")


# --- units ----------------------------------------------------------------------------------------

OF_CALCULATORS = ("qe", "wien2k", "elk", "siesta", "abacus", "abinit", "cp2k", "fleur", "turbomole")


@pytest.fixture(scope="module")
def nacl(shared_data: Path) -> dict[str, Any]:
    """A set with Born charges in eV and Å, with energies added."""
    content = content_of(shared_data / "real-inputs" / "phonopy-length-Angstrom.yaml")
    content["phonopy"]["symmetry_tolerance"] = 1e-5
    return content


def in_units_of(calculator: str, content: dict[str, Any]) -> dict[str, Any]:
    """The same set as phonopy has it with another code."""
    units = get_calculator_physical_units(calculator)
    content = {**content, "phonopy": {**content["phonopy"], "calculator": calculator}}
    content["phonopy"]["symmetry_tolerance"] = 1e-5 / units.distance_to_A
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
        ({"calculator": "qe"}, {"length": "angstrom"}, "its calculator qe has au"),
        ({"calculator": "gpaw"}, {}, "phonopy does not know the calculator 'gpaw'"),
        ({}, {"length": "au"}, "but no calculator; name the code"),
        ({}, {"length": "furlong"}, "write angstrom or au"),
        ({}, {"length": "angstrom", "force": "N"}, "has the length ''"),
        ({}, {"length": "angstrom", "atomic_mass": "kg"}, "only AMU is known"),
        ({"calculator": "qe"}, {"length": "au"}, "if they are in Å, remove `calculator`"),
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


# --- symmetry, masses, symbols --------------------------------------------------------------------


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


# --- what else a file may hold --------------------------------------------------------------------


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
    "no displacements": (broken(displacements=None), "cannot be read|holds no forces"),
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


# --- second order beside third order --------------------------------------------------------------


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
    with pytest.raises(PhonsmithError, match=r"FORCE_SETS\.gz: is of other displacements"):
        read_recorded(write(path, content), "phonopy", "a")


# --- BORN -----------------------------------------------------------------------------------------


def born_of(shared_data: Path, material: int) -> Path:
    return next(shared_data.glob(f"phonondb-pbesol/{material}-*/mp-*/BORN"))


@pytest.fixture(scope="module")
def salt(nacl: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Phonopy:
    path = write(tmp_path_factory.mktemp("salt") / "a.yaml", nacl)
    return read_phonopy_file(path).phonopy()


def test_published_born_files_are_taken_as_they_are(shared_data: Path) -> None:
    from ase.io import read as read_ase
    from phonopy.file_IO import parse_BORN

    from phonsmith.labels.born import read_born
    from phonsmith.supercells.cells import make_phonopy

    count = 0
    for path in sorted(shared_data.glob("phonondb-pbesol/*/mp-*/BORN")):
        crystal = read_ase(path.with_name("POSCAR-unitcell"))
        phonon = make_phonopy(crystal, np.eye(3, dtype=int))
        nac = read_born(path, phonon)
        assert np.allclose(nac["born"], parse_BORN(phonon.primitive, filename=path)["born"])
        count += 1
    assert count == 12


LINES = {
    "good": "1.1 0 0 0 1.1 0 0 0 1.1\n-1.1 0 0 0 -1.1 0 0 0 -1.1\n",
    "sum": "2.435 0 0 0 2.435 0 0 0 2.435\n-1.087 0 0 0 -1.087 0 0 0 -1.087\n",
    "one more": "1 0 0 0 1 0 0 0 1\n1 0 0 0 1 0 0 0 1\n-1 0 0 0 -1 0 0 0 -1\n",
    "one less": "1.1 0 0 0 1.1 0 0 0 1.1\n",
    "not cubic": "1.1 0 0 0 2.1 0 0 0 1.1\n-1.1 0 0 0 -2.1 0 0 0 -1.1\n",
}


@pytest.mark.parametrize(
    ("epsilon", "charges", "reason"),
    [
        ("3 0 0 0 3 0 0 0 3", "good", ""),
        ("3 0 0 0 3 0 0 0 3", "sum", r"sum to 1.3 e, .*\(Na \+2.4., Cl -1.09\)"),
        ("3 0 0 0 3 0 0 0 3", "one more", r"charges of 3 atoms, .* keep the lines of atoms 1 \(Na"),
        ("3 0 0 0 3 0 0 0 3", "one less", "charges of 1 atoms, but of the 2 atoms"),
        ("3 0 0 0 3 0 0 0 3", "not cubic", "lack the symmetry of the crystal"),
        ("3 0 0 0 9 0 0 0 3", "good", "the tensor by 44 %"),
        (".5 0 0 0 .5 0 0 0 .5", "good", "a value below 1"),
    ],
)
def test_born_files_of_other_crystals_are_refused(
    tmp_path: Path, salt: Phonopy, epsilon: str, charges: str, reason: str
) -> None:
    from phonsmith.labels.born import read_born

    (tmp_path / "BORN").write_text(f"14.400\n{epsilon}\n{LINES[charges]}")
    if not reason:
        assert read_born(tmp_path / "BORN", salt)["factor"] == pytest.approx(14.39965, abs=1e-4)
        return
    with pytest.raises(PhonsmithError, match=reason):
        read_born(tmp_path / "BORN", salt)


def test_a_line_for_every_atom_is_refused(shared_data: Path, tmp_path: Path) -> None:
    """Two symmetry-independent atoms of six in the primitive cell."""
    from ase.io import read as read_ase

    from phonsmith.labels.born import read_born
    from phonsmith.supercells.cells import make_phonopy

    born = born_of(shared_data, 856)
    phonon = make_phonopy(read_ase(born.with_name("POSCAR-unitcell")), np.eye(3, dtype=int))
    head, epsilon, tin, oxygen = born.read_text().splitlines()[:4]
    text = [head, epsilon, tin, tin, oxygen, oxygen, oxygen, oxygen]
    (tmp_path / "BORN").write_text("\n".join(text))
    with pytest.raises(PhonsmithError, match=r"of 6 atoms \(a line for every atom\), .* atoms 1 "):
        read_born(tmp_path / "BORN", phonon)


@pytest.mark.parametrize("method", ["recorded", "calculator"])
def test_born_files_are_compared_with_the_crystal_at_planning(
    shared_data: Path, tmp_path: Path, nacl: dict[str, Any], method: str
) -> None:
    from phonsmith.campaign.model import Campaign
    from phonsmith.check.inputs import check_inputs

    born = str(shared_data / "real-inputs" / "BORN-charges-do-not-sum-to-zero")
    (tmp_path / "salt").mkdir()
    path = write(tmp_path / "salt" / "a.yaml", nacl)
    structure: dict[str, Any] = {"recorded": "a.yaml", "born": born}
    reference: dict[str, Any] = {
        "method": "recorded",
        "level_of_theory": "PBE",
        "source": {"name": "salt", "files": {"a.yaml": sha256_of(path)}},
    }
    if method == "calculator":
        poscar = next(shared_data.glob("phonondb-pbesol/22862-*/mp-*/POSCAR-unitcell"))
        structure = {"file": str(poscar), "born": born}
        reference = {"method": "calculator", "potential": {"calculator": "stillinger-weber"}}
    campaign = Campaign.model_validate(
        {
            "structures": {"salt": structure},
            "reference": reference,
            "fits": {"gap": {"kind": "gap"}},
        }
    )
    with pytest.raises(PhonsmithError, match=r"structures\.salt\.born: .*sum to 1.9 e"):
        check_inputs(campaign, "salt.yaml", [tmp_path])


# --- FORCE_SETS and force constants without a YAML file -------------------------------------------


@pytest.fixture
def with_constants(tmp_path: Path, nacl: dict[str, Any]) -> tuple[Path, Phonopy]:
    """A folder with a crystal and its force constants in every form, and phonopy with them."""
    from phonopy.file_IO import (
        write_FORCE_CONSTANTS,
        write_force_constants_to_hdf5,
        write_FORCE_SETS,
    )
    from phonopy.interface.vasp import write_vasp

    recorded = read_recorded(write(tmp_path / "a.yaml", nacl), "phonopy", "a")
    phonon = recorded.phonon
    assert phonon is not None
    write_vasp(str(tmp_path / "POSCAR"), phonon.unitcell)
    write_FORCE_SETS(phonon.dataset, filename=str(tmp_path / "FORCE_SETS"))
    (tmp_path / "whole").mkdir()
    (tmp_path / "cells").mkdir()
    write_vasp(str(tmp_path / "cells" / "SPOSCAR"), phonon.supercell)
    phonon = reference_phonons(phonon, recorded.frames)
    compact, primitive = phonon.force_constants, phonon.primitive
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    full = compact_fc_to_full_fc(primitive, compact)
    for folder, constants in ((tmp_path, compact), (tmp_path / "whole", full)):
        p2s = primitive.p2s_map
        write_FORCE_CONSTANTS(constants, filename=str(folder / "FORCE_CONSTANTS"), p2s_map=p2s)
        write_force_constants_to_hdf5(
            constants,
            filename=str(folder / "force_constants.hdf5"),
            p2s_map=p2s if constants is compact else None,
            physical_unit="eV/angstrom^2",
        )
    phonon.nac_params = None
    return tmp_path, phonon


CONSTANTS = ("FORCE_CONSTANTS", "force_constants.hdf5", "whole/FORCE_CONSTANTS")
CONSTANTS += ("whole/force_constants.hdf5",)


@pytest.mark.parametrize("name", [*CONSTANTS, "FORCE_SETS"])
def test_files_without_yaml_give_the_phonons_that_phonopy_gives(
    with_constants: tuple[Path, Phonopy], name: str
) -> None:
    from phonsmith.labels.recorded.readers.force_constants import (
        read_force_constants,
        read_force_sets,
    )

    folder, phonon = with_constants
    read = read_force_sets if name == "FORCE_SETS" else read_force_constants
    recorded = read(folder / name, folder / "POSCAR", [2, 2, 2])
    assert recorded.phonon is not None
    for index, frame in enumerate(recorded.frames):
        frame.info["index"] = index
    found = reference_phonons(recorded.phonon, recorded.frames)
    assert np.abs(frequencies(found) - frequencies(phonon)).max() < 1e-6
    save_phonons(folder / "kept.yaml", found)
    kept = load_phonons(folder / "kept.yaml")
    assert np.abs(frequencies(kept) - frequencies(phonon)).max() < 1e-6


def test_supercells_follow_from_what_is_beside_or_are_asked_for(
    with_constants: tuple[Path, Phonopy],
) -> None:
    import shutil

    from phonsmith.labels.recorded.readers.force_constants import read_force_constants

    folder, phonon = with_constants
    path, crystal = folder / "FORCE_CONSTANTS", folder / "POSCAR"
    with pytest.raises(PhonsmithError, match="give recorded_supercell"):
        read_force_constants(path, crystal)
    for wrong in ([3, 2, 2], [[2, 0, 0], [0, 2, 0], [0, 0, 1]]):
        with pytest.raises(PhonsmithError, match="is of 64 atoms, the supercell has"):
            read_force_constants(path, crystal, wrong)
        with pytest.raises(PhonsmithError, match=r"shape .* but the supercell has|cannot be read"):
            read_force_constants(folder / "force_constants.hdf5", crystal, wrong)
    shutil.copy(folder / "cells" / "SPOSCAR", folder / "SPOSCAR")
    recorded = read_force_constants(path, crystal)
    assert recorded.phonon is not None
    assert np.allclose(frequencies(recorded.phonon), frequencies(phonon), atol=1e-6)
    (folder / "FORCE_CONSTANTS").write_text("2 64\n1 1\n")
    with pytest.raises(PhonsmithError, match="cannot be read"):
        read_force_constants(path, crystal)


def test_phonondb_without_its_yaml(shared_data: Path) -> None:
    """POSCAR-unitcell, disp.yaml and FORCE_SETS of an earlier phonopy."""
    from phonsmith.labels.recorded.readers.force_constants import read_force_sets

    folder = next(shared_data.glob("phonondb-pbesol/1265-*/mp-*"))
    recorded = read_force_sets(folder / "FORCE_SETS", folder / "POSCAR-unitcell")
    for index, frame in enumerate(recorded.frames):
        frame.info["index"] = index
    assert recorded.phonon is not None
    found = reference_phonons(recorded.phonon, recorded.frames)
    yaml_file = read_recorded(folder / "phonon.yaml", "phonopy", "mgo")
    assert yaml_file.phonon is not None
    truth = reference_phonons(yaml_file.phonon, yaml_file.frames)
    for phonon in (found, truth):
        phonon.nac_params = None
    assert np.allclose(frequencies(found), frequencies(truth), atol=1e-5)


# --- two recorded sets against each other ---------------------------------------------------------


def test_recorded_forces_of_a_potential_are_compared(shared_data: Path, tmp_path: Path) -> None:
    """Forces times 1.21 are frequencies times 1.1; the same forces are no error at all."""
    from phonsmith.fits.recorded.settings import RecordedFit
    from phonsmith.fits.recorded.taking import fetch_fit, write_fit
    from phonsmith.phonons.recorded import recorded_phonons
    from phonsmith.structures.settings import Relaxation

    folder = shared_data / "si-castep"
    reference = read_recorded(folder / "22_phonopy.yaml", "phonopy", "si")
    assert reference.phonon is not None
    truth = reference_phonons(reference.phonon, reference.frames)
    mirror = tmp_path / "si"
    mirror.mkdir()
    same = (folder / "22_phonopy.yaml").read_bytes()
    (mirror / "same.yaml").write_bytes(same)
    scaled = content_of(folder / "22_phonopy.yaml")
    for one in scaled["displacements"]:
        one["forces"] = (1.21 * np.array(one["forces"])).tolist()
    write(mirror / "scaled.yaml", scaled)
    wider = content_of(folder / "22_phonopy.yaml")
    for key in ("unit_cell", "primitive_cell", "supercell"):
        wider[key]["lattice"] = (1.01 * np.array(wider[key]["lattice"])).tolist()
    write(mirror / "wider.yaml", wider)
    names = ("same", "scaled", "wider")
    fit = RecordedFit.model_validate(
        {
            "kind": "recorded",
            "level_of_theory": "scaled PW91",
            "source": {
                "name": "si",
                "files": {f"{name}.yaml": sha256_of(mirror / f"{name}.yaml") for name in names},
            },
            "files": {name: f"{name}.yaml" for name in names},
        }
    )
    write_fit(fit, fetch_fit(fit, [tmp_path], tmp_path / "cache"), tmp_path)
    for name, factor in (("same", 1.0), ("scaled", 1.1)):
        found, verdict = recorded_phonons(
            "reference", truth, tmp_path / f"{name}.yaml", Relaxation()
        )
        assert not verdict.reason
        assert np.allclose(frequencies(found), factor * frequencies(truth), atol=1e-4)
    path = tmp_path / "wider.yaml"
    _, verdict = recorded_phonons("reference", truth, path, Relaxation())
    assert "another cell (strain 0.01, volume +3.03 %)" in verdict.reason
    found, verdict = recorded_phonons("relaxed", truth, path, Relaxation())
    assert not verdict.reason
    assert np.allclose(frequencies(found), frequencies(truth), atol=1e-4)
    _, verdict = recorded_phonons("relaxed", truth, tmp_path / "none.yaml", Relaxation())
    assert "no forces of this crystal were recorded" in verdict.reason

    other = read_recorded(folder / "24_phonopy.yaml", "phonopy", "si")
    assert other.phonon is not None
    save_phonons(tmp_path / "other.yaml", reference_phonons(other.phonon, other.frames))
    with pytest.raises(PhonsmithError, match="other: the recorded forces are of Si4 in another"):
        recorded_phonons("relaxed", truth, tmp_path / "other.yaml", Relaxation())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"fits": {"gap": {"kind": "gap"}}}, "structures.a.role: force constants hold no labels"),
        (
            {"fits": {"p": {"files": {"b": "a.yaml"}}}},
            "fits.p.files.b: no such structure is benchmarked",
        ),
        ({"fits": {"p": {"files": {"a": "b.yaml"}}}}, "'b.yaml' is not among source.files"),
        ({"benchmarks": {"mechanics": True}}, "fits.p: recorded forces compute nothing"),
        (
            {"structures": {"a": {"recorded_format": "phonopy"}}},
            "structures.a.recorded_supercell: phonopy data tell the supercell",
        ),
        (
            {"structures": {"a": {"file": None}}},
            "structures.a.file: force_constants data do not tell the crystal",
        ),
    ],
)
def test_settings_of_recorded_phonons(changes: dict[str, Any], reason: str) -> None:
    from pydantic import ValidationError

    from phonsmith.campaign.model import Campaign

    source = {"name": "x", "files": {"FORCE_CONSTANTS": "0" * 64, "a.yaml": "0" * 64}}
    structure = {
        "file": "POSCAR",
        "recorded": "FORCE_CONSTANTS",
        "recorded_format": "force_constants",
        "recorded_supercell": [2, 2, 2],
    }
    fit = {"kind": "recorded", "level_of_theory": "GAP", "source": source, "files": {"a": "a.yaml"}}
    fits = {
        name: {**(fit if name == "p" else {}), **one}
        for name, one in changes.get("fits", {"p": {}}).items()
    }
    settings = {
        "structures": {"a": {**structure, **changes.get("structures", {}).get("a", {})}},
        "reference": {"method": "recorded", "level_of_theory": "PBE", "source": source},
        "fits": fits,
        "benchmarks": changes.get("benchmarks", {}),
    }
    if not reason:
        Campaign.model_validate(settings)
        return
    with pytest.raises(ValidationError, match=reason):
        Campaign.model_validate(settings)


def test_forces_of_atoms_on_the_other_side_of_the_cell_are_refused(
    shared_data: Path, tmp_path: Path
) -> None:
    """FORCE_SETS with a bare crystal file: the order of images follows where its atoms lie."""
    from phonopy.file_IO import write_FORCE_SETS
    from phonopy.interface.vasp import write_vasp

    from phonsmith.labels.recorded.readers.force_constants import read_force_sets

    phonon = load_phonons(shared_data / "si-castep" / "22_phonopy.yaml")
    write_FORCE_SETS(phonon.dataset, filename=str(tmp_path / "FORCE_SETS"))
    write_vasp(str(tmp_path / "SPOSCAR"), phonon.supercell)
    dim = phonon.supercell_matrix.tolist()
    cell = phonon.unitcell.copy()
    for wrapped in (False, True):
        if wrapped:
            cell.scaled_positions = cell.scaled_positions % 1.0 - np.array([[0, 0, 1], [0, 0, 0]])
        lines = "\n".join(" ".join(f"{x:.16f}" for x in row) for row in cell.scaled_positions)
        lattice = "\n".join(" ".join(f"{x:.16f}" for x in row) for row in cell.cell)
        poscar = tmp_path / "POSCAR"
        poscar.write_text(f"Si\n1.0\n{lattice}\nSi\n2\nDirect\n{lines}\n")
        (tmp_path / "SPOSCAR").unlink(missing_ok=True)
        if wrapped:
            with pytest.raises(PhonsmithError, match=r"asymmetric by \d+ %.*SPOSCAR or disp.yaml"):
                read_force_sets(tmp_path / "FORCE_SETS", poscar, dim)
        else:
            found = read_force_sets(tmp_path / "FORCE_SETS", poscar, dim).phonon
            assert found is not None
            found.produce_force_constants()
            found.symmetrize_force_constants()
            assert np.allclose(frequencies(found), frequencies(phonon), atol=1e-4)


def test_a_stronger_force_on_another_atom_is_no_fault(shared_data: Path, tmp_path: Path) -> None:
    """Sb2Se3: residual forces exceed that of a displacement of 0.01 Å along a soft direction."""
    from phonsmith.labels.recorded.readers.force_constants import read_force_sets

    (folder,) = (shared_data / "phonondb-pbesol/2160-sb2se3-pnma-62").iterdir()
    for name in ("FORCE_SETS", "POSCAR-unitcell"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    found = read_force_sets(tmp_path / "FORCE_SETS", tmp_path / "POSCAR-unitcell", [1, 3, 2])
    expected = read_force_sets(folder / "FORCE_SETS", folder / "POSCAR-unitcell")
    assert len(found.frames) == len(expected.frames) == 25


def test_atoms_on_the_other_side_of_the_cell_keep_their_force_constants(
    shared_data: Path, tmp_path: Path
) -> None:
    """An atom at z = 1: wrapped to 0 the supercell of phonopy has its images elsewhere."""
    from phonopy.file_IO import write_FORCE_CONSTANTS
    from phonopy.interface.vasp import write_vasp

    from phonsmith.labels.recorded.readers.force_constants import read_force_constants

    phonon = load_phonons(shared_data / "si-castep" / "22_phonopy.yaml")
    assert phonon.unitcell.scaled_positions[0, 2] == pytest.approx(1)
    path = tmp_path / "FORCE_CONSTANTS"
    p2s = phonon.primitive.p2s_map
    write_FORCE_CONSTANTS(phonon.force_constants, filename=str(path), p2s_map=p2s)
    write_vasp(str(tmp_path / "POSCAR"), phonon.unitcell)
    dim = phonon.supercell_matrix.tolist()
    try:
        found = read_force_constants(path, tmp_path / "POSCAR", dim).phonon
    except PhonsmithError as error:  # where the crystal's reader has wrapped the atom
        assert "does not act most on near atoms" in str(error)
    else:
        assert found is not None
        assert np.allclose(frequencies(found), frequencies(phonon), atol=1e-5)
    text = (tmp_path / "POSCAR").read_text().splitlines()
    text[8] = "0.0 0.0 0.0"
    assert len(text[7].split()) == 1 or text[7] == "Direct"
    (tmp_path / "POSCAR").write_text("\n".join(text))
    with pytest.raises(PhonsmithError, match="does not act most on near atoms"):
        read_force_constants(path, tmp_path / "POSCAR", dim)
