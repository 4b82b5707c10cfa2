"""Warnings for readers of a campaign, from its tables and settings."""

from collections.abc import Iterator
from itertools import product

import pandas as pd

from phonsmith.campaign.model import Campaign
from phonsmith.figures.results_read import (
    MOST_NAMES,
    Tables,
    codes_in,
    counted,
    false_imaginary,
    few,
    label_of,
    listed,
    rows_of,
)
from phonsmith.figures.style import CELLS
from phonsmith.files.cautions import Caution
from phonsmith.fits.errors import SHIFT_COLUMN
from phonsmith.fits.registry import potential_named
from phonsmith.generations.verdict import STOP_IN_WORDS, GenerationVerdict
from phonsmith.labels.registry import potential_of
from phonsmith.potentials.ready import READY


def cautions(
    campaign: Campaign, tables: Tables, verdict: GenerationVerdict | None = None
) -> list[Caution]:
    """Collect the warnings that follow from tables and settings.

    Parameters
    ----------
    campaign
        The campaign.
    tables
        Tables of the results.
    verdict
        Verdict of the last generation of the loop.
    """
    return [
        *_about_loop(campaign, verdict, tables.generations),
        *_about_crystals(tables.structures),
        *_about_failures(tables.labels),
        *_about_data(campaign, tables.fits),
        *_about_reference(campaign, tables.phonons),
        *_about_displacement(campaign),
        *_about_shifts(campaign, tables.errors),
        *_about_samples(campaign, tables.rmse),
        *_of_benchmarks(campaign, tables.rmse),
    ]


def _about_loop(
    campaign: Campaign, verdict: GenerationVerdict | None, generations: pd.DataFrame | None
) -> Iterator[Caution]:
    if verdict is None or verdict.stop in (None, "goal"):
        return
    best = next(fit for fit in verdict.fits if fit.fit == verdict.best)
    short = "; ".join([*best.reasons, *best.not_judged])
    missed = "missed its goal" if best.reasons else "met its goal only in part"
    yield Caution(
        "generations",
        label_of(campaign, verdict.best),
        f"The loop {missed} (generation {verdict.generation}, "
        f"{STOP_IN_WORDS[str(verdict.stop)]}): {short}." + _better_before(generations, verdict),
    )


def _better_before(generations: pd.DataFrame | None, verdict: GenerationVerdict) -> str:
    """Return a sentence on an earlier generation whose mean RMSE was smaller; empty if none."""
    if generations is None:
        return ""
    of_fit = generations[generations["fit"] == verdict.best]
    means = of_fit.groupby("generation")["mean_rmse_thz"].first().round(3).dropna()
    if verdict.generation not in means or means.min() == means[verdict.generation]:
        return ""
    earlier = means.index[int(means.argmin())]
    return (
        f" Generation {earlier} had a smaller mean RMSE, {means.min():.3f} instead of "
        f"{means[verdict.generation]:.3f} THz; its potential is in "
        f"results/{verdict.campaign}/fits/{verdict.best}/gen{earlier}/."
    )


def _about_samples(campaign: Campaign, rmse: pd.DataFrame) -> Iterator[Caution]:
    learnt = [fit for fit in campaign.fits if rmse.loc[rmse["fit"] == fit, "in_sample"].any()]
    if learnt:
        yield Caution(
            "benchmarks",
            (listed if len(learnt) <= MOST_NAMES else few)(
                [label_of(campaign, fit) for fit in learnt]
            ),
            "In-sample: trained on the displaced cells that give the reference phonons. The RMSE "
            "measures how well these cells are reproduced, not how well phonons of other crystals "
            "are predicted.",
        )


def _about_data(campaign: Campaign, fits: pd.DataFrame) -> Iterator[Caution]:
    if "baseline_origin" in fits and (fits["baseline_origin"] == "forces_only").any():
        yield Caution(
            "datasets",
            "",
            "The labels contain forces only. Energies of potentials fitted to them are "
            "meaningless, and no result of this campaign uses them.",
        )
    if constraints := campaign.datasets.constraints:
        named = constraints.structures
        yield Caution(
            "datasets",
            "",
            "Pseudo-observations: for the undisplaced cells of "
            f"{'all crystals' if named == 'all' else listed(named)}, forces (σ "
            f"{constraints.force_sigma_ev_per_angstrom:g} eV/Å) and stress (virial σ "
            f"{constraints.virial_sigma_ev_per_atom:g} eV/atom) were set to zero, because "
            "the reference method had relaxed them.",
        )
    if campaign.datasets.allow_mixed_levels_of_theory:
        yield Caution(
            "datasets",
            "",
            "Data of different levels of theory were mixed in one fit "
            "(datasets.allow_mixed_levels_of_theory).",
        )


