"""Model cards: numbers from the data, limits from facts, and the card as HTML."""

import hashlib
import re
from dataclasses import replace

import pytest

from phonsmith.figures.model_card import FitResults, model_card
from phonsmith.figures.pages import html_of
from phonsmith.files.cautions import Caution
from phonsmith.files.errors import PhonsmithError
from phonsmith.fits.covered import covered
from tests.figures.examples import MODEL, campaign, fit_results, silicon_cells, tables


@pytest.fixture
def files(tmp_path) -> FitResults:
    return fit_results(tmp_path)


def card(files: FitResults, **changes) -> str:
    return model_card("c", campaign(), files, replace(tables(), **changes), accepted=0)


def test_covered_ranges_are_those_of_the_cells():
    *_, everything = covered(silicon_cells())
    volumes = [atoms.get_volume() / len(atoms) for atoms in silicon_cells()]
    assert everything.volume_angstrom3 == pytest.approx((min(volumes), max(volumes)))
    assert everything.pressure_gpa == pytest.approx((-2.0, 1.0))
    assert everything.largest_force == 0.25
    assert everything.cells == 2
    assert covered(silicon_cells(forces_only=True))[-1].pressure_gpa is None


def test_a_card_has_data_errors_limits_checksums_and_code(files):
    text = card(files)
    volumes = sorted(atoms.get_volume() / len(atoms) for atoms in silicon_cells())
    for wanted in (
        "# GAP\n",
        "Level of theory: PBEsol",
        "Training set: 2 cells; learnt from it: 2 energies, 48 force components, 12 virial "
        "components",
        f"Volumes outside {volumes[0]:.2f} to {volumes[1]:.2f} Å³ per atom and pressures outside "
        "−2.0 to 1.0 GPa",
        "Elements other than Si",
        "Liquids, amorphous phases",
        "Phonons of mp-165: they miss the goal",
        "Statements on real materials: the labels are those of stillinger-weber",
        "Not tested by this campaign: ",
        "GAP and MACE: In-sample",
        f"| `model/gap.xml` | `{hashlib.sha256(MODEL.encode()).hexdigest()}` |",
        'Potential(param_filename="model/gap.xml")',
        "pair_style quip",
        "n_sparse: 123",
    ):
        assert wanted in text
    assert "MACE: No RMSE" not in text  # a warning of another fit
    assert "Energies of any kind" not in text
    assert "LO–TO" not in text  # silicon


def test_forces_alone_exclude_energies_and_pressures(tmp_path):
    text = card(fit_results(tmp_path, forces_only=True))
    assert "Energies of any kind" in text
    assert "the labels contain no stresses" in text
    assert "GPa, the ranges" not in text
    assert "get_potential_energy" not in text


def test_repeats_of_a_fit_do_not_share_warnings(files):
    settings = campaign(fits={"gap": {"kind": "gap", "label": "GAP", "repeats": 2}})
    warnings = [Caution("fits", "GAP, repeat 2", "Of two."), Caution("fits", "GAP", "Of one.")]
    own = replace(tables(), warnings=warnings)
    text = model_card("c", settings, files, own, accepted=0)
    assert "Of one." in text
    assert "Of two." not in text


def test_the_card_of_another_generation_is_refused(files):
    with pytest.raises(PhonsmithError, match=r"gen2/model_card\.md"):
        model_card("c", campaign(), files, tables(), accepted=2)


def test_every_table_of_a_card_becomes_one_of_html(files):
    structure = "<b>|x"  # as no name of a crystal is, but a label may be
    rmse = tables().rmse.replace({"structure": {"mp-149": structure}})
    html = html_of(card(files, rmse=rmse), top=3)
    rows = [line for line in card(files, rmse=rmse).splitlines() if line.startswith("|")]
    heads = [line for line in rows if set(line) <= set("|-: ")]
    assert html.count("<table>") == len(heads) == 5
    assert html.count("<tr>") == len(rows) - len(heads)
    assert re.findall(r"<h(\d)>", html)[:2] == ["3", "4"]
    assert "<b>" not in html
