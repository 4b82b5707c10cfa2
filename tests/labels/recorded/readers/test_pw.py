"""Recorded outputs of pw.x: which of them are labels, and their level of theory."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, sha256_of
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.espresso import read_espresso
from phonsmith.labels.recorded.readers.pw import read_pw
from phonsmith.labels.recorded.reading import load_recorded, read_recorded
from phonsmith.labels.recorded.settings import RecordedReference

GOOD = "default_xml_241015"
XML, TEXT = "data-file-schema.xml", "aiida.out"


@pytest.fixture
def run(tmp_path: Path, shared_data: Path) -> Path:
    """A copy of the good run, to be changed."""
    folder = tmp_path / "runs" / "a"
    shutil.copytree(shared_data / "qe-outputs" / GOOD, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    return folder


SITES = """
     Cartesian axes

     site n.     atom                  positions (alat units)
         1        Si     tau(   1) = (   0.0000000   0.0000000   0.0000000  )
         2        Si     tau(   2) = (   0.2500000   0.2500000   0.2500000  )
"""
"""What pw.x prints with more verbosity; the recorded text does not list its atoms."""


def with_atoms(run: Path) -> None:
    (run / XML).unlink()
    change(run / TEXT, r"(\n +48 Sym. Ops.)", SITES + r"\1")


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    changed = re.sub(old, new, text, flags=re.DOTALL)
    assert changed != text
    file.write_text(changed)


def refusal(path: Path) -> str:
    recorded = read_espresso(path)
    assert recorded.frames == []
    (line,) = recorded.refused
    assert "\n" not in line
    return line


def test_labels_are_those_of_the_pipelines_own_runs(run: Path) -> None:
    truth = read_pw((run / TEXT).read_text(), run / XML, 1e-9)
    recorded = read_recorded(run.parent, "espresso", "si", "Quantum ESPRESSO PBEsol")
    (frame,) = recorded.frames
    assert frame.info[ENERGY] == truth.energy
    assert np.array_equal(frame.arrays[FORCES], truth.forces)
    assert np.array_equal(frame.info[STRESS], truth.stress)
    assert np.array_equal(frame.positions, truth.atoms.positions)
    # the text alone has fewer digits
    with_atoms(run)
    (text,) = read_espresso(run).frames
    assert text.info[ENERGY] == pytest.approx(truth.energy, abs=1e-5)
    assert np.allclose(text.arrays[FORCES], truth.forces, atol=1e-5)
    assert np.allclose(text.info[STRESS], truth.stress, atol=1e-6)
    assert np.allclose(text.cell[:], truth.atoms.cell[:], atol=1e-3)
    (run / TEXT).unlink()
    with pytest.raises(PhonsmithError, match=r"no file data-file-schema\.xml or"):
        read_espresso(run)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("failed_computing_cholesky", "no output of pw.x"),
        ("failed_interrupted", "did not finish"),
        ("failed_out_of_walltime", "out of time"),
        ("failed_scf_not_converged", "SCF did not converge"),
    ],
)
def test_failed_runs_never_become_labels(shared_data: Path, name: str, reason: str) -> None:
    assert reason in refusal(shared_data / "qe-outputs" / name)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (r"<calculation>scf<", "<calculation>nscf<", "calculation = 'nscf'"),
        (r"<calculation>scf<", "<calculation>vc-md<", "calculation = 'vc-md'"),
        (r"<calculation>scf<", "<calculation>relax<", "relaxation did not converge"),
        (r"<exit_status>0<", "<exit_status>255<", "exit status 255"),
        (r"<convergence_achieved>true<", "<convergence_achieved>false<", "did not converge"),
        (r"<tot_charge>[^<]*<", "<tot_charge>1.0<", "charged"),
        (r"(<forces [^>]*>).*?</forces>", r"\1</forces>", "no forces"),
        (r"(<etot>)[^<]*", r"\g<1>-12.0", "another energy"),
        (r"</qes:espresso>", "", "damaged"),
        (r"(</control_variables>)", r"\1<electric_field></electric_field>", "electric field"),
        (
            r"(<free_positions [^>]*>\s+)1",
            r"\g<1>0",
            "zeros for the forces of atoms that were fixed",
        ),
        (
            r"(<free_positions)",
            r"<external_atomic_forces>0 0 0 0 0 1.0E-2</external_atomic_forces>\1",
            "ATOMIC_FORCES",
        ),
        (r"<remove_rigid_rot>false<", "<remove_rigid_rot>true<", "remove_rigid_rot"),
        (r"<occupations>smearing<", "<occupations>from_input<", "no ground state"),
        (
            r"(<free_positions)",
            r"<spin_constraints><spin_constraints>atomic</spin_constraints></spin_constraints>\1",
            "constrained_magnetization",
        ),
        (r"<rism>false<", "<rism>true<", "in a solvent"),
        (r"<twochem>false<", "<twochem>true<", "two Fermi levels"),
    ],
)
def test_xml_files_that_are_no_labels(run: Path, old: str, new: str, reason: str) -> None:
    change(run / XML, old, new)
    assert reason in refusal(run)
    if reason != "another energy":
        (run / TEXT).unlink()
        assert reason in refusal(run)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (r"tau\(", "", "does not list its atoms"),
        (r"JOB DONE", "", "did not finish"),
        (r"(number of electrons +=) +\S+", r"\1 9.00", "charged"),
        (r"Forces acting on atoms", "Nothing", "no forces"),
        (r"estimated scf accuracy +< +\S+ Ry(?=.{0,400}convergence has)", None, "an accuracy of"),
        (r"(Self-consistent Calculation)", r"Band Structure Calculation \1", "not self-cons"),
        (r"(Self-consistent Calculation)", r"BFGS Geometry Optimization \1", "relaxation did not"),
        (
            r"(!    total energy)",
            r"     constraint energy (Ryd) =      0.00012\n\1",
            "constrained_magnetization",
        ),
        (
            r"(Self-consistent Calculation)",
            r"\1\n     Effective Screening Medium Method",
            "assume_isolated",
        ),
        (
            r"(Self-consistent Calculation)",
            r"\1\n     Assuming isolated system, Martyna-Tuckerman method",
            "assume_isolated",
        ),
        (
            r"(Self-consistent Calculation)",
            r"\1\n  The code is running with the 2D cutoff",
            "assume_isolated",
        ),
        (
            r"(Self-consistent Calculation)",
            r"\1\n     External forces energy    =      -0.46173430 Ry",
            "ATOMIC_FORCES",
        ),
        (
            r"(Self-consistent Calculation)",
            r"\1\n  employing two chemical potentials, one for electrons and one for holes.",
            "two Fermi levels",
        ),
        (r"(Self-consistent Calculation)", r"\1\n     Occupations read from input", "no ground"),
        (r"(Self-consistent Calculation)", r"\1\n     Environ Module\n", "in a solvent"),
    ],
)
def test_texts_that_are_no_labels(run: Path, old: str, new: str | None, reason: str) -> None:
    with_atoms(run)
    new = "estimated scf accuracy    <       0.1E-03 Ry" if new is None else new
    change(run / TEXT, old, new)
    assert reason in refusal(run)


def test_a_text_of_a_bad_end_spoils_a_good_xml(run: Path) -> None:
    """The XML file may be left by an earlier run."""
    change(run / TEXT, "JOB DONE", "")
    assert "did not finish" in refusal(run)


def test_one_bad_file_never_ends_the_set(run: Path) -> None:
    bad = run.parent / "b"
    bad.mkdir()
    (bad / "x.xml").write_text("<qes:espresso " + "x" * 100)
    (bad / "pw.out").write_bytes(b"Program PWSCF \xff\xfe")
    recorded = read_espresso(run.parent)
    assert (len(recorded.frames), len(recorded.refused)) == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (r"<functional>PBESOL<", "<functional>PBE<", "the functional is PBEsol in .* and PBE in"),
        (r"(<ecutwfc>)1\.5\d*E", r"\g<1>2.0E", "ecutwfc is 30 Ry in .* and 40 Ry in"),
        (r"(<pseudo_file>)Si", r"\1other-Si", "the pseudopotential of Si is Si"),
    ],
)
def test_runs_of_several_levels_of_theory_are_refused(
    run: Path, old: str, new: str, words: str
) -> None:
    other = run.parent / "b"
    shutil.copytree(run, other)
    change(other / XML, old, new)
    if "pseudo" in old:
        change(other / TEXT, MD5, "0" * 32)
    with pytest.raises(PhonsmithError, match=words):
        read_recorded(run.parent, "espresso", "si")
    assert len(read_recorded(run.parent, "espresso", "si", allow_mixed=True).frames) == 2


MD5 = "c4212819de858c94c3a1644338846ac9"
"""Of silicon's pseudopotential, as the recorded output has it."""


