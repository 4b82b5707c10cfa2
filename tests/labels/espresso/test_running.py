"""Outputs of pw.x: accepted, refused, and what is tried next."""

from pathlib import Path

import numpy as np
import pytest

from phonsmith.labels.espresso.inputs import namelists
from phonsmith.labels.espresso.pseudopotentials import read_upf
from phonsmith.labels.espresso.remedies import LADDER, Start, next_remedy
from phonsmith.labels.espresso.running import judged
from phonsmith.labels.recorded.readers.pw import RunFailed, read_pw, reason_in
from phonsmith.running.subprocesses import Finished
from tests.labels.espresso.examples import reference

GOOD, BAD = "default_xml_241015", ("computing_cholesky", "interrupted", "out_of_walltime")


def recorded(shared_data: Path, name: str) -> tuple[str, Path]:
    folder = shared_data / "qe-outputs" / name
    crash = folder / "CRASH"
    text = (folder / "aiida.out").read_text() + (crash.read_text() if crash.exists() else "")
    return text, folder / "data-file-schema.xml"


def test_good_run(shared_data):
    text, xml = recorded(shared_data, GOOD)
    result = read_pw(text, xml, 8e-10)
    assert result.version == "7.4"
    assert result.scf_steps == 7
    # as in the text: -22.67145894 Ry, P = 4.62 kbar (positive under compression)
    said = float(text.split("!    total energy              =")[1].split()[0])
    assert result.energy == pytest.approx(said * 13.605693, rel=1e-7)
    pressure = float(text.split("P=")[1].split()[0])
    assert -np.trace(result.stress) / 3 * 1602.1766 == pytest.approx(pressure, abs=0.01)
    np.testing.assert_allclose(result.forces, 0, atol=1e-25)
    np.testing.assert_allclose(result.atoms.cell.lengths(), 7.2557731941838339 * 0.52917721, 1e-8)


def test_good_run_is_refused_where_more_is_asked_for(shared_data):
    text, xml = recorded(shared_data, GOOD)
    with pytest.raises(RunFailed, match=r"1\.0e-10 is required"):
        read_pw(text, xml, 1e-10)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("failed_computing_cholesky", "diagonalisation", "cdiaghg: problems computing cholesky"),
        ("failed_interrupted", "incomplete", "did not finish"),
        ("failed_out_of_walltime", "time", "out of time"),
        ("failed_scf_not_converged", "not converged", "did not converge in 2 steps"),
    ],
)
def test_failed_runs_are_refused_even_if_their_exit_status_were_good(
    shared_data, name, kind, words
):
    text, xml = recorded(shared_data, name)
    with pytest.raises(RunFailed, match=words) as caught:
        read_pw(text, xml, 1e-6)
    assert caught.value.kind == kind
    assert caught.value.wants == ("time" if kind == "time" else "")


def test_no_part_of_a_good_run_is_accepted(shared_data, tmp_path):
    """Every run cut off in the middle, and every XML without one of its parts, is refused."""
    text, xml = recorded(shared_data, GOOD)
    for share in np.linspace(0, 0.99, 34):
        with pytest.raises(RunFailed):
            read_pw(text[: int(share * len(text))], xml, 8e-10)
    content = xml.read_text()
    damaged = tmp_path / "data-file-schema.xml"
    broken = [content[: int(share * len(content))] for share in np.linspace(0, 0.99, 34)]
    for tag in ("forces", "stress", "etot", "scf_error", "atomic_structure"):
        head, _, rest = content.rpartition(f"<{tag}")
        broken.append(head + rest.partition(f"</{tag}>")[2])
    broken.append(content.replace("-7.263136660087705E-033", "NaN"))
    broken.append(content.replace("-7.263136660087705E-033", "*****"))
    broken.append(content.replace("<convergence_achieved>true", "<convergence_achieved>false"))
    for one in broken:
        damaged.write_text(one)
        with pytest.raises(RunFailed):
            read_pw(text, damaged, 8e-10)
    damaged.unlink()
    with pytest.raises(RunFailed, match="no XML"):
        read_pw(text, damaged, 8e-10)
    damaged.write_text(content)
    read_pw(text, damaged, 8e-10)


