"""Phonon errors against σ, in sample and for crystals left out, from one set of covariances.

    python benchmarks/sigma_scan.py si-george2020 gap-transfer --sigma 1e-5 1e-4 1e-3 1e-2
    python benchmarks/sigma_scan.py si-george2020 gap-transfer --sigma 1e-3 --soap '{l_max: 8}'

Covariances of sparse points and targets depend neither on σ nor on the choice of crystals: they
are computed once, and each fit is an elimination. Forces on the displaced cells follow from these
covariances, and from them phonons in the reference cell. In contrast to
``benchmarks/leave_one_out.py``, sparse points come from rattled copies of all crystals, also of
the one left out (none of its labels). Prints a row for each σ.
"""

import argparse
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import yaml  # noqa: E402
from leave_one_out import OUT, Allotropes  # noqa: E402
from scipy.linalg import block_diag, cholesky  # noqa: E402

from phonsmith.campaign.reading import load_campaign  # noqa: E402
from phonsmith.datasets.sets import constraint_frames  # noqa: E402
from phonsmith.files.cache import Cache  # noqa: E402
from phonsmith.fits import training as fits  # noqa: E402
from phonsmith.fits.gap.choice import choose_sparse_points  # noqa: E402
from phonsmith.fits.gap.covariances import sparse_covariance  # noqa: E402
from phonsmith.fits.gap.design import Caches, Design, training_cells  # noqa: E402
from phonsmith.fits.gap.environments import classes_of  # noqa: E402
from phonsmith.fits.gap.gap_fit import MODEL  # noqa: E402
from phonsmith.fits.gap.model import read_terms  # noqa: E402
from phonsmith.fits.gap.settings import GapFit, Sigma  # noqa: E402
from phonsmith.fits.gap.sparse import plan_sparse_points  # noqa: E402
from phonsmith.fits.gap.targets import balance, targets_of  # noqa: E402
from phonsmith.fits.gap.task import GapTask  # noqa: E402
from phonsmith.fits.least_squares import Triangle  # noqa: E402
from phonsmith.phonons.band_paths import BandPath, band_path  # noqa: E402
from phonsmith.phonons.files import with_forces  # noqa: E402
from phonsmith.supercells.cells import to_ase  # noqa: E402


class Covariances:
    """Rows of the linear system of all labels, for σ = 1 eV/Å of the forces of displaced cells."""

    def __init__(self, allotropes: Allotropes, fit: GapFit, folder: Path):
        crystals = {name: to_ase(phonon.unitcell) for name, phonon in allotropes.phonons.items()}
        settings = allotropes.campaign.datasets.constraints
        assert settings is not None, "the campaign has no `datasets.constraints`"
        frames = [frame for labels in allotropes.labels.values() for frame in labels]
        frames += constraint_frames(crystals, settings)
        folder.mkdir(parents=True, exist_ok=True)
        cache, e0s = Cache(folder.parent / "cache", 8), dict.fromkeys(set(frames[0].symbols), 0.0)
        plan = plan_sparse_points(fit, frames)
        choose_sparse_points(GapTask(fit, frames, e0s, plan, folder, 1, cache))
        terms = read_terms(folder / MODEL)
        unit = {"sigma": Sigma(force_ev_per_angstrom=1.0), "force_proportional": None}
        unscaled = fit.model_copy(update=unit)
        cells = training_cells([(a, targets_of(a, unscaled, e0s)) for a in frames], terms)
        design = Design(terms, cells, Caches(descriptors=cache))
        self.frames, self.rows = frames, list(design.all_rows())
        self.classes = [classes_of(cell.environments).force for cell in cells]
        jitter = fit.sparse_jitter
        factors = [cholesky(sparse_covariance(term, jitter)) for term in terms]
        self.prior = np.pad(np.asarray(block_diag(*factors)), (0, 1))

    def triangles(self, sigma: float, exponent: float) -> dict[str, np.ndarray]:
        """Eliminated rows of each crystal for a uniform σ of its forces."""
        found = {}
        scales = balance(self.frames, exponent)
        for name in sorted({frame.info["structure"] for frame in self.frames}):
            triangle = Triangle(np.zeros_like(self.prior))
            for frame, rows, scale in zip(self.frames, self.rows, scales, strict=True):
                if frame.info["structure"] == name:
                    constraint = frame.info["kind"] == "constraint"
                    triangle.add([rows if constraint else rows / (sigma * scale)])
            found[name] = triangle.r
        return found

    def coefficients(self, triangles: Sequence[np.ndarray]) -> np.ndarray:
        """The fit to some crystals."""
        triangle = Triangle(np.zeros_like(self.prior))
        for rows in (*triangles, self.prior):
            triangle.merge(rows.copy(order="F"))  # merging overwrites it
        return triangle.solve()

    def forces(self, structure: str, coefficients: np.ndarray) -> Iterator[np.ndarray]:
        """Forces (atoms, 3) in eV/Å on the displaced cells of a crystal."""
        for frame, rows, classes in zip(self.frames, self.rows, self.classes, strict=True):
            if frame.info["structure"] == structure and frame.info["kind"] == "displaced":
                members = np.bincount(classes)
                merged = (rows[:, :-1] @ coefficients).reshape(-1, 3)
                yield -(merged / np.sqrt(members)[:, None])[classes]