def test_pseudopotentials_count_by_their_contents(run: Path) -> None:
    """Another file under one name is another level; one file under another name is not."""
    other = run.parent / "b"
    shutil.copytree(run, other)
    change(other / TEXT, MD5, "0" * 32)
    words = rf"the MD5 sum of the pseudopotential of Si is {MD5} in .*a/.* and 0+ in .*b/"
    with pytest.raises(PhonsmithError, match=words):
        read_recorded(run.parent, "espresso", "si")
    change(other / TEXT, "0" * 32, MD5)
    change(other / XML, r"(<pseudo_file>)Si", r"\1other-Si")
    assert len(read_recorded(run.parent, "espresso", "si").frames) == 2


@pytest.mark.parametrize("place", ["beside", "pseudo"])
def test_contents_of_pseudopotentials_that_are_here(run: Path, tmp_path: Path, place: str) -> None:
    """Without a text output: the copy beside the XML file, else the file that the run has used."""
    (run / TEXT).unlink()
    name = "Si.pbesol-n-rrkjus_psl.1.0.0.UPF"
    other = run.parent / "b"
    shutil.copytree(run, other)
    for index, folder in enumerate((run, other)):
        pseudo = tmp_path / f"pseudo{index}"
        pseudo.mkdir()
        change(folder / XML, r"<pseudo_dir>[^<]*<", f"<pseudo_dir>{pseudo}<")
        ((folder if place == "beside" else pseudo) / name).write_text(f"contents {index}")
    with pytest.raises(PhonsmithError, match=r"the MD5 sum of the (copy|file) of the pseudopot"):
        read_recorded(run.parent, "espresso", "si")
    for folder in (run, other, tmp_path / "pseudo0", tmp_path / "pseudo1"):
        (folder / name).unlink(missing_ok=True)
    assert len(read_recorded(run.parent, "espresso", "si").frames) == 2  # only the name is known
    os.mkfifo(run / name)  # nothing to read from
    assert len(read_recorded(run.parent, "espresso", "si").frames) == 2


