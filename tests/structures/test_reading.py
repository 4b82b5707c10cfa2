"""Crystal files as people have them: read as they mean it, or refused in one line."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk

from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.reading import check_structure, read_structure
from phonsmith.structures.symmetry import space_group
from tests.structures.examples import (
    BOX,
    CUBE,
    DEUTERIUM,
    FM3M,
    INVERSION,
    LATTICE,
    NACL,
    PAIR,
    cif,
    refused,
)

REAL_INPUTS = {  # formula, Å³, number of the space group; or words of the message
    "cif-symbols-in-capitals.cif": ("Si8", 160.10, 227),
    "cif-rhombohedral-setting-without-operations.cif": ("Bi2", 70.76, 166),
    "cif-second-origin-without-operations.cif": ("Si8", 160.10, 227),
    "cif-p21n-without-operations.cif": ("Si4", 206.81, 14),
    "cif-p21n-truth-with-operations.cif": ("Si4", 206.81, 14),
    "cif-old-name-with-operations.cif": ("Si4", 206.81, 14),
    "cif-hydrogens-not-located.cif": "the hydrogens were not located",
    "cif-occupancy-unknown.cif": "atom site Na1: unknown occupancy '.'; write 1",
    "cif-deuterium.cif": ("H4Li4", 66.92, 225),
    "poscar-deuterium.vasp": ("HLi", 16.73, 225),
    "poscar-fortran-exponent.vasp": ("Si2", 40.03, 227),
    "poscar-numbered-symbols.vasp": ("Fe2", 21.95, 229),
    "poscar-symbols-over-two-lines.vasp": ("CrFeNi", 64.0, 47),
    "cif-angle-missing.cif": "line 5: not a readable CIF (_cell_angle_alpha has no value)",
    "cif-label-wat.cif": "atom site Wat1: 'Wat' is not an element; give its oxygen and hydrogen",
}


@pytest.mark.parametrize("name", REAL_INPUTS)
def test_real_inputs(shared_data: Path, name: str) -> None:
    path, right = shared_data / "real-inputs" / name, REAL_INPUTS[name]
    if isinstance(right, str):
        refused(path, right)
        return
    crystal = read_structure(path)
    found = (crystal.get_chemical_formula(), crystal.get_volume(), space_group(crystal, 1e-2)[0])
    assert found == (right[0], pytest.approx(right[1], abs=0.01), right[2])
    masses = crystal.get_masses()[crystal.numbers == 1]
    assert masses == pytest.approx([DEUTERIUM] * len(masses), abs=1e-3)


def test_every_crystal_among_the_real_inputs_has_a_row(shared_data: Path) -> None:
    folder = shared_data / "real-inputs"
    assert {one.name for form in ("*.cif", "poscar-*") for one in folder.glob(form)} == {
        *REAL_INPUTS
    }


def test_p21n_by_its_name_is_that_of_its_operations(shared_data: Path) -> None:
    names = ("cif-p21n-without-operations.cif", "cif-p21n-truth-with-operations.cif")
    one, other = (read_structure(shared_data / "real-inputs" / name) for name in names)
    for crystal in (one, other):
        distances = crystal.get_all_distances(mic=True)
        assert distances[distances > 0].min() == pytest.approx(3.48, abs=0.01)
    assert sorted(map(tuple, one.positions.round(6))) == sorted(
        map(tuple, other.positions.round(6))
    )


def test_equivalent_atoms_have_one_mass() -> None:
    atoms = bulk("Si", cubic=True)
    atoms.set_masses([29.0] + 7 * [28.0])
    with pytest.raises(PhonsmithError, match=r"here: atoms 0 and 1 .* masses of 29 and 28 u"):
        check_structure(atoms, "here")


@pytest.mark.parametrize("name", ["POSCAR", "a.cif", "a.xyz"])
def test_pipes_devices_and_bombs_are_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, "no such structure file (a pipe or device)")
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    refused(tmp_path / name, "no such structure file (a pipe or device)")
    (tmp_path / name).unlink()
    with (tmp_path / name).open("wb") as stream:  # 1 GB on no disk
        stream.truncate(10**9)
    refused(tmp_path / name, "more than 20 MB")
    (tmp_path / name).write_bytes(b"Si\0" * 100)
    refused(tmp_path / name, "not a text file")


def test_a_compressed_file_that_grows_is_refused(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "POSCAR.gz"
    path.write_bytes(gzip.compress(b" " * 10**8))
    refused(path, "more than 20 MB")
    path.write_bytes(gzip.compress(f"t\n1.0\n{BOX}\nFe\n2\nDirect\n{PAIR}\n".encode()))
    assert len(read_structure(path)) == 2
    path.write_bytes(b"no gzip")
    refused(path, "cannot be read")


@pytest.mark.parametrize("scale", [1e-4, 0.01, 0.1, 30])
def test_crystals_in_wrong_units_are_refused_at_once(scale: float) -> None:
    atoms = bulk("Si", cubic=True)
    atoms.set_cell(atoms.cell[:] * scale, scale_atoms=True)
    with pytest.raises(PhonsmithError, match="must be in Å"):
        check_structure(atoms, "here")


def seeds() -> Iterator[tuple[str, bytes]]:
    yield "POSCAR", f"t\n1.0\n{BOX}\nFe_pv Cr\n1 1\nSelective\nDirect\n{PAIR}\n".encode()
    yield "POSCAR", f"SiO2\n-64\n{BOX}\n1 2\nCartesian\n{PAIR}\n3 0 0\n".encode()
    yield "a.xyz", f'2\n{LATTICE} pbc="T T T"\nNa 0 0 0\nCl 2 2 2\n'.encode()
    yield "a.cif", cif(CUBE, NACL, *FM3M, "_chemical_formula_sum 'Cl Na'").encode()
    yield "a.cif", cif("5 6 7 90 100 90", ["Si1 Si .1 .2 .3"], operations=INVERSION).encode()


def spoiled(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Cut, bits flipped, lines moved or doubled, or merged with another file."""
    text = bytearray(content)
    kind = chance.choice(["cut", "flip", "number", "lines", "merge"])
    if kind == "cut":
        return bytes(text[: chance.randrange(len(text))])
    if kind == "flip":
        for _ in range(chance.randint(1, 8)):
            text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
        return bytes(text)
    if kind == "number":
        words = content.split(b" ")
        words[chance.randrange(len(words))] = chance.choice(
            [b"1e300", b"-1", b"0", b"nan", b"inf", b"99999999999", b"1d5", b"?", b".", b"'", b"\n"]
        )
        return b" ".join(words)
    lines = content.splitlines(keepends=True)
    if kind == "lines":
        for _ in range(chance.randint(1, 3)):
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
            lines.pop(chance.randrange(len(lines)))
        return b"".join(lines)
    other = chance.choice(others)
    return content[: chance.randrange(len(text))] + other[chance.randrange(len(other)) :]