class Errors:
    """RMSE of frequencies on the band path of each crystal, in the reference cell."""

    def __init__(self, allotropes: Allotropes):
        self.allotropes = allotropes

    @cached_property
    def _known(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        found = {}
        for name, phonon in self.allotropes.phonons.items():
            path: BandPath = band_path(to_ase(phonon.primitive), self.allotropes.path_settings)
            points = np.concatenate(path.segments)
            found[name] = points, self._frequencies(phonon, points)
        return found

    @staticmethod
    def _frequencies(phonon: Any, points: np.ndarray) -> np.ndarray:
        return np.sort(phonon.run_qpoints(points).frequencies, axis=1)

    def of(self, name: str, forces: Iterator[np.ndarray]) -> float:
        """RMSE in THz of the phonons that follow from forces on the displaced cells."""
        points, known = self._known[name]
        found = self._frequencies(with_forces(self.allotropes.phonons[name], list(forces)), points)
        return float(np.sqrt(np.mean((found - known) ** 2)))


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign")
    parser.add_argument("fit")
    parser.add_argument("--sigma", type=float, nargs="+", default=[1e-5, 1e-4, 1e-3, 1e-2])
    parser.add_argument("--balance", type=float, nargs="+", help="exponents; default: the fit's")
    parser.add_argument("--soap", type=yaml.safe_load, default={}, help="changed settings, in YAML")
    parser.add_argument("--mirrors", type=Path, nargs="*", default=[Path("../shared/data")])
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the results")
    asked = parser.parse_args()
    campaign = load_campaign(f"config/campaigns/{asked.campaign}.yaml")
    settings = campaign.fits[asked.fit].model_dump(exclude_unset=True)
    settings["soap"] = {**settings.get("soap", {}), **asked.soap}
    fit = fits.recipe(settings)
    assert isinstance(fit, GapFit), f"{asked.fit} is no GAP"
    allotropes = Allotropes(campaign, asked.mirrors, points=11)
    errors = Errors(allotropes)
    covariances = Covariances(allotropes, fit, asked.out / "scan")
    rows = []
    for exponent in asked.balance or [fit.balance_exponent]:
        for sigma in asked.sigma:
            triangles = covariances.triangles(sigma, exponent)
            row: dict[str, Any] = {"sigma": sigma, "balance": exponent}
            everything = covariances.coefficients(list(triangles.values()))
            inside = [errors.of(name, covariances.forces(name, everything)) for name in triangles]
            row["in_sample_thz"] = np.mean(inside)
            outside = {}
            for name in triangles:
                learnt = [r for other, r in triangles.items() if other != name]
                without = covariances.coefficients(learnt)
                outside[name] = errors.of(name, covariances.forces(name, without))
            row |= {"left_out_thz": np.mean([*outside.values()]), **outside}
            rows.append(row)
            print(pd.DataFrame([row]).round(4).to_string(index=False), flush=True)
    pd.DataFrame(rows).to_csv(asked.out / "sigma_scan.csv", index=False)


if __name__ == "__main__":
    main()
