"""Warnings in files."""

import pytest

from phonsmith.files.cautions import Caution, of_records, read_cautions, write_cautions
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import write_json


def test_warnings_survive_the_way_through_their_file(tmp_path):
    path = tmp_path / "warnings.csv"
    slab = Caution("structures", "mp-1", 'A slab: "vacuum, 12 Å"; phonons are of the bulk.')
    miss = Caution("generations", "gap", "The loop missed its goal.")
    fit = Caution("fits", "gap", "Only 46 of 1000 sparse points.")
    write_cautions(path, [miss, fit, slab, fit])
    assert read_cautions(path) == [miss, slab, fit]  # the loop first, then stage by stage
    path.write_text("a,b\n1,2\n")
    with pytest.raises(PhonsmithError, match="not a table of warnings"):
        read_cautions(path)


def test_results_hold_warnings_under_one_key(tmp_path):
    contents = [{"cautions": ["Displaced by 0.01 Å."]}, {"reason": ""}, None, [1]]
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"{number}.json")
        write_json(paths[-1], content)
    files = {"phonons": [("gap", path) for path in paths]}
    assert of_records(files) == [Caution("phonons", "gap", "Displaced by 0.01 Å.")]
    write_json(paths[0], {"cautions": "no list"})
    with pytest.raises(PhonsmithError, match=r"0\.json: cautions is not a list"):
        of_records(files)