@pytest.mark.parametrize("seed", range(8))
def test_a_spoiled_file_is_a_crystal_or_one_line(
    tmp_path: Path, shared_data: Path, seed: int
) -> None:
    """A minute at most for all of them; a hang would end the test."""
    chance = random.Random(seed)
    real = [
        ("POSCAR" if path.name.startswith("poscar") else "a.cif", path.read_bytes())
        for path in sorted((shared_data / "real-inputs").iterdir())
        if path.name in REAL_INPUTS
    ]
    every = [*seeds(), *real]
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("a file is read without end"))
    signal.alarm(60)
    crystals = 0
    for _ in range(60):
        name, content = chance.choice(every)
        path = tmp_path / name
        path.write_bytes(spoiled(content, [other for _, other in every], chance))
        try:
            crystal = read_structure(path)
        except PhonsmithError as error:
            assert "\n" not in str(error)
        else:
            crystals += 1
            assert isinstance(crystal, Atoms)
            assert np.isfinite(crystal.positions).all()
    signal.alarm(0)
    assert crystals > 0


@pytest.mark.parametrize(("isotopes", "good"), [([False], True), ([False, True], False)])
@pytest.mark.parametrize("name", ["cif-deuterium.cif", "poscar-deuterium.vasp"])
def test_natural_isotopes_are_refused_beside_deuterium(
    shared_data: Path, tmp_path: Path, name: str, isotopes: list[bool], good: bool
) -> None:
    """At planning: phono3py would scatter by natural hydrogen's isotopes."""
    campaign = {
        "structures": {"lid": {"file": str(shared_data / "real-inputs" / name)}},
        "reference": {"method": "calculator", "potential": {"calculator": "chgnet"}},
        "conductivity": {"isotopes": isotopes},
    }
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(campaign))
    if good:
        check_inputs(load_campaign(path), path, [])
        return
    with pytest.raises(PhonsmithError, match=r"lid: conductivity.isotopes: .*\(H of 2.014 u\)"):
        check_inputs(load_campaign(path), path, [])
