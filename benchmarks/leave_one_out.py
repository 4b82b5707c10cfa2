"""Phonons of crystals that a fit has never seen: one fit for each crystal left out.

    python benchmarks/leave_one_out.py si-george2020 gap-balanced --mirrors DATA
    python benchmarks/leave_one_out.py si-george2020 gap-balanced --sigma 1e-4 1e-3 1e-2

The campaign has recorded data and fits of kind `gap`. Each fit is trained once with all crystals
(in sample) and once without each of them: without its labels, its constraint cell, and the sparse
points from its environments. ``--sigma`` repeats this with a uniform σ of the forces (eV/Å).

``results/benchmark-leave-one-out/CAMPAIGN.csv`` receives a row for each fit, crystal and cell;
``CAMPAIGN.md`` the means. Finished rows are kept.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import pandas as pd  # noqa: E402
from ase import Atoms  # noqa: E402

from phonsmith.benchmarks.comparison import compare_spectra  # noqa: E402
from phonsmith.campaign.model import Campaign  # noqa: E402
from phonsmith.campaign.reading import load_campaign  # noqa: E402
from phonsmith.datasets.sets import make_dataset, without_crystals  # noqa: E402
from phonsmith.files.cache import Cache  # noqa: E402
from phonsmith.files.reading_writing import replacing  # noqa: E402
from phonsmith.files.sources import Places  # noqa: E402
from phonsmith.fits import training as fits  # noqa: E402
from phonsmith.fits.gap.settings import GapFit  # noqa: E402
from phonsmith.labels.recorded.reading import load_recorded  # noqa: E402
from phonsmith.phonons.band_paths import band_path  # noqa: E402
from phonsmith.phonons.force_constants import phonons_in_cell, reference_phonons  # noqa: E402
from phonsmith.phonons.spectra import spectrum  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.supercells.cells import to_ase  # noqa: E402

NOTHING = "nothing"
"""Left out of the fit in sample."""
OUT = Path("results/benchmark-leave-one-out")


class Allotropes:
    """Recorded labels and reference phonons of the crystals that a campaign learns from.

    Parameters
    ----------
    campaign
        Campaign with recorded data.
    mirrors
        Folders with the recorded data.
    points
        Points per segment of the band path.
    """

    def __init__(self, campaign: Campaign, mirrors: Sequence[Path], points: int):
        assert campaign.recorded is not None, "the campaign has no recorded data"
        self.campaign = campaign
        self.path_settings = campaign.phonons.model_copy(update={"points_per_segment": points})
        self.labels: dict[str, list[Atoms]] = {}
        self.phonons: dict[str, Any] = {}
        for name in campaign.learnt:
            recorded = campaign.structures[name].recorded
            places = Places(mirrors, OUT / "sources")
            found = load_recorded(campaign.recorded, recorded, places, name)
            self.labels[name] = found.frames
            self.phonons[name] = reference_phonons(found.phonon, found.frames)

    def train(self, fit: GapFit, left_out: str, folder: Path, cache: Cache) -> PotentialSource:
        """Fit a potential to all crystals but one."""
        learnt = [name for name in self.labels if name != left_out]
        dataset = make_dataset(
            without_crystals(self.campaign.datasets, {left_out}),
            self.campaign.seed,
            labels=[frame for name in learnt for frame in self.labels[name]],
            crystals={name: to_ase(self.phonons[name].unitcell) for name in learnt},
        )
        folder.mkdir(parents=True, exist_ok=True)
        work = folder / "work"
        record = fits.train(fit, dataset.train, dataset.baseline, folder, work, 1, cache)
        return PotentialSource(calculator="gap", model=str(folder / record.model))

    def errors(self, structure: str, source: PotentialSource) -> Iterator[dict[str, Any]]:
        """Phonon errors of a potential for a crystal in each cell of the campaign."""
        reference = self.phonons[structure]
        path = band_path(to_ase(reference.primitive), self.path_settings)
        tolerance = self.campaign.benchmarks.imaginary_tolerance_thz
        displaced, relaxation = self.campaign.supercells.displaced, self.campaign.relaxation
        for cell in self.campaign.phonons.cells:
            found, verdict = phonons_in_cell(cell, reference, source, displaced, relaxation)
            row: dict[str, Any] = {"structure": structure, "cell": cell, "reason": verdict.reason}
            if not verdict.reason:
                compared = compare_spectra(
                    spectrum(reference, path), spectrum(found, path), tolerance
                )
                row |= {
                    "rmse_thz": compared.rmse_thz,
                    "lowest_thz": compared.minimum_frequency_fit_thz,
                    "volume_error_percent": compared.volume_error_percent,
                }
            yield row


def recipes(campaign: Campaign, names: Sequence[str], sigmas: Sequence[float]) -> dict[str, GapFit]:
    """The fits of the campaign, and copies with a uniform σ of the forces."""
    found: dict[str, GapFit] = {}
    for name in names:
        fit = campaign.fits[name]
        assert isinstance(fit, GapFit), f"{name} is no GAP"
        if not sigmas:
            found[name] = fit
        for sigma in sigmas:
            uniform = fit.sigma.model_copy(update={"force_ev_per_angstrom": sigma})
            changes = {"sigma": uniform, "force_proportional": None}
            found[f"{name}, σ {sigma:g}"] = fit.model_copy(update=changes)
    return found


def means(rows: pd.DataFrame) -> str:
    """Mean RMSE in sample and left out, and failures, in Markdown."""
    lines = ["| fit | cell | in sample (THz) | left out (THz) | median | failed |"]
    lines.append("|---|---|---|---|---|---|")
    for (fit, cell), group in rows.groupby(["fit", "cell"], sort=False):
        inside, outside = (group[(group["left_out"] == NOTHING) == yes] for yes in (True, False))
        lines.append(
            f"| {fit} | {cell} | {inside['rmse_thz'].mean():.3f} | {outside['rmse_thz'].mean():.3f}"
            f" | {outside['rmse_thz'].median():.3f} | {int(outside['rmse_thz'].isna().sum())} |"
        )
    return "\n".join(lines) + "\n"


def measure(
    allotropes: Allotropes, wanted: Mapping[str, GapFit], folds: Sequence[str], file: Path
) -> pd.DataFrame:
    """Measure the fits that are missing in a table, and keep each result."""
    rows = pd.read_csv(file).to_dict("records") if file.exists() else []
    done = {(row["fit"], row["left_out"]) for row in rows}
    cache = Cache(file.parent / "cache", 8)
    for name, fit in wanted.items():
        for left_out in folds:
            if (name, left_out) in done:
                continue
            number = list(wanted).index(name)  # quippy reads no other characters than ASCII
            folder = file.parent / "fits" / file.stem / f"{number}-{left_out}"
            source = allotropes.train(fit, left_out, folder, cache)
            tested = list(allotropes.labels) if left_out == NOTHING else [left_out]
            rows += [
                {"fit": name, "left_out": left_out, **row}
                for structure in tested
                for row in allotropes.errors(structure, source)
            ]
            with replacing(file) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign")
    parser.add_argument("fits", nargs="+")
    parser.add_argument("--sigma", type=float, nargs="+", default=[])
    parser.add_argument("--folds", nargs="+", help=f"crystals to leave out, or `{NOTHING}`")
    parser.add_argument("--points", type=int, default=11, help="points per segment of the path")
    parser.add_argument("--mirrors", type=Path, nargs="*", default=[Path("../shared/data")])
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the results")
    asked = parser.parse_args()
    campaign = load_campaign(f"config/campaigns/{asked.campaign}.yaml")
    wanted = recipes(campaign, asked.fits, asked.sigma)
    allotropes = Allotropes(campaign, asked.mirrors, asked.points)
    folds = asked.folds or [NOTHING, *allotropes.labels]
    asked.out.mkdir(parents=True, exist_ok=True)
    rows = measure(allotropes, wanted, folds, asked.out / f"{asked.campaign}.csv")
    text = means(rows)
    with replacing(asked.out / f"{asked.campaign}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
