"""Recorded VASP runs: which of them are labels."""

import gzip
import lzma
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.checks import energy_outliers, labelled
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers import vasp_run, vasprun
from phonsmith.labels.recorded.readers.vasp import read_outcar, read_vasprun
from phonsmith.labels.recorded.readers.vasp_run import element_of
from phonsmith.labels.recorded.reading import read_recorded

Edit = Callable[[str], str]


@pytest.fixture
def real(shared_data: Path) -> Path:
    return shared_data / "real-inputs/vasp"


@pytest.fixture
def good(real: Path) -> str:
    """A static run of 64 silicon atoms."""
    return (real / "vasprun.kinter.xml").read_text()


def outcar(shared_data: Path) -> str:
    folder = shared_data / "sn-alpha-vasp/dft_rattle_static_1_1_mp-117_1.0_0_65/outputs"
    return gzip.decompress((folder / "OUTCAR.gz").read_bytes()).decode()


def one_refusal(path: Path, reader: Callable = read_vasprun) -> str:
    recorded = reader(path)
    assert recorded.frames == []
    (line,) = recorded.refused
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", ["vasprun.kinter.xml", "vasprun.algo-38.xml"])
def test_what_no_label_needs_may_be_unreadable(real: Path, name: str) -> None:
    (frame,) = read_vasprun(real / name).frames
    expected = read(real / "vasprun.algo-38.xml", index=-1)
    free = expected.get_potential_energy(force_consistent=True)
    assert frame.info[ENERGY] == pytest.approx(free, abs=1e-8)
    assert np.allclose(frame.arrays[FORCES], expected.get_forces(), atol=1e-8)
    assert np.allclose(frame.info[STRESS], expected.get_stress(voigt=False), atol=1e-7)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vasprun.bands-icharg11.xml", "not self-consistent: ICHARG = 11"),
        ("vasprun.vca-two-atoms-on-a-site.xml.xz", "virtual crystal"),
        ("OUTCAR.nelm-hit-vasp544", "did not converge within NELM = 8 steps"),
    ],
)
def test_runs_that_are_no_labels_are_refused(real: Path, name: str, reason: str) -> None:
    reader = read_outcar if name.startswith("OUTCAR") else read_vasprun
    assert reason in one_refusal(real / name, reader)


def test_converged_steps_of_dynamics_are_labels(real: Path) -> None:
    path = real / "vasprun.md-one-step-unconverged.xml"
    recorded = read_vasprun(path)
    assert len(recorded.frames) == 2
    assert recorded.refused == [
        f"{path}: ionic step 1: the electronic loop did not converge within NELM = 21 steps"
    ]


def with_parameter(name: str, value: str) -> Edit:
    """The value of a parameter, added where the file has none of this name."""

    def edit(text: str) -> str:
        pattern = rf'(<i [^>]*name="{name}"[^>]*>)[^<]*(</i>)'
        head, parameters = text.split("<parameters>", 1)
        if re.search(pattern, parameters):
            parameters = re.sub(pattern, rf"\g<1>{value}\g<2>", parameters)
        else:
            parameters = f'\n  <i name="{name}">{value}</i>{parameters}'
        return f"{head}<parameters>{parameters}"

    return edit


def with_incar(name: str, value: str) -> Edit:
    return lambda text: text.replace(
        "</incar>", f'  <i type="string" name="{name}">{value}</i>\n </incar>'
    )


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        *((with_parameter("ICHARG", str(n)), f"ICHARG = {n}") for n in (10, 11, 12)),
        *((with_parameter("IALGO", str(n)), f"ALGO = {n}") for n in (2, 3, 4, 90)),
        *(
            (with_incar("ALGO", name), f"ALGO = {name}")
            for name in (
                *("None", "Nothing", "Eigenval", "Exact", "Subrot", "CHI", "GW0", "EVGW", "BSE"),
                *("TDHF", "TIMEEV", "ACFDT", "RPA", "CRPA", "2E4W"),
            )
        ),
        (with_parameter("PSTRESS", "50.0"), "PSTRESS = 50 kbar"),
        (with_parameter("IMAGES", "4"), "IMAGES = 4"),
        (with_incar("VCA", "0.5 0.5"), "virtual crystal"),
        (with_incar("LSOL", "T"), "implicit solvent"),
        (with_parameter("EFIELD", "0.1"), "electric field"),
        (with_incar("EFIELD_PEAD", "0.01 0 0"), "electric field"),
        (with_parameter("I_CONSTRAINED_M", "1"), "constrained moments"),
        (with_parameter("IBRION", "44"), "saddle point"),
        (with_incar("METAGGA", "MBJ"), "without an energy"),
        (with_parameter("ISMEAR", "-2"), "ISMEAR = -2"),
        (with_parameter("ICORELEVEL", "2"), "hole in its core"),
        (with_parameter("SCALEE", "0.5"), "SCALEE"),
        (with_incar("ML_LMLFF", "T"), "machine-learned force field"),
        (with_parameter("NELECT", "257.0"), "charged: NELECT = 257 electrons, 256 are neutral"),
    ],
)
def test_settings_that_make_no_labels(tmp_path: Path, good: str, edit: Edit, reason: str) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(edit(good))
    assert reason in one_refusal(path)


