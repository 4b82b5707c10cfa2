"""The page from made-up result files."""

import base64
import re

from phonsmith.paper.page import MAX_ROWS, Source, render_page, state_of
from phonsmith.paper.settings import PaperTable, PublishedTable
from tests.paper.test_reading import SMALL, changed

PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" width="90pt"><text>made up</text></svg>'
TABLE = b"fit,rmse_thz\ngap,0.1234\nmace,\n"
FILES = {
    "results/demo/figures/rmse_by_structure.svg": PICTURE,
    "results/demo/tables/rmse.csv": TABLE,
}
DEMO = Source("A demo & more", "Stillinger-Weber")


def page(files: dict[str, bytes], settings: dict = SMALL, scale: str = "small") -> str:
    table = PaperTable.model_validate(settings)
    return render_page(table, scale, list(table.figures), {"demo": DEMO}, files.get)


def test_a_page_shows_files_scale_reference_and_published_values() -> None:
    text = page(FILES)
    assert f"data:image/svg+xml;base64,{base64.b64encode(PICTURE).decode()}" in text
    assert "demo (small scale), reference: Stillinger-Weber" in text
    assert "A demo &amp; more" in text
    for cell in (">mace</td>", '<td class="n">0.1234</td>', '<td class="n">–</td>'):
        assert cell in text
    before, published = text.split('<div class="published">')
    assert "Published: RMSE, THz. Source: Paper 2025, figure 1." in published
    assert '<td class="n">0.1</td>' in published
    assert '<td class="n">0.1</td>' not in before
    assert "not made yet" not in text.split("<main>")[1]
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)  # self-contained
    assert text.count('<span class="state made">made</span>') == 1


def test_a_figure_that_is_not_made_yet_is_a_line() -> None:
    text = page({})
    assert "<img" not in text
    assert (
        "Not made yet: results/demo/figures/rmse_by_structure.svg, results/demo/tables/rmse.csv."
        in text
    )
    some = page({"results/demo/tables/rmse.csv": TABLE})
    assert "made in part" in some
    assert "Not made yet: results/demo/figures/rmse_by_structure.svg." in some


def test_a_figure_without_campaign_has_its_reason() -> None:
    text = page(FILES, scale="full")
    assert "Missing: no campaign yet: no data." in text
    assert "no data</span>" in text
    assert "<img" not in text


def test_long_and_empty_tables() -> None:
    rows = "".join(f"{number}\n" for number in range(MAX_ROWS + 5))
    long = page({"results/demo/tables/rmse.csv": f"a\n{rows}".encode()})
    assert f"results/demo/tables/rmse.csv (first {MAX_ROWS} of {MAX_ROWS + 5} rows)" in long
    for content in (b"", b"fit,rmse_thz\n"):
        empty = page({"results/demo/tables/rmse.csv": content})
        assert "Without rows: results/demo/tables/rmse.csv." in empty


def test_fits_are_beside_each_other_in_the_table_of_phonon_errors() -> None:
    rows = [
        *("demo,gap,b,relaxed,0.5,", "demo,gap,a,relaxed,,became another structure"),
        *("demo,mace,b,relaxed,0.25,", "demo,mace,a,relaxed,0.125,"),
    ]
    head = "campaign,fit,structure,cell,rmse_thz,reason"
    content = "\n".join([head, *rows]).encode()
    text = page({"results/demo/tables/rmse.csv": content})
    assert "results/demo/tables/rmse.csv: phonon RMSE (THz)" in text
    heads = re.findall(r"<th[^>]*>([^<]+)</th>", text)
    assert heads[:4] == ["Crystal", "Cell", "gap", "mace"]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", text)
    assert (
        page({"results/demo/tables/rmse.csv": b"\n".join([content, *content.split()[-1:]])}) == text
    )
    assert cells[:8] == ["b", "relaxed", "0.500", "0.250", "a", "relaxed", "–", "0.125"]


def test_values_of_a_campaign_are_shown_with_its_figure() -> None:
    own = PublishedTable(shows="κ, W/mK", source="a book", columns=["300 K"], rows={"x": [142.2]})
    settings = changed("figures/E1/published_in", ["demo"])
    table = PaperTable.model_validate(settings)
    source = Source("", "DFT", [own])
    text = render_page(table, "full", ["E1"], {"demo": source}, FILES.get)
    assert "Published: κ, W/mK. Source: a book." in text
    assert "142.2" in text


def test_states() -> None:
    assert state_of([], "no campaign") == "no data"
    assert state_of([False, False], None) == "not made yet"
    assert state_of([True, False], None) == state_of([True], "a part") == "made in part"
    assert state_of([True, True], None) == "made"
