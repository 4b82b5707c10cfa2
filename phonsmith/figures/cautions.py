"""What a reader of the report has to know beside the numbers."""

from collections.abc import Iterable

import pandas as pd

from phonsmith.campaign import Campaign
from phonsmith.figures.report_tables import Tables, counted, false_imaginary, label_of, rows_of
from phonsmith.figures.style import CELLS


def cautions(campaign: Campaign, tables: Tables) -> list[str]:
    """What a reader has to know beside the numbers, one sentence or two each."""
    return [
        *_about_samples(campaign, tables.rmse),
        *_about_data(campaign, tables.fits),
        *_about_failures(tables.labels),
        *_about_crystals(tables.structures),
        *_about_missing(campaign, tables.rmse),
        *_about_imaginary(campaign, tables.rmse),
    ]


def _about_samples(campaign: Campaign, rmse: pd.DataFrame) -> list[str]:
    learnt = [fit for fit in campaign.fits if rmse.loc[rmse["fit"] == fit, "in_sample"].any()]
    if not learnt:
        return []
    names = _listed(label_of(campaign, fit) for fit in learnt)
    them = "it has" if len(learnt) == 1 else "they have"
    return [
        f"In-sample: {names} learnt from the very displaced cells that give the reference "
        f"phonons. The RMSE says how well {them} learnt them, not how well "
        f"{'it predicts' if len(learnt) == 1 else 'they predict'} phonons of other crystals."
    ]


def _about_data(campaign: Campaign, fits: pd.DataFrame) -> list[str]:
    lines = []
    if "baseline_origin" in fits and (fits["baseline_origin"] == "forces_only").any():
        lines.append(
            "The labels hold forces only. Energies of potentials fitted to them mean nothing, and "
            "no result on this page uses them."
        )
    constraints = campaign.datasets.constraints
    if constraints is not None:
        which = (
            "all crystals" if constraints.structures == "all" else _listed(constraints.structures)
        )
        lines.append(
            f"Pseudo-observations: on the undisplaced cells of {which}, forces (σ "
            f"{constraints.force_sigma_ev_per_angstrom:g} eV/Å) and stress (virial σ "
            f"{constraints.virial_sigma_ev_per_atom:g} eV/atom) were stated to be zero, because "
            "the reference method had relaxed them."
        )
    if campaign.datasets.allow_mixed_levels_of_theory:
        lines.append("Data of different levels of theory were mixed in one fit, as asked for.")
    return lines


def _about_failures(labels: pd.DataFrame) -> list[str]:
    if "failures" not in labels:
        return []
    failed = labels[labels["failures"] > 0]
    if failed.empty:
        return []
    where = _listed(failed["structure"].astype(str).unique())
    number = int(failed["failures"].sum())
    return [
        f"{counted(number, 'label')} failed ({where}) and {'is' if number == 1 else 'are'} missing "
        "from the data; the reasons stand in labels/ beside this page."
    ]


def _about_crystals(structures: pd.DataFrame) -> list[str]:
    if "reason" not in structures:
        return []
    changed = structures[structures["reason"].fillna("").astype(str) != ""]
    return [
        f"Relaxed with the reference method, {row['structure']}: {row['reason']}."
        for row in rows_of(changed)
    ]


def _about_missing(campaign: Campaign, rmse: pd.DataFrame) -> list[str]:
    """One line for each fit and cell that lacks an RMSE somewhere."""
    lines = []
    missing = rmse[rmse["rmse_thz"].isna()]
    for fit in campaign.fits:
        for cell in campaign.phonons.cells:
            part = missing[(missing["fit"] == fit) & (missing["cell"] == cell)]
            if len(part):
                each = "; ".join(f"{row['structure']}: {row['reason']}" for row in rows_of(part))
                lines.append(
                    f"No RMSE, {label_of(campaign, fit)}, {CELLS[cell]} – {each}. The mean is over "
                    "the other structures."
                )
    return lines


def _about_imaginary(campaign: Campaign, rmse: pd.DataFrame) -> list[str]:
    tolerance = f"{campaign.benchmarks.imaginary_tolerance_thz:g} THz"
    lines = []
    of_reference = rmse[rmse["imaginary_reference"].fillna(0) > 0]
    if len(of_reference):
        lines.append(
            f"The reference itself has imaginary modes (below −{tolerance}): "
            f"{_listed(of_reference['structure'].astype(str).unique())}."
        )
    for fit in campaign.fits:
        for cell in campaign.phonons.cells:
            part = rmse[(rmse["fit"] == fit) & (rmse["cell"] == cell) & false_imaginary(rmse)]
            if len(part):
                each = _listed(
                    f"{row['structure']} (−{-row['minimum_frequency_fit_thz']:.2f} THz)"
                    for row in rows_of(part)
                )
                lines.append(
                    f"False imaginary modes (below −{tolerance}, where the reference has none), "
                    f"{label_of(campaign, fit)}, {CELLS[cell]}: {each}."
                )
    return lines


def _listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *most, last = list(words)
    return f"{', '.join(most)} and {last}" if most else last
