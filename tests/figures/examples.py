"""Data to draw, and what can be seen in a figure."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from ase import Atoms
from ase.build import bulk
from ase.units import GPa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phonsmith.benchmarks.comparison import Benchmark, CellResult
from phonsmith.benchmarks.tables import rmse_table
from phonsmith.campaign.model import Campaign
from phonsmith.figures.band_data import BandsOfFit, CrystalBands, pack_bands, worst_first
from phonsmith.figures.bands import BandsCaption
from phonsmith.figures.cautions import cautions
from phonsmith.figures.generations import draw_against_generation
from phonsmith.figures.model_card import FitResults
from phonsmith.figures.report import Further
from phonsmith.figures.results_read import Tables
from phonsmith.figures.style import looks, method_looks, style
from phonsmith.files.extxyz import ENERGY, STRESS, write_frames
from phonsmith.files.extxyz import FORCES as FORCES_KEY
from phonsmith.fits.errors import errors_of
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.phonons.spectra import Spectrum
from phonsmith.potentials.calculators import Potential, save_potential
from phonsmith.potentials.settings import PotentialSource
from tests.cells import rattled_cells

LOOKS = looks({"gap": "GAP", "mace": "MACE", "sw": "Stillinger–Weber"})


def chain(scale: float = 1.0, shift: float = 0.0) -> Spectrum:
    """Three bands on the path Γ–X_1|K–Γ, each a sine as in a linear chain."""
    n = 11
    legs = [(0.0, 1.0), (1.5, 0.0)]
    q = np.concatenate([np.linspace(a, b, n) for a, b in legs])
    acoustic = 10 * scale * np.abs(np.sin(q * np.pi / 2))
    frequencies = np.sort(np.stack([acoustic, acoustic + 1, acoustic + 3], axis=1) + shift)
    grid = np.arange(-100, 400) * 0.05
    dos = np.exp(-((grid - 8 * scale) ** 2))
    return Spectrum(
        labels=np.array([("Γ", "X_1"), ("K", "Γ")]),
        segment_lengths=np.array([n, n]),
        distances=np.concatenate([np.linspace(0, 1, n), np.linspace(1, 2.5, n)]),
        qpoints=np.stack([q, q, 0 * q], axis=1),
        frequencies_thz=frequencies,
        mesh=np.array([2, 2, 2]),
        mesh_frequencies_thz=frequencies[::5],
        mesh_weights=np.ones(len(frequencies[::5]), dtype=np.int64),
        dos_frequencies_thz=grid,
        dos=3 * dos / (dos.sum() * 0.05),
        volume_angstrom3=20.0,
        natom=1,
    )


def large_spectrum(shift: float) -> Spectrum:
    """36 branches at 300 q points, smooth but for noise below the steps of the packed data."""
    segments, n = 6, 50
    places = np.linspace(0, 1, segments * n)
    branches = np.arange(36)[:, None]
    frequencies = 5 + 0.3 * branches + (1 + 0.1 * branches) * np.sin(7 * places + branches) + shift
    noise = np.random.default_rng(3).normal(0, 2e-4, frequencies.shape)
    q = np.concatenate([np.linspace(0, 1, n)] * segments)
    grid = np.arange(0, 500) * 0.05
    return replace(
        chain(),
        labels=np.array([("Γ", "X")] * segments),
        segment_lengths=np.array([n] * segments),
        distances=places,
        qpoints=np.stack([q, q, 0 * q], axis=1),
        frequencies_thz=np.sort((frequencies + noise).T, axis=1),
        dos_frequencies_thz=grid,
        dos=36 * np.exp(-((grid - 9) ** 2)),
        natom=12,
    )


def further() -> Further:
    """Band structures of two crystals, none of MACE; the second crystal has no atoms to show."""
    crystals = {
        name: CrystalBands(
            name,
            chain(),
            [
                BandsOfFit(LOOKS["gap"], chain(1.02, shift), 0.1 + shift),
                BandsOfFit(LOOKS["mace"], None, None, "space group changed"),
                BandsOfFit(LOOKS["sw"], chain(0.9, -1.5), 0.9),
            ],
            atoms,
        )
        for name, shift, atoms in (("mp-149", 0.0, bulk("Si")), ("mp-165", 0.2, None))
    }
    largest = worst_first(list(crystals), table(RMSE)[lambda rows: rows["cell"] == "relaxed"])
    return Further(bands=pack_bands(largest, crystals.get))


def caption(rmse: float | None, reason: str = "") -> BandsCaption:
    return BandsCaption("mp-149", "Fd-3m", "CASTEP PW91", "relaxed", rmse, reason)


def texts(figure: Figure) -> str:
    """All text of a figure, as it is when drawn."""
    figure.canvas.draw()
    found = [one.get_text() for one in figure.findobj(mpl.text.Text)]
    return "\n".join(found)


def faults_of_text(figure: Figure) -> list[str]:
    """Texts of a figure that are cut at its edge or run into each other."""
    canvas = FigureCanvasAgg(figure)
    with style():
        canvas.draw()
    renderer = canvas.get_renderer()
    hidden = hidden_ticks(figure)
    shown = [
        (one.get_text(), one.get_window_extent(renderer))
        for one in figure.findobj(mpl.text.Text)
        if one.get_text().strip() and one.get_visible() and id(one) not in hidden
    ]
    width, height = canvas.get_width_height()
    found = [
        f"cut: {text!r}"
        for text, box in shown
        if min(box.x0, box.y0) < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    for number, (text, box) in enumerate(shown):
        for other, place in shown[number + 1 :]:
            wide = min(box.x1, place.x1) - max(box.x0, place.x0)
            high = min(box.y1, place.y1) - max(box.y0, place.y0)
            if wide > 1 and high > 1:
                found.append(f"over each other: {text!r}, {other!r}")
    return found


def hidden_ticks(figure: Figure) -> set[int]:
    """The labels of ticks outside of the limits of their axis, which are not drawn."""
    return {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }


def table(values: dict[tuple[str, str, str], float | None], in_sample=("gap", "mace")):
    """A table of RMSE from fit, structure and cell; None stands for a lost symmetry."""
    benchmarks = []
    for (fit, structure, cell), rmse in values.items():
        numbers = (
            {"reason": "space group changed", "symmetry_kept": False, "imaginary_reference": 0}
            if rmse is None
            else {
                "rmse_thz": rmse,
                "volume_error_percent": -0.5,
                "minimum_frequency_fit_thz": -1.25 if rmse > 0.8 else 0.0,
                "imaginary_reference": 0,
                "imaginary_fit": 4 if rmse > 0.8 else 0,
            }
        )
        benchmarks.append(
            Benchmark(
                campaign="c",
                structure=structure,
                fit=fit,
                fit_kind={"sw": "existing"}.get(fit, fit),
                generation=0,
                in_sample=fit in in_sample,
                imaginary_tolerance_thz=0.1,
                cells=(CellResult(cell=cell, **numbers),),
            )
        )
    return rmse_table(benchmarks)


RMSE = {
    ("gap", "mp-149", "relaxed"): 0.1,
    ("gap", "mp-165", "relaxed"): 0.3,
    ("mace", "mp-149", "relaxed"): 0.2,
    ("mace", "mp-165", "relaxed"): None,
    ("sw", "mp-149", "relaxed"): 0.9,
    ("sw", "mp-165", "relaxed"): 0.7,
    ("gap", "mp-149", "reference"): 0.05,
    ("gap", "mp-165", "reference"): 0.15,
    ("mace", "mp-149", "reference"): 0.2,
    ("mace", "mp-165", "reference"): 0.2,
    ("sw", "mp-149", "reference"): 0.5,
    ("sw", "mp-165", "reference"): 0.7,
}


def predictions(*rows):
    names = ["set", "structure", "kind", "cell", "quantity", "reference", "prediction"]
    return pd.DataFrame(rows, columns=names)


FORCES = [
    ("train", "a", "displaced", 0, "force", 0.0, 0.003),
    ("train", "a", "displaced", 0, "force", 1.0, 1.004),
    ("test", "a", "rattled", 1, "force", -1.0, -1.1),
]

WITH_ENERGIES = [
    *FORCES,
    ("train", "a", "displaced", 0, "energy", -4.0, -4.01),
    ("train", "a", "isolated_atom", 9, "energy", -0.5, -0.5),
    ("train", "a", "displaced", 0, "stress", 0.01, 0.02),
    ("train", "a", "constraint", 8, "stress", 0.0, 5.0),
]
METHODS = ["reference", "gap/gen1", "mace/gen1"]
METHOD_LOOKS = method_looks(METHODS, {"gap": "GAP", "mace": "MACE"}, "PBE")


def lines_of(axes) -> dict[str, np.ndarray]:
    """Points by label."""
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def against_generation(values: dict[tuple[str, float], float]) -> Figure:
    rows = pd.DataFrame([(*key, one) for key, one in values.items()])
    rows.columns = ["fit", "generation", "value"]
    repeats = {"gap": ["gap", "gap-r2", "gap-r3"]}
    return draw_against_generation(rows, LOOKS, repeats, "PBE", "κ at 300 K (W/mK)")


def generations() -> pd.DataFrame:
    """Two crystals in three generations; in the second, one repeat has no RMSE on one of them."""
    same = {"fit": "gap", "meets": False, "repeats": 3, "repeats_before": 3}
    numbers = ["labels", "mean_rmse_thz", "mean_noise_thz", "change_thz", "significant"]
    of_recipe = [
        (6, 0.15, 0.001, None, None),
        (9, None, None, None, None),
        (12, 0.14, 0.02, -0.01, False),
    ]
    rows = [
        {**same, "generation": g, "structure": name, "rmse_thz": rmse, "noise_thz": 0.07}
        | dict(zip(numbers, of_recipe[g], strict=True))
        for g, found in enumerate([(0.1, 0.2), (0.1, None), (0.12, 0.16)])
        for name, rmse in zip(("mp-149", "mp-165"), found, strict=True)
    ]
    return pd.DataFrame(rows).assign(stop=[None] * 4 + ["max_generations"] * 2)


def campaign(**changes) -> Campaign:
    settings = {
        "description": "Silicon <tiny> & quick",
        "structures": {"mp-149": {"file": "a.vasp"}, "mp-165": {"file": "b.vasp"}},
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
        "fits": {
            "gap": {"kind": "gap", "label": "GAP", "soap": {"n_sparse": 123}},
            "mace": {"kind": "mace", "label": "MACE"},
            "sw": {"kind": "existing", "potential": {"calculator": "chgnet"}},
        },
        **changes,
    }
    return Campaign.model_validate(settings)


def tables(rmse=None, failures=2) -> Tables:
    """Tables of the campaign above, with the warnings that they give rise to."""
    bare = bare_tables(rmse, failures)
    return replace(bare, warnings=cautions(campaign(), bare))


def bare_tables(rmse=None, failures=2) -> Tables:
    return Tables(
        rmse=table(RMSE) if rmse is None else rmse,
        structures=pd.DataFrame(
            {
                "structure": ["mp-149", "mp-165"],
                "space_group_before": [227, 194],
                "symbol_before": ["Fd-3m", "P6_3/mmc"],
                "symbol_after": ["Fd-3m", "Cmcm"],
                "volume_change_percent": [0.1, -1.5],
                "converged": [True, True],
                "reason": ["", "space group changed from P6_3/mmc to Cmcm"],
            }
        ),
        labels=pd.DataFrame(
            {
                "structure": ["mp-149"],
                "kind": ["rattled"],
                "labels": [8],
                "failures": [failures],
                "reason": ["SCF not converged"],
            }
        ),
        fits=pd.DataFrame(
            {
                "fit": ["gap", "mace", "sw"],
                "wall_time_s": [90.0, 600.0, None],
                "peak_memory_mb": [1500.0, 900.0, None],
                "energies": [20, 20, None],
            }
        ),
        errors=pd.concat([errors_of(predictions(*WITH_ENERGIES)).assign(fit="gap")]),
    )


MODEL = '<Potential label="GAP_1"/>'
"""Content of a model file."""


def silicon_cells(*, forces_only: bool = False) -> list[Atoms]:
    """Two rattled cells of 8 atoms at 1 and −2 GPa, the second 3 % larger."""
    frames = rattled_cells(2)
    for atoms, gpa in zip(frames, (1.0, -2.0), strict=True):
        atoms.info |= {"kind": "rattled", "structure": "mp-149"}
        atoms.arrays[FORCES_KEY] = np.full((len(atoms), 3), -0.25)
        if not forces_only:
            atoms.info |= {ENERGY: -4.0 * len(atoms), STRESS: -gpa * GPa * np.eye(3)}
    frames[1].set_cell(frames[1].cell * 1.01, scale_atoms=True)
    return frames


def fit_results(folder: Path, *, forces_only: bool = False) -> FitResults:
    """Files of a GAP that was trained on these cells, as the pipeline leaves them."""
    names = ("potential.json", "model", "fit.json", "train.extxyz")
    found = FitResults("gap", 0, *(folder / name for name in names))
    found.model.mkdir()
    (found.model / "gap.xml").write_text(MODEL)
    (found.model / "in.lammps").write_text("# with: units metal\npair_style quip\n")
    frames = silicon_cells(forces_only=forces_only)
    write_frames(found.train, frames)
    TrainingRecord(
        model="gap.xml",
        wall_time_s=1.0,
        peak_memory_mb=1.0,
        counts=TargetCounts.of(frames),
        settings={"kind": "gap"},
        command=[],
        baseline={"Si": -0.5},
        baseline_origin="forces_only" if forces_only else "isolated_atoms",
        versions={"quippy-ase": "0.10.3"},
    ).save(found.record)
    source = PotentialSource(calculator="gap", model=str(found.model / "gap.xml"))
    made = {"source": source, "level_of_theory": "PBEsol", "fit": "gap"}
    save_potential(found.potential, Potential(**made, has_energies=not forces_only))
    return found
