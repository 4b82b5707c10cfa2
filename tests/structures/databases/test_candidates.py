"""Candidates of a chemical system: low, small, and the crystals that they were."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.candidates import main as choose_candidates
from phonsmith.structures.databases.addresses import fetched_path
from tests.structures.databases.examples import HULL, silicon


def test_candidates_are_low_small_and_stay_themselves(
    materials_project: Any, repository: Path
) -> None:
    arguments = [
        *("config/structures/si.yaml", "--chemical-system", "Si"),
        *("--max-energy-above-hull", "0.1", "--min-length", "6", "--min-atoms", "8"),
        *("--max-atoms", "64", "--relax-with", "stillinger-weber"),
    ]
    choose_candidates(arguments)
    table = pd.read_csv("config/structures/si.csv", index_col="id", keep_default_na=False)
    assert list(table.index) == ["mp-149", "mp-165", "mp-1203790", "mp-571520", "mp-999200"]
    assert list(table.energy_above_hull_ev_per_atom) == [0.0, 0.0106, 0.0561, 0.0962, 0.35]
    assert list(table.space_group) == ["Fd-3m", "P6_3/mmc", "P6_3/mmc", "R-3", "I4/mmm"]
    kept = table[table.kept]
    assert list(kept.index) == ["mp-149", "mp-165"]
    assert (kept.reason == "").all()
    assert "0.350 eV/atom above the hull, more than 0.1" in table.reason["mp-999200"]
    assert "max_atoms" in table.reason["mp-1203790"]  # 68 atoms in the cell alone
    assert "became another structure" in table.reason["mp-571520"]
    # a = 5.47 Å is too short, so that the first cubic one is of 2 x 2 x 2 conventional cells
    assert int(table.atoms_in_supercell["mp-149"]) == 64
    written = yaml.safe_load(Path("config/structures/si.yaml").read_text())
    assert written == {"structures": {id: {"materials_project": id} for id in kept.index}}
    files = {one.stem for one in Path("config/structures/fetched").rglob("*.extxyz")}
    assert files == set(kept.index)


def test_a_campaign_takes_the_list(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    choose_candidates(
        [
            *("config/structures/si.yaml", "--chemical-system", "Si", "--base-url", database),
            *("--hull-key", HULL, "--max-energy-above-hull", "0.02"),
            *("--min-length", "6", "--min-atoms", "8"),
        ]
    )
    campaign = {
        "structures_from": "config/structures/si.yaml",
        "structures": {"si-00": {"file": "own.vasp"}},
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
        "fits": {"gap": {"kind": "gap", "soap": {"n_sparse": 10}}},
    }
    silicon().write("own.vasp")
    Path("c.yaml").write_text(yaml.safe_dump(campaign))
    loaded = load_campaign("c.yaml")
    # those without an energy (renamed, left-handed) and the higher ones are not there
    assert sorted(loaded.structures) == ["si-00", "si-01", "si-02"]
    assert loaded.structures["si-00"].file == "own.vasp"
    check_inputs(loaded, "c.yaml", [])
    paths = [fetched_path(one) for one in loaded.structures.values()]
    assert [path.exists() for path in paths if path] == [True, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "structures_from: list.yaml: no such list"),
        ("[1]", "mapping of keys"),
        ("structures: [a]", "a mapping of ids"),
        ("structures: {}", "give at least one"),
        ("structures: {a: {files: x}}", "structures.a.files: unknown key"),
    ],
)
def test_a_faulty_list_is_said_in_one_line(text: str | None, words: str) -> None:
    if text is not None:
        Path("list.yaml").write_text(text)
    campaign = {
        "structures_from": ["list.yaml"],
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
        "fits": {"gap": {"kind": "gap", "soap": {"n_sparse": 10}}},
    }
    Path("c.yaml").write_text(yaml.safe_dump(campaign))
    with pytest.raises(PhonsmithError, match=words):
        load_campaign("c.yaml")


def test_nothing_kept_says_where_the_reasons_stand(
    materials_project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        choose_candidates(["si.yaml", "--chemical-system", "Si", "--max-energy-above-hull", "-1"])
    assert ended.value.code == 1
    told = "phonsmith: si.yaml: none of 5 crystals is kept; see si.csv for the reasons"
    assert told in capsys.readouterr().err
    assert not Path("si.yaml").exists()