def _about_shifts(campaign: Campaign, errors: pd.DataFrame | None) -> Iterator[Caution]:
    """Warn of energies of existing potentials compared after a shift of their zero."""
    if errors is None or SHIFT_COLUMN not in errors:
        return
    shifts = errors[SHIFT_COLUMN].fillna("").astype(str)
    for row in rows_of(errors[shifts.map(_is_significant)].drop_duplicates("fit")):
        yield Caution(
            "errors",
            label_of(campaign, str(row["fit"])),
            "Energies are compared after a least-squares shift by element, because each code has a "
            f"different energy zero (eV/atom): {row[SHIFT_COLUMN]}.",
        )


def _is_significant(shift: str) -> bool:
    """Return whether a shift, such as ``Si +158.8700``, is at least 1 meV/atom."""
    parts = [part.split() for part in shift.split(", ") if part]
    return any(abs(float(value)) >= 1e-3 for _, value in parts)


def _about_failures(labels: pd.DataFrame) -> Iterator[Caution]:
    if "failures" not in labels:
        return
    codes = codes_in(labels)
    if len(codes) > 1:
        words = f"Labels of {len(codes)} codes or versions are used together: {listed(codes)}."
        yield Caution("labels", "", words)
    for structure, part in labels[labels["failures"] > 0].groupby("structure", sort=False):
        number = int(part["failures"].sum())
        reasons = [str(row["reason"]) for row in rows_of(part) if isinstance(row["reason"], str)]
        why = next((f" Most frequent reason: {reason}." for reason in reasons if reason), "")
        yield Caution(
            "labels",
            str(structure),
            f"{counted(number, 'label')} failed and {'is' if number == 1 else 'are'} missing from "
            f"the data.{why} `snakemake failures` lists all of them.",
        )


def _about_crystals(structures: pd.DataFrame) -> Iterator[Caution]:
    if "reason" not in structures:
        return
    for row in rows_of(structures[structures["reason"].fillna("").astype(str) != ""]):
        words = f"Relaxed with the reference method: {row['reason']}."
        words += " The crystal is omitted." if row.get("left_out", False) else ""
        yield Caution("structures", str(row["structure"]), words)


def _about_reference(campaign: Campaign, phonons: pd.DataFrame | None) -> Iterator[Caution]:
    """Warn of missing reference phonons and of imaginary modes."""
    limit = -campaign.benchmarks.imaginary_tolerance_thz
    for row in rows_of(phonons) if phonons is not None else []:
        structure, lowest = str(row["structure"]), row["minimum_frequency_thz"]
        if pd.isna(lowest):
            words = "No reference phonons: not all displaced cells are labelled."
            yield Caution("phonons", structure, words)
        elif lowest < limit:
            words = f"imaginary modes (−{-lowest:.2f} THz, below −{-limit:g} THz)."
            yield Caution("phonons", structure, f"The reference has {words}")


def _about_displacement(campaign: Campaign) -> Iterator[Caution]:
    """Warn of displacements inside the cusp of a potential."""
    distance = campaign.supercells.displaced.distance_angstrom
    potentials = {
        label_of(campaign, name): potential_named(fit) for name, fit in campaign.fits.items()
    }
    if potential := potential_of(campaign.reference):
        potentials["reference"] = potential
    for name, potential in potentials.items():
        ready = READY.get(potential.calculator) if potential else None
        if potential and ready and distance < ready.cusp_angstrom:
            yield Caution(
                "phonons",
                name,
                f"The displacement of {distance:g} Å is inside the narrow well of "
                f"{potential.calculator} at each minimum: frequencies are too high. Set "
                f"supercells.displaced.distance_angstrom to {ready.cusp_angstrom:g} or more.",
            )


def _of_benchmarks(campaign: Campaign, rmse: pd.DataFrame) -> Iterator[Caution]:
    """Warn of missing RMSE and of false imaginary modes, for each fit and cell."""
    tolerance = f"{campaign.benchmarks.imaginary_tolerance_thz:g} THz"
    missing, false = [], []
    for fit, cell in product(campaign.fits, campaign.phonons.cells):
        name, own = label_of(campaign, fit), (rmse["fit"] == fit) & (rmse["cell"] == cell)
        if lacking := rows_of(rmse[own & rmse["rmse_thz"].isna()]):
            each = "; ".join(f"{row['structure']}: {row['reason']}" for row in lacking)
            words = f"No RMSE, {CELLS[cell]} – {each}. The mean is over the other structures."
            missing.append(Caution("benchmarks", name, words))
        if imaginary := rows_of(rmse[own & false_imaginary(rmse)]):
            each = listed(
                f"{row['structure']} (−{-row['minimum_frequency_fit_thz']:.2f} THz)"
                for row in imaginary
            )
            words = f"below −{tolerance}, where the reference has none), {CELLS[cell]}: {each}."
            false.append(Caution("benchmarks", name, f"False imaginary modes ({words}"))
    yield from (*missing, *false)