@pytest.mark.parametrize(
    "edit",
    [
        *(with_incar("ALGO", name) for name in ("38", "Normal", "N", "fast", "VeryFast", "A")),
        with_incar("ALGO", "All      ! SCF Combo"),
        *(with_parameter("IALGO", str(number)) for number in (48, 53, 58, 68)),
        *(with_incar(name, "T") for name in ("LOPTICS", "LAECHG", "LORBIT", "LCALCPOL")),
        with_parameter("ICHARG", "1"),
        with_parameter("IDIPOL", "3"),
        with_parameter("NBANDS", "*****"),
        with_parameter("EDIFFG", "********"),
    ],
)
def test_settings_that_do_not_matter(tmp_path: Path, good: str, edit: Edit) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(edit(good))
    assert len(read_vasprun(path).frames) == 1


def test_a_pressure_without_its_tensor_is_no_stress(tmp_path: Path, good: str) -> None:
    path = tmp_path / "vasprun.xml"
    path.write_text(with_parameter("ISIF", "1")(good))
    (frame,) = read_vasprun(path).frames
    assert STRESS not in frame.info


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (r'(.*)<i name="e_fr_energy">[^<]*</i>', r"\1", "no free energy"),
        (r'(<varray name="forces" >\s*<v>)[^<]*', r"\1 ******** 0.0 0.0 ", "forces cannot be"),
        (r'(<varray name="stress" >\s*<v>)[^<]*', r"\1 ******** 0.0 0.0 ", "stress cannot be"),
        (r'(<varray name="stress" >\s*<v>)[^<]*', r"\1 10.0 20.0 0.0 ", "not symmetric"),
        (r'<varray name="forces" >.*?</varray>', "", "no forces"),
        (r"<calculation>.*</calculation>", "", "no finished ionic step"),
        (r"<atominfo>.*?</atominfo>", "", "no <atominfo>"),
        (r"<c>Si</c>", "<c>Qq</c>", None),
        (r"PAW_PBE Si 05Jan2001", "PAW_PBE Qq 05Jan2001", None),
        (r"</modeling>", "", "not a complete vasprun.xml"),
    ],
)
def test_one_missing_thing_is_one_refusal_in_words(
    tmp_path: Path, good: str, old: str, new: str, reason: str | None
) -> None:
    text = re.sub(old, new, good, flags=re.DOTALL)
    assert text != good
    path = tmp_path / "vasprun.xml"
    path.write_text(text)
    if reason is None:  # either name of the element does
        assert set(read_vasprun(path).frames[0].symbols) == {"Si"}
    else:
        assert reason in one_refusal(path)


@pytest.mark.parametrize(
    ("symbol", "title", "element"),
    [
        ("Zr", "PAW_PBE Zr_sv 04Jan2005", "Zr"),
        ("r ", "PAW_PBE Zr_sv 04Jan2005", "Zr"),
        ("X ", "PAW_PBE Xe 07Sep2000", "Xe"),
        ("H ", "PAW_PBE H_h 06Feb2004", "H"),
        ("Ti", "", "Ti"),
        ("", "PAW Si 02Apr1999", "Si"),
    ],
)
def test_elements_of_species(symbol: str, title: str, element: str) -> None:
    assert element_of(symbol, title) == element


def test_an_unknown_species_is_refused() -> None:
    with pytest.raises(LabelFailed, match="'Qq'"):
        element_of("Qq", "PAW_PBE Qq 2000")


