"""The report in a real browser."""

import base64
import json
import re
from dataclasses import replace

import pytest

from phonsmith.figures.model_card import model_card
from phonsmith.figures.report import FigureFiles, render_report
from phonsmith.figures.rmse import draw_rmse_by_structure
from phonsmith.figures.style import save_figure
from tests.figures.examples import LOOKS, RMSE, campaign, fit_results, further, table, tables

pytestmark = pytest.mark.browser

WAIT_S = 120
"""For a page on a busy machine."""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("page")
    drawn = draw_rmse_by_structure(table(RMSE), LOOKS)
    save_figure(drawn, folder / "rmse_by_structure.svg", dpi=60)
    figures = FigureFiles(folder / "rmse_by_structure.svg", {}, None, None, None, {}, {})
    card = model_card("si-demo", campaign(), fit_results(folder), tables(), accepted=0)
    more = replace(further(), cards={"gap": card})
    page = render_report("si-demo", campaign(), tables(), figures, folder, further=more)
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path.as_uri()


def opened(browser, address, width=1280, scripts=True, again=False):
    """Open the page and wait for its plot; a page that is open at this width stays."""
    state = (address, width, scripts)
    if not again and getattr(browser, "state", None) == state:
        return browser
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    browser.get(address)
    if scripts:
        wait(browser, "return document.querySelector('.plot').dataset.ready")
    browser.state = state
    return browser


def choose(browser, structure):
    """Choose a crystal from the list and wait for its bands."""
    from selenium.webdriver.support.ui import Select

    chosen = Select(browser.find_element("id", "crystal"))
    chosen.select_by_value(structure)
    wait(browser, f"return document.querySelector('.plot').dataset.structure === '{structure}'")
    return [one.text for one in chosen.options]


def wait(browser, script):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, WAIT_S).until(lambda one: one.execute_script(script))


def column(browser, table, cell):
    """Texts of a column of the table with this caption."""
    return browser.execute_script(
        "const caption = [...document.querySelectorAll('p.caption')]"
        ".find((one) => one.textContent.startsWith(arguments[0]));"
        "const rows = caption.nextElementSibling.querySelector('tbody').rows;"
        "return [...rows].map((row) => row.cells[arguments[1]].textContent);",
        *(table, cell),
    )


def header(browser, table, title):
    """The head of a column."""
    return browser.execute_script(
        "const caption = [...document.querySelectorAll('p.caption')]"
        ".find((one) => one.textContent.startsWith(arguments[0]));"
        "return [...caption.nextElementSibling.querySelectorAll('th')]"
        ".find((one) => one.textContent.startsWith(arguments[1]));",
        *(table, title),
    )


def requests(browser):
    """Addresses that the browser has asked for since the last call."""
    messages = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    return [
        one["params"]["request"]["url"]
        for one in messages
        if one["method"] == "Network.requestWillBeSent"
    ]


def test_the_page_has_no_errors_and_asks_for_nothing(browser, address):
    browser.execute_cdp_cmd("Network.enable", {})
    requests(browser)
    opened(browser, address, again=True)
    messages = browser.get_log("browser")  # warnings: of the emulated graphics card
    assert [one["message"] for one in messages if one["level"] == "SEVERE"] == []
    assert {url.partition(":")[0] for url in requests(browser)} <= {"file", "data", "blob"}
    buttons = browser.execute_script(
        "return [...document.querySelectorAll('.modebar-btn')].map((one) => one.dataset.title)"
    )
    assert "Zoom" in buttons
    assert not [title for title in buttons if re.search("share|cloud|edit", title, re.I)]


def test_tables_are_sorted_by_keyboard(browser, address):
    from selenium.webdriver.common.keys import Keys

    opened(browser, address)
    name = "Errors of each fit and crystal"
    head = header(browser, name, "RMSE (THz)")
    button = head.find_element("tag name", "button")
    button.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending"
    up = column(browser, name, 3)
    assert up[-1] == "–"  # missing values are last in both directions
    numbers = [float(text) for text in up[:-1]]
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[-1]
    button.send_keys(Keys.SPACE)
    assert head.get_attribute("aria-sort") == "descending"
    assert column(browser, name, 3) == [*reversed(up[:-1]), "–"]
    other = header(browser, name, "Fit")
    other.find_element("tag name", "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") is None
    texts = column(browser, name, 1)
    assert texts == sorted(texts, key=str.lower)


def test_the_mean_stays_below_the_crystals(browser, address):
    opened(browser, address)
    name = "Phonon RMSE (THz), cell relaxed"
    head = header(browser, name, "Crystal")
    for order in (["mp-149", "mp-165", "mean"], ["mp-165", "mp-149", "mean"]):
        browser.execute_script("arguments[0].click()", head.find_element("tag name", "button"))
        assert column(browser, name, 0) == order