def test_a_source_lists_outputs_beside_the_xml(run: Path, tmp_path: Path) -> None:
    files = {f"a/{name}": sha256_of(run / name) for name in (XML, TEXT)}
    reference = RecordedReference(
        method="recorded",
        level_of_theory="QE PBEsol",
        format="espresso",
        source=Source(name="runs", files=files),
    )
    assert len(load_recorded(reference, "a", Places([tmp_path], tmp_path / "cache")).frames) == 1
    wrong = reference.model_copy(update={"level_of_theory": "VASP PBEsol"})
    with pytest.raises(PhonsmithError, match="the code is Quantum ESPRESSO"):
        load_recorded(wrong, "a", Places([tmp_path], tmp_path / "cache"))


def test_reasons_can_be_pickled_and_shown(run: Path) -> None:
    change(run / TEXT, "JOB DONE", "")
    with pytest.raises(PhonsmithError, match="did not finish"):
        read_recorded(run, "espresso", "si")
    assert issubclass(LabelFailed, Exception)


@pytest.mark.parametrize("label", ["SI", "si", "SI1", "Si_a", "sI-2"])
def test_labels_of_species_are_elements_in_any_capitals(run: Path, label: str) -> None:
    change(run / XML, 'name="Si"', f'name="{label}"')
    (frame,) = read_espresso(run).frames
    assert frame.symbols.get_chemical_formula() == "Si2"
    with_atoms(run)
    change(run / TEXT, r"\n( +\d*) +Si  ", rf"\n\1 {label}  ")
    (frame,) = read_espresso(run).frames
    assert frame.symbols.get_chemical_formula() == "Si2"


def test_charged_cells_are_found_whatever_the_capitals_of_labels(run: Path) -> None:
    with_atoms(run)
    change(run / TEXT, r"\n( +\d*) +Si  ", r"\n\1 si  ")
    change(run / TEXT, r"(number of electrons +=) +8.00", r"\1 7.00")
    assert "charged" in refusal(run)


