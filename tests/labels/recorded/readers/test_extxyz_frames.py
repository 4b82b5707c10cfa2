"""Labelled sets of others in extxyz: which keys are labels, and what is refused frame by frame."""

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError

from phonsmith.datasets.settings import Database
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.recorded.readers.sets import read_extxyz
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.settings import ExtxyzKeys

STRESS_OF_CELL = np.array([[0.01, 0.002, 0.003], [0.002, 0.02, 0.004], [0.003, 0.004, 0.03]])
NINE = " ".join(f"{value:.8g}" for value in STRESS_OF_CELL.ravel())
VOIGT = "0.01 0.02 0.03 0.004 0.003 0.002"
VIRIAL = " ".join(f"{-64 * value:.8g}" for value in STRESS_OF_CELL.ravel())
ATOMS = "Si 0 0 0 0.1 0.2 0.3\nSi 1.5 1.5 1.5 -0.1 -0.2 -0.3\n"


def frame(header: str, column: str = "REF_forces", lattice: str = "Lattice") -> str:
    return (
        f'2\n{lattice}="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:{column}:R:3 {header}\n'
        + ATOMS
    )


def alone(header: str, box: float = 20, column: str = ":REF_forces:R:3") -> str:
    return (
        f'1\nLattice="{box} 0 0 0 {box} 0 0 0 {box}" Properties=species:S:1:pos:R:3{column} '
        f"{header}\nSi 0 0 0{' 0 0 0' if column else ''}\n"
    )


