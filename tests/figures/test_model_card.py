"""Model cards: numbers from the data, limits from facts, and the card as HTML."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.units import GPa

from phonsmith.datasets.sets import Baseline
from phonsmith.figures.model_card import FitResults, model_card
from phonsmith.figures.pages import html_of
from phonsmith.files.cautions import Caution
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, write_frames
from phonsmith.fits.covered import covered
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.potentials.calculators import Potential, save_potential
from phonsmith.potentials.settings import PotentialSource
from tests.cells import rattled_cells
from tests.figures.examples import campaign, tables

MODEL = '<Potential label="GAP_1"/>'


def cells(*, forces_only: bool = False):
    """Two silicon cells at 1 and −2 GPa."""
    frames = rattled_cells(2)
    for atoms, gpa in zip(frames, (1.0, -2.0), strict=True):
        atoms.info |= {"kind": "rattled", "structure": "mp-149"}
        atoms.arrays[FORCES] = np.full((len(atoms), 3), -0.25)
        if not forces_only:
            atoms.info |= {ENERGY: -4.0 * len(atoms), STRESS: -gpa * GPa * np.eye(3)}
    frames[1].set_cell(frames[1].cell * 1.01, scale_atoms=True)
    return frames


@pytest.fixture
def files(tmp_path) -> FitResults:
    return fit_results(tmp_path, cells(), Baseline({"Si": -0.5}, "isolated_atoms"))


def fit_results(folder: Path, frames, baseline: Baseline) -> FitResults:
    names = ("potential.json", "model", "fit.json", "train.extxyz")
    found = FitResults("gap", 0, *(folder / name for name in names))
    found.model.mkdir()
    (found.model / "gap.xml").write_text(MODEL)
    (found.model / "in.lammps").write_text("# with: units metal\npair_style quip\n")
    write_frames(found.train, frames)
    TrainingRecord(
        model="gap.xml",
        wall_time_s=1.0,
        peak_memory_mb=1.0,
        counts=TargetCounts.of(frames),
        settings={"kind": "gap"},
        command=[],
        baseline=baseline.e0s,
        baseline_origin=baseline.origin,
        versions={"quippy-ase": "0.10.3"},
    ).save(found.record)
    source = PotentialSource(calculator="gap", model=str(found.model / "gap.xml"))
    save_potential(
        found.potential,
        Potential(
            source=source,
            has_energies=baseline.has_energies,
            level_of_theory="PBEsol",
            fit="gap",
        ),
    )
    return found


def card(files: FitResults, **changes) -> str:
    return model_card("c", campaign(), files, replace(tables(), **changes), accepted=0)


def test_covered_ranges_are_those_of_the_cells():
    *_, everything = covered(cells())
    volumes = [atoms.get_volume() / len(atoms) for atoms in cells()]
    assert everything.volume_angstrom3 == pytest.approx((min(volumes), max(volumes)))
    assert everything.pressure_gpa == pytest.approx((-2.0, 1.0))
    assert everything.largest_force == 0.25
    assert everything.cells == 2
    assert covered(cells(forces_only=True))[-1].pressure_gpa is None


def test_a_card_has_data_errors_limits_checksums_and_code(files):
    text = card(files)
    volumes = sorted(atoms.get_volume() / len(atoms) for atoms in cells())
    for wanted in (
        "# GAP\n",
        "Level of theory: PBEsol",
        "Trained on 2 cells: 2 energies, 48 force components, 12 virial components",
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
    frames = cells(forces_only=True)
    text = card(fit_results(tmp_path, frames, Baseline({"Si": 0.0}, "forces_only")))
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
