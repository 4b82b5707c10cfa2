"""What is wrong with settings is said in full and in our words."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import nearest

SW = {"method": "calculator", "potential": {"calculator": "stillinger-weber"}}
GOOD: dict[str, Any] = {
    "structures": {"si": {"file": "a"}, "ge": {"file": "b"}},
    "reference": SW,
    "fits": {"gap": {"kind": "gap"}},
}
KAPPA = {"of": "conductivity", "structure": "sii", "temperature_kelvin": 300, "within_percent": 3}

# settings, and for each problem the path of its key and words of its line, in order of the file
CASES: dict[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "kinds": (
        {
            "reference": {"method": "vsap"},
            "fits": {"a": {"kind": "nep"}, "b": {"knd": "gap"}, "c": {"kind": 3}, "d": 3},
            "transitions": {"t": {"structures": ["si", "ge"]}},
        },
        {
            "reference": ["unknown method 'vsap'", "espresso, vasp", "did you mean 'vasp'"],
            "fits.a": ["unknown kind 'nep'", "gap, mace"],
            "fits.b": ["kind is missing", "gap, mace"],
            "fits.c": ["unknown kind '3'"],
            "fits.d": ["mapping"],
            "transitions.t": ["driven_by is missing", "pressure, temperature"],
        },
    ),
    "forms": (
        {
            "structures": {"si": "si.vasp", "ge": {"scaled": "si"}},
            "reference": "vasp",
            "supercells": {"rattled": 10, "kinds": "rattled"},
            "fits": {"gap": "gap", "own": {"kind": "existing", "potential": "chgnet"}, "m": "mac"},
            "thermodynamics": {"pressures_gpa": 5},
            "conductivity": {"structures": "si"},
            "loop": {"goal": 0.1},
        },
        {
            "structures.si": ["a mapping of keys", "such as {file: si.vasp} (found 'si.vasp')"],
            "structures.ge.scaled": ["such as {of: si, …} (found 'si')"],
            "reference": ["such as {method: vasp, …} (found 'vasp')"],
            "supercells.kinds": ["must be a valid list, such as [rattled] (found 'rattled')"],
            "supercells.rattled": ["such as {count: 10} (found 10)"],
            "fits.gap": ["such as {kind: gap} (found 'gap')"],
            "fits.own.potential": ["such as {calculator: chgnet} (found 'chgnet')"],
            "fits.m": ["such as {kind: mace} (found 'mac')"],
            "thermodynamics.pressures_gpa": ["such as [5] (found 5)"],
            "conductivity.structures": ["a valid list, such as [si] or 'all' (found 'si')"],
            "loop.goal": ["such as {rmse_thz: 0.1} (found 0.1)"],
        },
    ),
    "keys": (
        {
            "sed": 1,
            "structures": {"si": {"file": "a", "rol": "train"}},
            "fits": {"gap": {"kind": "gap", "n_sparse": 5, "soap": {"nmax": 4}}},
            "labels": {"quark": 3},
        },
        {
            "structures.si.rol": ["unknown key", "did you mean 'role'", "allowed are born, file"],
            "labels.quark": ["unknown key; allowed are ", "side_by_side"],
            "fits.gap.soap.nmax": ["unknown key", "did you mean 'n_max'", "zeta"],
            "fits.gap.n_sparse": ["unknown key", "'soap.n_sparse'", "two_body"],
            "sed": ["unknown key", "did you mean 'seed'", "supercells"],
        },
    ),
    "values": (
        {
            "seed": "one",
            "structures_from": 7,
            "structures": {"si": {"file": 7}, "ge": 3},
            "phonons": {"cells": ["relaxd", "squeezed"]},
            "labels": {"min_label_fraction": 95},
            "transitions": {"t": {"driven_by": "temperature", "structures": ["si"]}},
        },
        {
            "seed": ["must be a valid integer (found 'one')"],
            "structures_from": ["must be a valid string or a valid list (found 7)"],
            "structures.si.file": ["must be a valid string (found 7)"],
            "structures.ge": ["must be a mapping"],
            "labels.min_label_fraction": ["less than or equal to 1 (found 95)"],
            "phonons.cells.0": ["'relaxed' or 'reference'", "did you mean 'relaxed'"],
            "phonons.cells.1": ["'relaxed' or 'reference' (found 'squeezed')"],
            "transitions.t.structures": ["must have at least 2 items (found ['si'])"],
        },
    ),
    "sweeps": (
        {
            "sweeps": {
                "s": {
                    "recipe": {"kind": "gap"},
                    "settings": {"soap.nmax": [1, 2], "seed": [0, "x"]},
                }
            }
        },
        {
            "sweeps.s.settings: nmax = 1, seed = 0: soap.nmax": ["did you mean 'n_max'"],
            "sweeps.s.settings: nmax = 1, seed = x: seed": ["valid integer (found 'x')"],
        },
    ),
    "checksums": (
        {
            "datasets": {
                "databases": {
                    "old": {
                        "source": {"name": "old", "files": {"a.xyz": "5F0C"}},
                        "level_of_theory": "VASP PBE",
                        "train_files": ["a.xyz"],
                    }
                }
            }
        },
        {
            "datasets.databases.old.source.files.a.xyz": [
                "must be a SHA-256 of 64 digits and letters a to f, as `sha256sum FILE` prints it "
                "(found '5F0C')"
            ]
        },
    ),
    "structures": (
        {"thermodynamics": {"structures": ["tin"]}},
        {"thermodynamics.structures": ["no structure 'tin'; structures are si, ge"]},
    ),
    "contradictions": (
        {
            "loop": {"goal": {"rmse_thz": 1, "properties": {"k": KAPPA}}, "judges": "gapp"},
            "supercells": {"multiples": {"sii": [2, 2, 2]}},
            "transitions": {"t": {"driven_by": "temperature", "structures": ["si", "gee"]}},
            "conductivity": {"structures": ["gee"]},
        },
        {
            "loop.judges": ["'gapp' is not a trained potential", "allowed are gap", "mean 'gap'"],
            "loop.goal.properties.k": ["'sii'", "not in conductivity.structures"],
            "supercells.multiples": ["'sii'", "did you mean 'si'"],
            "transitions.t.structures": ["no structure 'gee'; did you mean 'ge'? structures are"],
            "transitions.t": ["requires `thermodynamics`; add this section"],
            "conductivity.structures": ["'gee'", "did you mean 'ge'"],
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_all_problems_are_told(tmp_path: Path, name: str) -> None:
    changes, expected = CASES[name]
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(GOOD | changes, sort_keys=False))
    with pytest.raises(PhonsmithError) as caught:
        load_campaign(path)
    lines = str(caught.value).splitlines()
    places = [re.escape(where) for where in expected]
    for line, place, words in zip(lines, places, expected.values(), strict=True):
        assert re.match(rf"{re.escape(str(path))}: {place}: ", line), line
        for word in words:
            assert word in line
        assert not re.search(r"Input|found using|valid dict|instance of|more\)", line), line


def test_what_resembles_nothing_gets_no_guess() -> None:
    assert nearest("x", ["alpha", "beta"]) == ""
    assert nearest("MP-149", ["mp-149"]) == "; did you mean 'mp-149'?"
