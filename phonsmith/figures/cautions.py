"""What a reader of a campaign has to know beside the numbers, from its tables and settings."""

from collections.abc import Iterable

import pandas as pd

from phonsmith.campaign.model import Campaign
from phonsmith.figures.results_read import Tables, counted, false_imaginary, label_of, rows_of
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
        *_about_loop(campaign, verdict),
        *_about_crystals(tables.structures),
        *_about_failures(tables.labels),
        *_about_data(campaign, tables.fits),
        *_about_reference(campaign, tables.phonons),
        *_about_displacement(campaign),
        *_about_shifts(campaign, tables.errors),
        *_about_samples(campaign, tables.rmse),
        *_about_missing(campaign, tables.rmse),
        *_about_imaginary(campaign, tables.rmse),
    ]


def _about_loop(campaign: Campaign, verdict: GenerationVerdict | None) -> list[Caution]:
    if verdict is None or verdict.stop in (None, "goal"):
        return []
    best = next(fit for fit in verdict.fits if fit.fit == verdict.best)
    short = "; ".join([*best.reasons, *best.not_judged])
    missed = "missed its goal" if best.reasons else "met its goal only in part"
    return [
        Caution(
            "generations",
            label_of(campaign, verdict.best),
            f"The loop {missed} (generation {verdict.generation}, "
            f"{STOP_IN_WORDS[str(verdict.stop)]}): {short}.",
        )
    ]


def _about_samples(campaign: Campaign, rmse: pd.DataFrame) -> list[Caution]:
    learnt = [fit for fit in campaign.fits if rmse.loc[rmse["fit"] == fit, "in_sample"].any()]
    if not learnt:
        return []
    names = _listed(label_of(campaign, fit) for fit in learnt)
    return [
        Caution(
            "benchmarks",
            names,
            "In-sample: trained on the displaced cells that give the reference phonons. The RMSE "
            "shows how well these cells were learnt, not how well phonons of other crystals are "
            "predicted.",
        )
    ]


def _about_data(campaign: Campaign, fits: pd.DataFrame) -> list[Caution]:
    found = []
    if "baseline_origin" in fits and (fits["baseline_origin"] == "forces_only").any():
        found.append(
            Caution(
                "datasets",
                "",
                "The labels hold forces only. Energies of potentials fitted to them are "
                "meaningless, and no result of this campaign uses them.",
            )
        )
    constraints = campaign.datasets.constraints
    if constraints is not None:
        which = (
            "all crystals" if constraints.structures == "all" else _listed(constraints.structures)
        )
        found.append(
            Caution(
                "datasets",
                "",
                f"Pseudo-observations: on the undisplaced cells of {which}, forces (σ "
                f"{constraints.force_sigma_ev_per_angstrom:g} eV/Å) and stress (virial σ "
                f"{constraints.virial_sigma_ev_per_atom:g} eV/atom) were stated to be zero, "
                "because the reference method had relaxed them.",
            )
        )
    if campaign.datasets.allow_mixed_levels_of_theory:
        found.append(
            Caution(
                "datasets",
                "",
                "Data of different levels of theory were mixed in one fit "
                "(datasets.allow_mixed_levels_of_theory).",
            )
        )
    return found


def _about_shifts(campaign: Campaign, errors: pd.DataFrame | None) -> list[Caution]:
    """Energies of existing potentials that were compared with another zero."""
    if errors is None or SHIFT_COLUMN not in errors:
        return []
    shifts = errors[SHIFT_COLUMN].fillna("").astype(str)
    shifted = errors[shifts.map(_is_worth_telling)].drop_duplicates("fit")
    return [
        Caution(
            "errors",
            label_of(campaign, str(row["fit"])),
            "Energies are compared after a least-squares shift by element, since each code has a "
            f"zero of its own (eV/atom): {row[SHIFT_COLUMN]}.",
        )
        for row in rows_of(shifted)
    ]


def _is_worth_telling(shift: str) -> bool:
    """Whether a shift in words, ``Si +158.8700``, is more than a millielectronvolt per atom."""
    parts = [part.split() for part in shift.split(", ") if part]
    return any(abs(float(value)) >= 1e-3 for _, value in parts)