def test_unconverged_run_with_good_words_is_refused(shared_data):
    """As with scf_must_converge = .false.: "convergence has been achieved" at 3e-3 Ry."""
    text, xml = recorded(shared_data, GOOD)
    head, _, last = text.rpartition("estimated scf accuracy    <")
    lie = f"{head}estimated scf accuracy    <          3.1E-03{last[last.index(' Ry') :]}"
    with pytest.raises(RunFailed, match=r"3\.1e-03"):
        read_pw(lie, xml, 8e-10)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("forrtl: severe (28): CLOSE error, No space left on device", "disk"),
        ("Error allocating 8053063680 bytes", "memory"),
        ("slurmstepd: error: Detected 1 oom-kill event(s)", "memory"),
        ("     Error in routine divide_et_impera (1):\n some nodes have no k-points", "pools"),
        ("     Error in routine readpp (1):\n     file x.UPF not readable\n", "pseudopotential"),
        (
            "     Error in routine c_bands (1):\n     too many bands are not converged",
            "diagonalisation",
        ),
        ("     Error in routine read_namelists (1):\n   bad line in namelist\n", "input"),
    ],
)
def test_reasons_in_the_output(text, kind):
    reason = reason_in(text)
    assert reason is not None
    assert reason.kind == kind


def climbed(kind, start: Start) -> list[str]:
    tried = []
    while remedy := next_remedy(kind, tried, start):
        tried.append(remedy)
        start = remedy.change(start)
    return [remedy.words for remedy in tried]


def test_remedies_go_by_the_failure(pseudo):
    potentials = {"Si": read_upf(pseudo / "Si.pbesol.UPF")}
    smeared = Start(namelists(reference(pseudo), potentials))
    fixed = Start(namelists(reference(pseudo, occupations="fixed"), potentials), from_density=True)
    for kind in ("time", "disk", "pseudopotential", "input", "memory", "killed"):
        assert climbed(kind, smeared) == []
    assert climbed("memory", Start(smeared.settings, pools=2)) == ["one pool"]
    assert climbed("diagonalisation", smeared) == ["diagonalisation by conjugate gradients"]
    assert not any("smearing" in words for words in climbed("not converged", smeared))
    words = climbed("not converged", fixed)
    assert words[0] == "start from the density of free atoms"
    assert any("smearing" in one for one in words)
    assert {kind for remedy in LADDER for kind in remedy.kinds} >= {"crashed", "incomplete"}


def test_remedies_add_up_and_never_loosen(pseudo):
    potentials = {"Si": read_upf(pseudo / "Si.pbesol.UPF")}
    careful = reference(pseudo, mixing_beta=0.05, electron_maxstep=500)
    start = Start(namelists(careful, potentials))
    tried = []
    while remedy := next_remedy("not converged", tried, start):
        tried.append(remedy)
        start = remedy.change(start)
        electrons = start.settings["electrons"]
        assert electrons["mixing_beta"] == 0.05
        assert electrons["electron_maxstep"] == 500
        assert electrons["conv_thr"] == careful.conv_thr_ry
    assert electrons["diagonalization"] == "cg"


def test_the_reason_of_a_launcher_is_recorded(tmp_path: Path) -> None:
    box = ["-" * 74, "There are not enough slots", "available.", "", "Advice.", "-" * 74, ""]
    (tmp_path / "pw.out").write_text("\n".join(box))
    with pytest.raises(RunFailed, match=r"exit status 1, There are not enough slots available\.$"):
        judged(Finished(1, [], 1.0, 1.0), tmp_path / "pw.out", 60)
