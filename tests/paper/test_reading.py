"""The table of figures: the committed one, and one line for each mistake."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.paper import listing
from phonsmith.paper.reading import check_files, figures_named, load_paper, published_in
from phonsmith.paper.settings import PaperTable
from phonsmith.running.terminal import campaigns_here

SMALL: dict[str, Any] = {
    "papers": {"E": {"name": "Paper 2025", "citation": "A. Author, Paper (2025)"}},
    "published": {
        "rmse": {
            "shows": "RMSE, THz",
            "source": "Paper 2025, figure 1",
            "columns": ["a", "b"],
            "rows": {"GAP": [0.1, None]},
        }
    },
    "figures": {
        "E1": {
            "paper": "E",
            "shows": "RMSE",
            "published": ["rmse"],
            "full": {"lacks": "no campaign yet: no data"},
            "small": {"files": {"demo": ["figures/rmse_by_structure.svg", "tables/rmse.csv"]}},
        }
    },
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The small table with one value replaced, or with a key removed by None."""
    settings = yaml.safe_load(yaml.safe_dump(SMALL))
    *above, last = path.split("/")
    place = settings
    for key in above:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return settings


@pytest.fixture(scope="module")
def committed(repository: Path) -> PaperTable:
    return load_paper(
        repository / "config/paper.yaml", campaigns_here(repository / "config/campaigns")
    )


def test_every_figure_and_table_of_the_papers_has_an_entry(committed: PaperTable) -> None:
    expected = {f"E{number}" for number in range(2, 7)} | {f"P{number}" for number in (1, 2, 3)}
    expected |= {f"ES{number}" for number in range(1, 14)}
    expected |= {f"ES-table-{number}" for number in range(1, 5)}
    expected |= {f"G{number}" for number in range(1, 7)} | {"G-table-1", "G-table-2"}
    expected |= {f"M{number}" for number in range(2, 6)} | {"M-table-1"}
    expected |= {f"MS{number}" for number in range(1, 6)} | {"MS-table-1", "MS-table-2"}
    assert set(committed.figures) == expected
    counts = Counter(figure.paper for figure in committed.figures.values())
    assert counts == {"E": 5, "ES": 17, "P": 3, "G": 8, "M": 5, "MS": 7}


def test_committed_values_are_those_of_the_papers(committed: PaperTable) -> None:
    advanced = committed.published["advanced"]
    assert advanced.rows["MACE from scratch"] == [10.9, 1.39, None]
    for name, table in committed.published.items():
        if name.startswith("cells-"):
            # the share is that of the final training set
            last = list(table.rows.values())[-1]
            for training, _, share in table.rows.values():
                assert training and share and last[0]
                assert share == pytest.approx(100 * training / last[0], abs=0.75)


def test_values_of_campaign_files_are_not_repeated(committed: PaperTable, repository: Path) -> None:
    table = committed.published["si-kappa-extended"]
    own = load_campaign(repository / "config/campaigns/si-kappa.yaml")
    (listed,) = published_in("si-kappa", own)
    assert listed.columns == table.columns == ["300 K", "600 K", "900 K"]
    assert listed.rows["GAP-18, diamond (George 2020 Table I)"] == [109.4, 50.2, 32.9]
    known = {value for values in listed.rows.values() for value in values}
    assert not known & {value for values in table.rows.values() for value in values if value}


def test_published_transitions_and_directions_come_from_the_campaign(repository: Path) -> None:
    natl = load_campaign(repository / "config/campaigns/natl.yaml")
    (transition,) = published_in("natl", natl)
    assert transition.shows == "transition natl-cscl, GPa"
    assert list(transition.rows.values()) == [[13, None], [30, 40]]
    ga2o3 = load_campaign(repository / "config/campaigns/ga2o3.yaml")
    (kappa,) = published_in("ga2o3", ga2o3)
    assert list(kappa.rows.values()) == [[9.5], [17.3], [16.9]]


def test_the_table_of_the_docs_is_that_of_the_file(committed: PaperTable, repository: Path) -> None:
    text = (repository / listing.PAGE).read_text()
    assert listing.page(text, committed) == text, "run `make schema`"
    assert text.count("| E4 (") == 1


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("figures/E1/paper", "F", ["figures.E1.paper: 'F' is not in papers"]),
        ("figures/E1/published", ["rsme"], ["figures.E1.published: 'rsme'", "did you mean 'rmse'"]),
        ("figures/E1/published", [], ["published.rmse: no figure shows these values"]),
        ("published/rmse/source", None, ["published.rmse.source", "missing"]),
        ("published/rmse/source", "", ["published.rmse.source"]),
        ("published/rmse/rows", {"GAP": [1]}, ["'GAP' has 1 values for 2 columns"]),
        ("figures/E1/full", {}, ["figures.E1.full: give `files`, or in `lacks` the reason"]),
        ("figures/E1/full", {"files": {"dmo": ["a.svg"]}}, ["E1.full.files: 'dmo'", "'demo'"]),
        ("figures/E1/full", {"files": {"demo": ["a.svg"]}}, ["'demo' is at both scales"]),
        ("figures/E1/full", {"files": {"si": ["a.json"]}}, ["a.json", ".svg or .csv"]),
        ("figures/E1/full", {"files": {"si": ["../a.svg"]}}, ["inside its folder"]),
        ("figures/E1/published_in", ["sii"], ["figures.E1.published_in: 'sii' is no campaign"]),
        ("figures/E1/show", "x", ["figures.E1.show: unknown key", "did you mean 'shows'"]),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, path: str, value: object, words: list[str]) -> None:
    file = tmp_path / "paper.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)))
    with pytest.raises(PhonsmithError) as error:
        load_paper(file, ["demo", "si"])
    (line,) = str(error.value).splitlines()
    for word in (str(file), *words):
        assert word in line


def test_a_file_that_no_rule_makes_is_one_line() -> None:
    table = PaperTable.model_validate(SMALL)
    made = ["tables/rmse.csv", "figures/rmse_by_structure.svg"]
    check_files(table, "demo", made)
    check_files(table, "other", [])
    with pytest.raises(PhonsmithError) as error:
        check_files(table, "demo", ["tables/rmse.csv", "figures/rmse_by_structures.svg"])
    (line,) = str(error.value).splitlines()
    assert "config/paper.yaml: figures.E1.small.files.demo: no rule makes" in line
    assert "did you mean 'figures/rmse_by_structures.svg'" in line


def test_figures_are_asked_for_by_name() -> None:
    table = PaperTable.model_validate(SMALL)
    assert figures_named(table, None) == figures_named(table, "E1") == ["E1"]
    with pytest.raises(PhonsmithError, match=r"'E11' is no figure.*did you mean 'E1'"):
        figures_named(table, "E11")