def written(folder: Path, *frames: str) -> Path:
    path = folder / "set.xyz"
    path.write_text("".join(frames), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "column"),
    [
        (f'REF_energy=-9 REF_stress="{NINE}"', "REF_forces"),
        (f'REF_energy=-9 REF_stress="{VOIGT}"', "REF_forces"),
        (f'REF_energy=-9 REF_virial="{VIRIAL}"', "REF_forces"),
        (f'REF_energy=-9 REF_virials="{VIRIAL}"', "REF_forces"),
        (f'energy=-9 stress="{NINE}"', "REF_forces"),
        (f'energy=-9 stress="{VOIGT}"', "forces"),  # ASE refuses six
        (f'energy=-9 virial="{VIRIAL}"', "force"),  # NEP
        (f'Energy=-9 Virial="{VIRIAL}" Config_type=x', "force"),
        (f'energy=-9 virials="{VIRIAL}"', "forces"),  # MACE
        (f'dft_energy=-9 dft_virial="{VIRIAL}"', "dft_force"),  # GAP-18
        (f'DFT_energy=-9 virial_dft="{VIRIAL}"', "DFT_forces"),
        (f'energy_pbe=-9 stress_pbe="{VOIGT}"', "forces_pbe"),
        (f'energy=-9 stresses="{NINE}"', "forces"),  # dpdata
        (f'energy=-8.5 free_energy=-9 stress="{NINE}"', "forces"),  # ASE: that of the forces
        (f'free_dft_energy=-9 dft_energy=-8 dft_stress="{VOIGT}"', "dft_forces"),
        (f'REF_energy=-9 energy=-3 stress="{NINE}"', "REF_forces"),  # REF_ wins
        (f'energy=-9 mace_energy=-3 mace_stress="1 0 0 0 1 0 0 0 1" stress="{NINE}"', "forces"),
        (f'energy=-9 virial="{VIRIAL}" stress="{NINE}"', "forces"),  # they agree
        (f'energy=-9 stress="{NINE}" REF_virial="{VIRIAL}"', "forces"),
        (f'energy=-9 stress="{NINE}" stress-unit=eV/Angstrom^3', "forces"),
        (
            f'energy=-9 stress="{NINE}" units="_JSON {{\\"energy\\": \\"eV\\", '
            '\\"stress\\": \\"ev/Ang^3\\"}"',
            "forces",
        ),
    ],
)
def test_every_usual_spelling_gives_the_same_label(
    tmp_path: Path, header: str, column: str
) -> None:
    for lattice in ("Lattice", "lattice"):
        recorded = read_extxyz(written(tmp_path, frame(header, column, lattice)))
        assert recorded.refused == []
        (found,) = recorded.frames
        assert found.info[ENERGY] == -9
        assert np.allclose(found.arrays[FORCES], [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
        assert np.allclose(found.info[STRESS], STRESS_OF_CELL, atol=1e-9)
        assert found.cell[0, 0] == 4
        assert found.pbc.all()
        leftover = {*found.info, *found.arrays} - {ENERGY, FORCES, STRESS}
        assert not any(word in key.lower() for key in leftover for word in ("energy", "virial"))


@pytest.mark.parametrize(
    ("keys", "text", "energy", "stressed"),
    [
        (
            {"energy": "E0", "forces": "F", "virial": "W"},
            frame(f'E0=-9 W="{VIRIAL}"', "F"),
            -9,
            True,
        ),
        ({"energy": "energy"}, frame(f'REF_energy=1 energy=-9 REF_stress="{NINE}"'), -9, True),
        ({"stress": "none"}, frame('REF_energy=-9 REF_stress="1 2"'), -9, False),
        ({"energy": "none"}, frame(f'REF_energy=-9 REF_stress="{VOIGT}"'), None, True),
        ({"stress": "s"}, frame(f'energy=-9 s="{VOIGT}" virial="1"'), -9, True),
    ],
)
def test_keys_name_the_labels(
    tmp_path: Path, keys: dict[str, str], text: str, energy: float | None, stressed: bool
) -> None:
    (found,) = read_extxyz(written(tmp_path, text), ExtxyzKeys(**keys)).frames
    assert found.info.get(ENERGY) == energy
    assert (STRESS in found.info) == stressed
    if stressed:
        assert np.allclose(found.info[STRESS], STRESS_OF_CELL, atol=1e-9)


@pytest.mark.parametrize(
    ("header", "column", "words"),
    [
        ("dft_energy=-9 energy=-8", "forces", "dft_energy and energy with different values"),
        (f'energy=-9 virial="{VIRIAL}" stress="1 0 0 0 1 0 0 0 1"', "forces", "contradict"),
        (f'energy=-9 virial="{VIRIAL.replace("-", "")}" stress="{NINE}"', "forces", "contradict"),
        ('energy=-9 virial="1 2 3 4 5 6"', "forces", "6 numbers for its virial; allowed: nine"),
        ('energy=-9 stress="1 2 3"', "forces", "3 numbers for its stress; allowed: nine, or six"),
        ("energy=T", "forces", "not a number"),
        ('energy="1 2"', "forces", "2 numbers for its energy"),
        ("energy=nan", "forces", "not finite"),
        ("energy=-9 stress-unit=GPa stress=1", "forces", "1 numbers for its stress"),
        (f'energy=-9 stress-unit=GPa stress="{NINE}"', "forces", "convert its stress to eV/Å³"),
        ("energy=-9 energy_unit=hartree", "forces", "convert its energy to eV"),
        ("energy=-9 force-units=Ha/Bohr", "forces", "convert its forces to eV/Å"),
        ("energy=-9 energy=-8", "forces", "energy is given 2 times"),
        (f'stress="{NINE}" energy=-9 stress="{VOIGT}"', "forces", "stress is given 2 times"),
        ("Energy=-9 energy=-8", "forces", "Energy and energy with different values"),
        (f'virial="{VIRIAL}" virials="{NINE}"', "forces", "virial and virials with different"),
        ("REF_energy=-9 ref_energy=-8", "forces", "with different values"),
        ("energy=-9 charge=1", "forces", "states charge = 1; labels are of neutral cells"),
        ("energy=-9 total_charge=-2.0", "forces", "states total_charge = -2; labels are of"),
        ("energy=-9", "speed", "or give their names in `keys`"),
        ("config_type=IsolatedAtom REF_energy=1", "REF_forces", "isolated atom but has 2 atoms"),
        ("energy=-9", "Z:I:1:forces", "lists 8 columns, the lines have 7"),
        ("energy=-9", "forces:R:1000000000:x", "lists 1000000007 columns"),
        ("energy=-9", "forces:R:-3:x", "-3 columns"),
        ("energy=-9", "forces:Q:3:x", "not readable"),
        ('energy="_JSON ' + "[" * 100000 + '"', "forces", "not readable"),
    ],
)
def test_a_frame_that_is_no_label_is_one_loss(
    tmp_path: Path, header: str, column: str, words: str
) -> None:
    sys.setrecursionlimit(100_000)  # as symfc does when it is imported
    good = frame("energy=-9", "forces")
    path = written(tmp_path, good, frame(header, column), good)
    recorded = read_extxyz(path)
    assert len(recorded.frames) == 2
    (line,) = recorded.refused
    assert line.startswith(f"{path}: frame 1 ")
    assert words in line
    assert len(line.splitlines()) == 1


GOOD = frame("energy=-9", "forces")


@pytest.mark.parametrize(
    ("content", "good", "words"),
    [
        (GOOD + GOOD[: -len("Si 1.5 1.5 1.5 -0.1 -0.2 -0.3\n")], 1, "has 1 of its 2 atoms"),
        (GOOD + GOOD[:-20], 1, "of 7 columns"),
        (GOOD + GOOD.replace("2\n", "1000000000\n", 1), 1, "has 2 of its 1000000000 atoms"),
        (GOOD.replace("2\n", "3\n", 1) + GOOD, 1, "has 2 of its 3 atoms"),
        (GOOD.replace("2\n", "1\n", 1) + GOOD, 2, "where the number of atoms is expected"),
        (GOOD.replace("2\n", "-5\n", 1) + GOOD, 1, "has -5 atoms"),
        ("x" * (1 << 23), 0, "line of more than"),
        (GOOD + "\n\n" + GOOD, 2, None),  # ASE ends at the first blank line
        (GOOD + GOOD.replace("Si 1.5", "Qq 1.5"), 1, "unknown element 'Qq'"),
        (GOOD + GOOD.replace("Si 1.5", "Si nan"), 1, "not finite"),
        (GOOD + GOOD.replace("Si 1.5", "Si 1.é"), 1, "not readable"),
    ],
)
def test_the_rest_of_a_damaged_file_is_read(
    tmp_path: Path, content: str, good: int, words: str | None
) -> None:
    recorded = read_extxyz(written(tmp_path, content))
    assert len(recorded.frames) == good
    assert [words in line for line in recorded.refused] == ([True] if words else [])


def test_what_is_no_regular_file_is_refused_at_once() -> None:
    with pytest.raises(PhonsmithError, match="no such regular file"):
        read_extxyz(Path("/dev/zero"))


def test_packed_sets_are_read_and_cut_ones_refused(tmp_path: Path) -> None:
    packed = tmp_path / "set.xyz.gz"
    packed.write_bytes(gzip.compress((GOOD * 20).encode()))
    assert len(read_extxyz(packed).frames) == 20
    packed.write_bytes(packed.read_bytes()[:-30])
    with pytest.raises(PhonsmithError, match=r"set.xyz.gz: cannot be read"):
        read_extxyz(packed)


@pytest.mark.parametrize(
    "text",
    [
        alone("REF_energy=-0.5 config_type=IsolatedAtom", box=5),
        alone("REF_energy=-0.5 config_type=isolated_atom", box=5),
        alone('REF_energy=-0.5 config_type="isolated atom"', box=5),
        alone("energy=-0.5 Config_type=Isolated-Atom", box=5, column=""),
        alone("REF_energy=-0.5 isolated_atom=T", box=5),
        alone("energy=-0.5 config_type=whatever", box=20, column=""),
        '1\nenergy=-0.5 pbc="F F F" Properties=species:S:1:pos:R:3\nSi 0 0 0\n',
    ],
)
def test_isolated_atoms_by_any_spelling(tmp_path: Path, text: str) -> None:
    recorded = read_extxyz(written(tmp_path, text, frame("energy=-9", "forces")))
    first, second = recorded.frames
    assert (first.info["kind"], first.info[ENERGY]) == ("isolated_atom", -0.5)
    assert not first.arrays[FORCES].any()
    assert second.info["kind"] == "recorded"
    assert "1 isolated atom (Si -0.5 eV)" in recorded.found[0]


def test_isolated_atoms_by_a_key_of_ones_own(tmp_path: Path) -> None:
    keys = ExtxyzKeys(isolated_atom="origin=gas")
    path = written(tmp_path, alone("energy=-0.5 origin=gas", box=5), alone("energy=-4", box=4))
    kinds = [cell.info["kind"] for cell in read_extxyz(path, keys).frames]
    assert kinds == ["isolated_atom", "recorded"]


def test_what_was_found_and_what_was_omitted_is_said(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        frame(f'REF_energy=-9 mace_energy=-8 pbc="T T F" REF_virial="{VIRIAL}"') * 2,
        frame(f'energy=-9 REF_virial="{VIRIAL}" energy_sigma=1'),
    )
    assert read_extxyz(path).found == [
        f"{path}: found in 3 frames: 3 energies (2 REF_energy, 1 energy), 3 forces (REF_forces), "
        "1 stresses (REF_virial); omitted: REF_virial (2), mace_energy (2)"
    ]


def test_keys_that_no_frame_has_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, frame("energy=-9", "forces"))
    with pytest.raises(PhonsmithError, match=r"no frame has 'dft_energy'.* energy, forces"):
        read_extxyz(path, ExtxyzKeys(energy="dft_energy"))


def test_keys_are_for_extxyz_alone() -> None:
    source = {"name": "s", "files": {"a": "0" * 64}}
    rest = {"level_of_theory": "PBE", "source": source, "keys": {"energy": "E"}}
    Database(format="extxyz", train_files=["a"], **rest)
    with pytest.raises(ValidationError, match="only `format: extxyz` has keys"):
        Database(format="mlearn", train_files=["a"], **rest)
    with pytest.raises(ValidationError, match="only `format: extxyz` has keys"):
        RecordedReference(method="recorded", format="vasprun", **rest)
    with pytest.raises(ValidationError, match="exclude each other"):
        ExtxyzKeys(stress="s", virial="v")
    with pytest.raises(ValidationError, match="give `train_files`, `test_files` or both"):
        Database(format="extxyz", **rest)


# --- the small inputs of shared/data ------------------------------------------------------------


def test_real_inputs_of_extxyz(shared_data: Path) -> None:
    folder = shared_data / "real-inputs"
    right = read_recorded(folder / "extxyz-the-same-with-ref-stress.xyz", "extxyz", "x").frames
    for name in ("extxyz-ref-virial.xyz", "extxyz-ref-forces-beside-ase-energy.xyz"):
        found = read_recorded(folder / name, "extxyz", "x").frames
        for first, second in zip(right, found, strict=True):
            assert first.info[ENERGY] == pytest.approx(second.info[ENERGY])
            assert np.allclose(first.info[STRESS], second.info[STRESS], atol=1e-8)
    with pytest.raises(PhonsmithError, match="stress-unit = GPa"):
        read_recorded(folder / "extxyz-stress-in-gpa.xyz", "extxyz", "x")


def test_the_isolated_atom_of_a_set_is_the_zero_of_energy(shared_data: Path) -> None:
    from phonsmith.datasets.sets import isolated_energies

    path = shared_data / "real-inputs" / "extxyz-isolated_atom.xyz"
    frames: list[Atoms] = read_recorded(path, "extxyz", "x").frames
    baseline = isolated_energies(frames)
    assert baseline.e0s == {"Si": -0.5}
    assert baseline.origin == "isolated_atoms"


@pytest.mark.parametrize("lattice", ["cell", "unit_cell", "Cell"])
def test_a_lattice_of_another_name_is_not_dropped(tmp_path: Path, lattice: str) -> None:
    (line,) = read_extxyz(written(tmp_path, frame("energy=-9", "forces", lattice))).refused
    assert f"has its lattice as {lattice}, which is not read; rename it to Lattice" in line


def test_what_is_said_twice_alike_or_is_no_label_is_read(tmp_path: Path) -> None:
    header = 'energy=-9 Energy=-9 charge=0 note="energy=1 energy=2" step=1 step=1 charge_max=3'
    assert len(read_extxyz(written(tmp_path, frame(header, "forces"))).frames) == 1


def test_energy_and_stress_of_zero_were_not_computed(tmp_path: Path) -> None:
    zeros = " ".join(6 * ["0.0"])
    path = written(
        tmp_path,
        frame(f'energy=0 stress="{zeros}"', "forces"),
        frame(f'energy=-9 stress="{zeros}"', "forces"),
        frame(f'energy=0.0 virial="{" ".join(9 * ["0"])}"', "forces"),
        alone("config_type=IsolatedAtom energy=0", column=""),
    )
    read = read_extxyz(path)
    assert [ENERGY in one.info for one in read.frames] == [False, True, False, True]
    assert not any(STRESS in one.info for one in read.frames)
    assert "omitted: energy of zero (2), stress of zero (2), virial of zero (1)" in read.found[0]


def marked(atoms: Atoms, pbc: str) -> str:
    """A frame with forces of zero under this ``pbc``."""
    lattice = " ".join(str(number) for number in atoms.cell[:].ravel())
    rows = "".join(
        f"{atom.symbol} {' '.join(str(number) for number in atom.position)} 0 0 0\n"
        for atom in atoms
    )
    columns = "species:S:1:pos:R:3:forces:R:3"
    return f'{len(atoms)}\nLattice="{lattice}" energy=-9 pbc="{pbc}" Properties={columns}\n{rows}'


def with_vacuum(atoms: Atoms, vacuum: float) -> Atoms:
    """The atoms of a cell in a box with empty space around them."""
    cluster = atoms.copy()
    cluster.center(vacuum=vacuum)
    return cluster


CUBE = bulk("Si", cubic=True)


@pytest.mark.parametrize(
    ("atoms", "pbc"),
    [
        (CUBE, "F F F"),
        (CUBE, "T T F"),
        (bulk("Al"), "F F F"),  # not an isolated atom
        (bulk("NaCl", "rocksalt", a=5.64), "F F F"),
    ],
)
def test_crystals_that_are_marked_as_clusters_are_refused(
    tmp_path: Path, atoms: Atoms, pbc: str
) -> None:
    (line,) = read_extxyz(written(tmp_path, marked(atoms, pbc))).refused
    assert f'has pbc="{pbc}", but its atoms are' in line
    assert 'write pbc="T T T"' in line


@pytest.mark.parametrize(
    ("atoms", "pbc"),
    [
        (CUBE, "T T T"),
        (with_vacuum(CUBE, 4.0), "F F F"),
        (with_vacuum(CUBE, 0.0), "F F F"),  # images would overlap
        (Atoms("Si", cell=(10, 10, 10)), "F F F"),
    ],
)
def test_clusters_are_clusters(tmp_path: Path, atoms: Atoms, pbc: str) -> None:
    assert len(read_extxyz(written(tmp_path, marked(atoms, pbc))).frames) == 1


@pytest.mark.parametrize(
    ("free", "fixed", "force", "refused"),
    [
        ("T", "F", "0 0 0", True),
        ("T", "F", "-0.1 0 -0.3", False),  # its force is there
        ("T T T", "F F T", "0 0 -0.3", True),
        ("T T T", "T T F", "0 0 -0.3", False),
    ],
)
def test_zeros_of_fixed_atoms_are_no_forces(
    tmp_path: Path, free: str, fixed: str, force: str, refused: bool
) -> None:
    columns = len(free.split())
    text = (
        '2\nLattice="4 0 0 0 4 0 0 0 4" energy=-9 '
        f"Properties=species:S:1:pos:R:3:move_mask:L:{columns}:REF_forces:R:3\n"
        f"Si 0 0 0 {free} 0.1 0.2 0.3\nSi 1.5 1.5 1.5 {fixed} {force}\n"
    )
    read = read_extxyz(written(tmp_path, text))
    assert len(read.refused) == refused
    if refused:
        assert "zeros for the forces of atoms that were fixed (move_mask)" in read.refused[0]
    else:
        assert read.frames[0].arrays[FORCES][1, 2] == -0.3