def test_a_crystal_chosen_from_the_list_is_drawn(browser, address):
    opened(browser, address)
    choose(browser, "mp-149")
    line = "return document.querySelector('.plot').data[1].y.filter((one) => one !== null)"
    lengths = "return document.querySelector('.plot').data[0].x.length"
    before = browser.execute_script(line)
    assert browser.execute_script(lengths) == 3 * 24  # branches × (q points and two holes)
    texts = choose(browser, "mp-165")
    assert texts == ["mp-149 – RMSE 0.90 THz", "mp-165 – RMSE 0.70 THz"]
    after = browser.execute_script(line)
    differences = [two - one for one, two in zip(before, after, strict=True)]
    assert differences == pytest.approx([0.2] * len(before), abs=1.1e-3)
    words = browser.find_element("css selector", ".plot-words").text
    assert words.startswith("mp-165 – GAP: RMSE 0.300 THz; MACE: no RMSE (space group changed)")
    link = browser.find_element("css selector", "a[data-crystal='mp-149']")
    browser.execute_script("arguments[0].click()", link)
    wait(browser, "return document.querySelector('.plot').dataset.structure === 'mp-149'")
    assert browser.find_element("id", "crystal").get_attribute("value") == "mp-149"


def test_hovering_names_the_mode_and_its_error(browser, address):
    opened(browser, address)
    choose(browser, "mp-149")
    browser.execute_script(
        "const plot = document.querySelector('.plot'); plot.scrollIntoView();"
        "Plotly.Fx.hover(plot, [{ curveNumber: 1, pointNumber: 24 + 5 }]);"
    )
    text = wait(
        browser,
        "const one = document.querySelector('.hoverlayer .hovertext');"
        "return one && one.textContent",
    )
    # acoustic branch of chain(1.02) at q = 0.5: 10 sin(π/4) × 1.02 + 1, against 10 sin(π/4) + 1
    text = text.replace("\u200b", "")  # around subscripts
    for words in ("8.212 THz, error +0.141 THz", "branch 2, q = (0.5, 0.5, 0)", "Γ–X1", "GAP"):
        assert words in text


def test_the_crystal_is_shown_in_three_dimensions(browser, address):
    opened(browser, address)
    choose(browser, "mp-149")
    figure = browser.find_element("class name", "crystal")
    browser.execute_script("arguments[0].scrollIntoView()", figure)
    wait(browser, "return document.querySelector('.crystal div').data")
    edges, bonds, atoms = browser.execute_script(
        "return document.querySelector('.crystal div').data.map((one) => one.x)"
    )
    assert sum(value is not None for value in edges) == 16  # twelve edges in four lines
    assert sum(value is None for value in bonds) == 4  # of the atom in the cell
    assert len(atoms) == 8 + 1
    choose(browser, "mp-165")
    wait(browser, "return document.querySelector('.crystal').hidden")


def test_axes_have_units_and_names_of_the_special_points(browser, address):
    opened(browser, address)
    words = browser.find_element("css selector", ".plot").text
    for wanted in ("Frequency (THz)", "RMSE (THz)", "Γ", "K", "DOS"):
        assert wanted in words


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_does_not_scroll_sideways(browser, address, width):
    opened(browser, address, width)
    for axis in ("document.documentElement", "document.body"):
        assert browser.execute_script(f"return {axis}.scrollWidth") <= width
    plot = browser.execute_script("return document.querySelector('.plot svg').clientWidth")
    assert plot > 0.8 * min(width, 990)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_model_card_unfolds_and_its_wide_tables_scroll(browser, address, width):
    opened(browser, address, width)
    card = browser.find_element("css selector", "details.card")
    assert not card.find_element("tag name", "table").is_displayed()
    card.find_element("tag name", "summary").click()
    try:
        assert card.find_element("tag name", "table").is_displayed()
        assert "Must not be used for" in card.text
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        card.find_element("tag name", "summary").click()


def test_text_has_contrast(browser, address):
    """At least 4.5 : 1, as WCAG asks of normal text (level AA)."""
    opened(browser, address)
    faint = browser.execute_script(
        """
        const light = (colour) => {
          const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (one) => {
          for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if (colour !== "rgba(0, 0, 0, 0)") return colour;
          }
          return "rgb(255, 255, 255)";
        };
        const texts = "h1, h2, p, li, td, th, a, summary, figcaption, label";
        return [...document.querySelectorAll(texts)]
          .filter((one) => one.textContent.trim() && !one.closest(".plot"))
          .filter((one) => {
            const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
          })
          .map((one) => one.textContent);
        """
    )
    assert faint == []


def test_the_page_prints_with_its_plot_and_its_settings(browser, address, tmp_path):
    opened(browser, address)
    browser.execute_script(
        "window.addEventListener('beforeprint', () => { window.seen = ["
        "document.querySelector('.plot svg').clientWidth,"
        "document.getElementById('settings').open]; });"
    )
    pdf = base64.b64decode(browser.print_page())
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3
    width, unfolded = browser.execute_script("return window.seen")
    assert 600 < width < 700  # fits a page of A4
    assert unfolded
    wait(browser, "return !document.getElementById('settings').open")
    wait(browser, "return document.querySelector('.plot svg').clientWidth > 800")


def test_the_page_is_readable_without_javascript(browser, address):
    try:
        opened(browser, address, scripts=False)
        words = browser.find_element("tag name", "body").text
        assert "Is the potential good enough?" in words
        assert "The plot needs JavaScript." in words
        assert not browser.find_element("id", "crystal").is_displayed()
    finally:
        browser.state = None
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