@pytest.mark.parametrize("name", ["H1.25", "H.5", "H.75"])
def test_pseudo_hydrogen_is_no_hydrogen(name: str) -> None:
    with pytest.raises(LabelFailed, match=f"pseudo-hydrogen \\({name}\\)"):
        element_of("H ", f"PAW_PBE {name} 07Sep2000")


def test_one_bad_file_never_ends_the_set(
    tmp_path: Path, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vasprun.good.xml").write_text(good)
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    entities = f'<!DOCTYPE modeling [<!ENTITY a0 "lol">{bomb}]>'
    (tmp_path / "vasprun.bomb.xml").write_text(
        good.replace("<modeling>", f"{entities}<modeling>").replace("<time", "&a9;<time", 1)
    )
    (tmp_path / "vasprun.outside.xml").write_text(
        '<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/hostname">]><modeling>&x;</modeling>'
    )
    (tmp_path / "vasprun.empty.xml").write_bytes(b"")
    (tmp_path / "vasprun.cut.xml.gz").write_bytes(gzip.compress(good.encode())[:-500])
    (tmp_path / "vasprun.flat.xml.xz").write_bytes(lzma.compress(b"<modeling>" + b"<a/>" * 500_000))
    (tmp_path / "vasprun.deep.xml").write_bytes(b"<modeling>" + b"<a>" * 100_000)
    monkeypatch.setattr(vasprun, "LARGEST_STRETCH_BYTES", 1 << 20)
    recorded = read_recorded(tmp_path, "vasprun", "x")
    assert len(recorded.frames) == 1
    assert len(recorded.refused) == 6
    assert all("\n" not in line and len(line) < 500 for line in recorded.refused)
    assert any("1 MiB without anything of a VASP run" in line for line in recorded.refused)


def test_a_file_of_zeros_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phonsmith.labels.recorded.readers.outcar.LARGEST_BYTES", 4 << 20)
    (tmp_path / "OUTCAR.gz").write_bytes(gzip.compress(bytes(8 << 20)))
    assert "holds more than 4 MiB" in one_refusal(tmp_path / "OUTCAR.gz", read_outcar)
    os.mkfifo(tmp_path / "vasprun.xml")
    assert "not a regular file" in one_refusal(tmp_path / "vasprun.xml")


def test_whatever_a_parser_raises_is_a_refusal(
    tmp_path: Path, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vasprun.xml").write_text(good)

    def fails(*_: object) -> None:
        raise RecursionError("deep\nwater")

    monkeypatch.setattr("phonsmith.labels.recorded.readers.vasp.judged", fails)
    line = one_refusal(tmp_path / "vasprun.xml")
    assert "cannot be read (RecursionError: deep water)" in line
    assert "repair or remove the file" in line


def test_outcars_of_other_layouts(tmp_path: Path, shared_data: Path) -> None:
    text = outcar(shared_data)
    (expected,) = read_outcar_text(tmp_path, text).frames
    counts = re.search(r"ions per type =\s+64\n", text)
    assert counts
    # two species of one element, their numbers on two lines
    potcar = re.search(r"^   TITEL  =.*$", text, re.MULTILINE)
    zval = re.search(r"^.*ZVAL.*mass.*$", text, re.MULTILINE)
    assert potcar
    assert zval
    two = text.replace(counts[0], "ions per type =              32\n              32\n", 1)
    two = two.replace(potcar[0], f"{potcar[0]}\n{potcar[0]}", 1)
    two = two.replace(zval[0], f"{zval[0]}\n{zval[0]}", 1)
    dispersion = re.sub(
        r"( POSITION +TOTAL-FORCE \(eV/Angst\))", r"\1,    FORCE-w/o vdW (eV/Angst)", text
    )
    dispersion = re.sub(
        r"(?<=-\n)((?: +-?\d+\.\d{5}){3}(?: +-?\d+\.\d{6}){3})\n", r"\1  0.0 NaN 9.9\n", dispersion
    )
    dispersion = dispersion.replace(
        " eV\n\n  energy  without", " eV  w/o vdW = -1.0\n\n  energy  without"
    )
    for changed in (two, dispersion):
        assert changed != text
        (frame,) = read_outcar_text(tmp_path, changed).frames
        assert frame.info[ENERGY] == expected.info[ENERGY]
        assert np.array_equal(frame.arrays[FORCES], expected.arrays[FORCES])


def read_outcar_text(folder: Path, text: str):
    (folder / "OUTCAR").write_text(text)
    return read_outcar(folder / "OUTCAR")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (r"ICHARG =      2", "ICHARG =     11", "ICHARG = 11"),
        (r"IALGO  =     38", "IALGO  =     90", "ALGO = 90"),
        (r"NELM   =    200", "NELM   =      9", "within NELM = 9 steps"),
        (r"EDIFF  = 0.1E-06", "EDIFF  = 0.1E-14", "its last step changed the energy"),
        (r"PSTRESS=    0.0", "PSTRESS=   50.0", "PSTRESS = 50"),
        (r"NELECT =     896.0000", "NELECT =     895.0000", "charged"),
        (r"VCA    =   1.00", "VCA    =   0.50", "virtual crystal"),
        (r"(number of ions     NIONS =)\s+64", r"\1     65", "NIONS do not match"),
        (r"POSITION   ", "   CHAIN-FORCES (eV/Angst)\n POSITION   ", "image of a path"),
        (r"TOTAL-FORCE \(eV/Angst\)", "NOTHING", "NWRITE = 0"),
    ],
)
def test_outcars_that_are_no_labels(
    tmp_path: Path, shared_data: Path, old: str, new: str, reason: str
) -> None:
    text = outcar(shared_data)
    changed = re.sub(old, new, text)
    assert changed != text
    recorded = read_outcar_text(tmp_path, changed)
    assert recorded.frames == []
    assert reason in recorded.refused[0]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (with_parameter("GGA", "PS"), "the functional is PBE in .* and PBEsol in"),
        (with_parameter("ENMAX", "520.0"), "ENCUT is 300 eV in .* and 520 eV in"),
        (with_parameter("ISPIN", "2"), "spin is off in .* and on in"),
        (with_incar("IVDW", "12"), "the functional is PBE in"),
        (
            lambda text: text.replace("PAW_PBE Si 05Jan2001", "PAW_PBE Si_sv 05Jan2001"),
            "the POTCAR of Si is PAW_PBE Si 05Jan2001 in",
        ),
        (
            lambda text: re.sub(
                r'(name="divisions" type="int">|name="divisions">)[^<]*', r"\1 9 9 9 ", text
            ),
            "distance of k-points of Si64",
        ),
    ],
)
def test_a_mixed_set_is_refused_and_names_what_differs(
    tmp_path: Path, good: str, edit: Edit, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edit(good) != good
    (tmp_path / "vasprun.a.xml").write_text(good)
    (tmp_path / "vasprun.b.xml").write_text(edit(good))
    with pytest.raises(PhonsmithError, match=words) as caught:
        read_recorded(tmp_path, "vasprun", "x")
    assert "allow_mixed_levels_of_theory" in str(caught.value)
    assert len(read_recorded(tmp_path, "vasprun", "x", allow_mixed=True).frames) == 2
    assert "level of theory found in 2 runs: VASP PBE, ENCUT 300 eV" in capsys.readouterr().out


def test_an_energy_far_off_all_others_is_found() -> None:
    rng = np.random.default_rng(1)
    frames = []
    for index in range(30):
        formula = ("Si2", "SiO2", "O2", "Si3O")[index % 4]
        atoms = Atoms(formula, positions=rng.random((len(Atoms(formula)), 3)) * 9)
        counts = {s: list(atoms.symbols).count(s) for s in set(atoms.symbols)}
        energy = sum({"Si": -8000.0, "O": -2000.0}[s] * n for s, n in counts.items())
        frames.append(labelled(atoms, "x", energy + rng.normal() * len(atoms), atoms.positions))
    assert energy_outliers(frames) == {}
    frames[7].info[ENERGY] += 500 * len(frames[7])
    ((index, deviation),) = energy_outliers(frames).items()
    assert index == 7
    assert deviation == pytest.approx(500, abs=5)
    # two cells of one formula cannot tell which of them is right
    assert energy_outliers(frames[:2]) == {}


def test_bounds_of_streams() -> None:
    import io

    stream = vasp_run.Bounded(io.BytesIO(bytes(5 << 20)), 10 << 20, 2 << 20)
    with pytest.raises(LabelFailed, match="2 MiB without anything"):
        while stream.read(1 << 20):
            pass