def _about_failures(labels: pd.DataFrame) -> list[Caution]:
    if "failures" not in labels:
        return []
    found = []
    codes = _distinct(labels["code"].dropna() if "code" in labels else [])
    if len(codes) > 1:
        found.append(
            Caution(
                "labels",
                "",
                f"Labels of {len(codes)} codes or versions are used together: {_listed(codes)}.",
            )
        )
    for structure, part in labels[labels["failures"] > 0].groupby("structure", sort=False):
        number = int(part["failures"].sum())
        reasons = [str(row["reason"]) for row in rows_of(part) if isinstance(row["reason"], str)]
        why = next((f" Most frequent reason: {reason}." for reason in reasons if reason), "")
        found.append(
            Caution(
                "labels",
                str(structure),
                f"{counted(number, 'label')} failed and {'is' if number == 1 else 'are'} missing "
                f"from the data.{why} `snakemake failures` lists them all.",
            )
        )
    return found


def _about_crystals(structures: pd.DataFrame) -> list[Caution]:
    if "reason" not in structures:
        return []
    changed = structures[structures["reason"].fillna("").astype(str) != ""]
    return [
        Caution(
            "structures",
            str(row["structure"]),
            f"Relaxed with the reference method: {row['reason']}."
            + (" The campaign leaves it out." if row.get("left_out", False) else ""),
        )
        for row in rows_of(changed)
    ]


def _about_reference(campaign: Campaign, phonons: pd.DataFrame | None) -> list[Caution]:
    """Reference phonons that are missing, or imaginary."""
    found = []
    limit = -campaign.benchmarks.imaginary_tolerance_thz
    for row in rows_of(phonons) if phonons is not None else []:
        lowest = row["minimum_frequency_thz"]
        if pd.isna(lowest):
            message = "No reference phonons: not all displaced cells are labelled."
        elif lowest < limit:
            message = (
                f"The reference itself has imaginary modes (−{-lowest:.2f} THz, below "
                f"−{-limit:g} THz)."
            )
        else:
            continue
        found.append(Caution("phonons", str(row["structure"]), message))
    return found


def _about_displacement(campaign: Campaign) -> list[Caution]:
    """Finite displacements inside the cusp of a potential."""
    distance = campaign.supercells.displaced.distance_angstrom
    potentials = {
        label_of(campaign, name): potential
        for name, fit in campaign.fits.items()
        if (potential := potential_named(fit))
    }
    if potential := potential_of(campaign.reference):
        potentials["reference"] = potential
    cusps = {name: ready.cusp_angstrom for name, ready in READY.items()}
    return [
        Caution(
            "phonons",
            name,
            f"Displaced by {distance:g} Å, inside the narrow well that {potential.calculator} has "
            f"at each minimum: its frequencies come out too high. Set "
            f"supercells.displaced.distance_angstrom to {cusps[potential.calculator]:g} or more.",
        )
        for name, potential in potentials.items()
        if distance < cusps.get(potential.calculator, 0.0)
    ]


def _about_missing(campaign: Campaign, rmse: pd.DataFrame) -> list[Caution]:
    """One for each fit and cell that lacks an RMSE somewhere."""
    found = []
    missing = rmse[rmse["rmse_thz"].isna()]
    for fit in campaign.fits:
        for cell in campaign.phonons.cells:
            part = missing[(missing["fit"] == fit) & (missing["cell"] == cell)]
            if len(part):
                each = "; ".join(f"{row['structure']}: {row['reason']}" for row in rows_of(part))
                found.append(
                    Caution(
                        "benchmarks",
                        label_of(campaign, fit),
                        f"No RMSE, {CELLS[cell]} – {each}. The mean is over the other structures.",
                    )
                )
    return found


def _about_imaginary(campaign: Campaign, rmse: pd.DataFrame) -> list[Caution]:
    tolerance = f"{campaign.benchmarks.imaginary_tolerance_thz:g} THz"
    found = []
    for fit in campaign.fits:
        for cell in campaign.phonons.cells:
            part = rmse[(rmse["fit"] == fit) & (rmse["cell"] == cell) & false_imaginary(rmse)]
            if len(part):
                each = _listed(
                    f"{row['structure']} (−{-row['minimum_frequency_fit_thz']:.2f} THz)"
                    for row in rows_of(part)
                )
                found.append(
                    Caution(
                        "benchmarks",
                        label_of(campaign, fit),
                        f"False imaginary modes (below −{tolerance}, where the reference has "
                        f"none), {CELLS[cell]}: {each}.",
                    )
                )
    return found


def _distinct(texts: Iterable[str]) -> list[str]:
    """All parts of comma-separated lists, each once."""
    return list(dict.fromkeys(part for text in texts for part in str(text).split(", ") if part))


def _listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *most, last = list(words)
    return f"{', '.join(most)} and {last}" if most else last
