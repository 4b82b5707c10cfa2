"""Levels of theory of recorded crystals: one for all that a fit learns from, versions told."""

import gzip
import re
from pathlib import Path

import pytest

from phonsmith.files.cautions import Cautions
from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.recorded.levels_of_crystals import RecordedFacts, compare_crystals
from phonsmith.labels.recorded.readers.levels import Level
from tests.project import Project


def level(encut: str = "520 eV", **changes) -> Level:
    settings = {"ENCUT": encut, "spin": changes.pop("spin", "off"), "spin-orbit": "off"}
    return Level("VASP", changes.pop("functional", "PBE"), settings, **changes)


def crystals(**levels: Level) -> dict[str, RecordedFacts]:
    return {name: RecordedFacts.of([(f"{name}.xml", one)]) for name, one in levels.items()}


def test_crystals_of_one_level_need_no_words():
    assert compare_crystals(crystals(a=level(), b=level()), ["a", "b"], allow_mixed=False) == []
    assert compare_crystals({}, [], allow_mixed=False) == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (level("400 eV"), "ENCUT is 520 eV in a.xml and 400 eV in b.xml"),
        (level(functional="PBEsol"), "the functional is PBE in a.xml and PBEsol in b.xml"),
        (level(by_element={"Si": {"the POTCAR": "Si_GW"}}), "the POTCAR of Si is PAW_PBE Si in"),
        (
            level(by_element={"Si": {"the Hubbard U": "l = 1, U = 3, J = 0 eV"}}),
            "the Hubbard U of Si is none in a.xml and l = 1",
        ),
    ],
)
def test_fits_do_not_learn_from_crystals_of_several_levels(other, words):
    silicon = {"Si": {"the POTCAR": "PAW_PBE Si", "the Hubbard U": "none"}}
    found = crystals(a=level(by_element=silicon), b=other)
    with pytest.raises(PhonsmithError, match=rf"several levels of theory: {words}.*`role: bench"):
        compare_crystals(found, ["a", "b"], allow_mixed=False)
    for learnt, allow_mixed in ((["a"], False), ([], False), (["a", "b"], True)):
        (caution,) = compare_crystals(found, learnt, allow_mixed=allow_mixed)
        assert caution.startswith(f"Recorded crystals are of several levels of theory: {words}")


def test_a_magnetic_crystal_may_stand_beside_one_that_is_not():
    found = crystals(a=level(), b=level(spin="on"))
    (caution,) = compare_crystals(found, ["a", "b"], allow_mixed=False)
    assert "spin is off in a.xml and on in b.xml" in caution


def test_versions_of_codes_are_told():
    found = crystals(
        a=level(version="5.4.4.18Apr17-6-g9f103f2a35"),
        b=level(version="5.4.4"),
        c=level(version="6.3.0"),
        d=level(),
    )
    assert compare_crystals(found, ["a", "b"], allow_mixed=False) == [
        "Recorded labels of 2 codes or versions: VASP 5.4.4 (a, b), VASP 6.3.0 (c)."
    ]


def test_levels_are_kept_with_one_file_each(tmp_path):
    runs = [(f"{i}.xml", level(mesh=("Si2", 40.0 + i / 1e4, 0.2))) for i in range(100)]
    runs.append(("other.xml", level("400 eV")))
    RecordedFacts.of(runs).save(tmp_path / "levels.json")
    kept = RecordedFacts.load(tmp_path / "levels.json")
    assert [file for file, _ in kept.levels] == ["0.xml", "other.xml"]
    assert kept.levels[0][1] == runs[0][1]


def test_a_campaign_stops_before_it_learns_from_several_levels(tmp_path, repository, shared_data):
    """α-Sn at two volumes, the runs at one of them as if of another cutoff and an older VASP."""
    data, structures = shared_data / "sn-alpha-vasp", {}
    for name, volume in (("rest", "1.0"), ("wide", "1.06")):
        (relaxed,) = data.glob(f"tight_relax_2_mp-117_{volume}_*/outputs/CONTCAR.gz")
        (tmp_path / f"{name}.vasp").write_bytes(gzip.decompress(relaxed.read_bytes()))
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        for run in data.glob(f"dft_*_mp-117_{volume}_*"):
            text = gzip.decompress((run / "outputs/vasprun.xml.gz").read_bytes()).decode()
            if name == "wide":
                text = re.sub(r'(name="EN(?:CUT|MAX)">\s*)\d+', r"\g<1>400", text)
                text = re.sub(r'(name="version"[^>]*>)\s*6\.\d', r"\g<1>5.4", text)
            (folder / run.name).mkdir()
            (folder / run.name / "vasprun.xml").write_text(text)
        structures[name] = {"file": f"{name}.vasp", "recorded": name}
    campaign = {
        "structures": structures,
        "reference": {
            "method": "recorded",
            "level_of_theory": "VASP PBE",
            "format": "vasprun",
            "source": {"name": "tin", "folder": "runs"},
        },
        "fits": {"gap": {"kind": "gap"}},
    }
    project = Project(tmp_path, repository, tin=campaign)
    levels = "results/tin/labels/levels.json"
    run = project.run(levels)
    assert run.returncode != 0
    said = run.stdout + run.stderr
    assert "fits would learn from several levels of theory: ENCUT is " in said, said
    assert "Traceback" not in said
    planned = project.planned("results/tin/datasets/gen0/train.extxyz")
    assert planned["recorded_levels"] == 1
    structures["wide"]["role"] = "benchmark"
    project.write("tin", campaign)
    run = project.run(levels)
    assert run.returncode == 0, run.stdout + run.stderr
    different, versions = Cautions.load(Path(tmp_path) / levels).cautions
    assert "ENCUT is" in different
    assert re.fullmatch(
        r"Recorded labels of 2 .*: VASP 6\.\S+ \(rest\), VASP 5\.4\S* \(wide\)\.", versions
    )


@pytest.mark.parametrize(
    ("smearing", "entropy", "words"),
    [
        ("ISMEAR 0, SIGMA 0.05 eV", 0.02, "-TS of the electrons is up to 20.0 meV per atom"),
        ("ISMEAR 0, SIGMA 0.05 eV", 1e-5, ""),  # an insulator
        ("ISMEAR 1, SIGMA 0.2 eV", 0.02, ""),
        ("", 0.02, ""),
    ],
)
def test_free_energies_of_different_smearing_are_reported(
    smearing: str, entropy: float, words: str
) -> None:
    first = level(smearing="ISMEAR 1, SIGMA 0.2 eV", entropy=entropy)
    found = crystals(a=first, b=level(smearing=smearing))
    cautions = compare_crystals(found, ["a", "b"], allow_mixed=False)
    assert len(cautions) == bool(words)
    if words:
        assert "SIGMA 0.2 eV in a.xml and ISMEAR 0, SIGMA 0.05 eV in b.xml" in cautions[0]
        assert words in cautions[0]


def test_the_largest_entropy_of_equal_runs_counts() -> None:
    runs = [level(smearing="ISMEAR 1, SIGMA 0.2 eV", entropy=one) for one in (0.0, 0.02, 0.01)]
    facts = RecordedFacts.of([(f"{number}.xml", run) for number, run in enumerate(runs)])
    assert [(file, one.entropy) for file, one in facts.levels] == [("1.xml", 0.02)]