def test_a_label_that_looks_like_another_element_is_refused(run: Path) -> None:
    change(run / XML, 'name="Si"', 'name="Cs"')
    change(run / XML, r"Si\.pbesol", "C.pbesol")
    assert "is read as Cs" in refusal(run)
    with_atoms(run)
    change(run / TEXT, r"\n( +\d*) +Si  ", r"\n\1 Cs  ")
    change(run / TEXT, r"Si\( 1\.00\)", "C ( 1.00)")
    assert "is read as Cs" in refusal(run)


def test_the_energy_of_a_hybrid_functional_is_that_with_its_exchange(run: Path) -> None:
    (truth,) = read_espresso(run).frames
    change(
        run / TEXT,
        r"!    total energy( +=) +(\S+) Ry",
        r"!    total energy\1 -15.0 Ry\n\n!!   total energy\1 \2 Ry",
    )
    (frame,) = read_espresso(run).frames
    assert frame.info[ENERGY] == truth.info[ENERGY]
    with_atoms(run)
    (frame,) = read_espresso(run).frames
    assert frame.info[ENERGY] == pytest.approx(truth.info[ENERGY], abs=1e-5)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (
            "Parameters for Dispersion (Grimme-D2) Correction:\n Dispersion Correction     = -0 Ry",
            "D2",
        ),
        ("Parameters for Dispersion Correction:\n Dispersion Correction     = -0.1 Ry", "D2"),
        ("DFT-D3 Dispersion         =      -0.02692854 Ry", "D3"),
        ("TS-vdW initialization\n     Dispersion Correction     =      -0.14 Ry", "MBD"),
        ("TS-vdW initialization\n     Dispersion T-S Correction =      -0.04 Ry", "TS"),
        ("* XDM dispersion\n     Dispersion XDM Correction =      -0.03 Ry", "XDM"),
    ],
)
def test_dispersion_is_found_in_texts(run: Path, lines: str, name: str) -> None:
    with_atoms(run)
    change(run / TEXT, r"(Self-consistent Calculation)", rf"\1\n     {lines}")
    (level,) = (level for _, level in read_espresso(run).levels)
    assert level.functional == f"PBEsol + dispersion ({name})"


@pytest.mark.parametrize(
    ("written", "name"), [("grimme-d3", "D3"), ("DFT-D", "D2"), ("mbd_vdw", "MBD"), ("XDM", "XDM")]
)
def test_dispersion_has_one_name_in_texts_and_xml(run: Path, written: str, name: str) -> None:
    element = f"<vdW><vdw_corr>{written}</vdw_corr></vdW>"
    change(run / XML, r"(<functional>PBESOL</functional>)(?=\s*</dft>\s*<spin>)", rf"\1{element}")
    (level,) = (level for _, level in read_espresso(run).levels)
    assert level.functional == f"PBEsol + dispersion ({name})"


@pytest.mark.parametrize(
    "message",
    [
        "read_cards :\n     ATOMIC_POSITIONS: units set to alat",
        "divide_et_impera:\n     suboptimal parallelization: some nodes have no k-points",
        "read_upf_v2::gipaw:\n     Unknown format version",
    ],
)
def test_warnings_of_pw_are_no_failures(run: Path, message: str) -> None:
    change(
        run / TEXT, r"(Self-consistent Calculation)", rf"     Message from routine {message}\n\1"
    )
    assert len(read_espresso(run).frames) == 1


def test_runs_in_one_file_are_refused(run: Path) -> None:
    """As of ``pw.x >> file``: settings would be of the first run, forces of the last."""
    with_atoms(run)
    text = (run / TEXT).read_text()
    (run / TEXT).write_text(text + text)
    assert "holds 2 runs of pw.x" in refusal(run)


def test_smearing_has_one_name_in_texts_and_xml(run: Path) -> None:
    ((_, of_xml),) = read_espresso(run).levels
    with_atoms(run)
    points = "number of k points=    10  Marzari-Vanderbilt smearing, width (Ry)=  0.0100"
    change(run / TEXT, r"(Self-consistent Calculation)", rf"{points}\n     \1")
    ((_, of_text),) = read_espresso(run).levels
    assert of_xml.smearing == of_text.smearing == "mv, degauss 0.01 Ry"
    assert of_xml.entropy == pytest.approx(1.65e-4, rel=1e-2)
    assert of_text.entropy == pytest.approx(of_xml.entropy, rel=1e-4)
