"""Fit a polynomial potential; runs in the environment of pypolymlp, in the folder of its input.

    python program.py

reads ``training.npz`` and ``settings.json`` and writes ``polymlp.yaml`` and ``report.json``. The
features of the cells, the form of the potential and its file are pypolymlp's. The regression is
not: pypolymlp weights all forces below 1 eV/Å alike, whereas the forces of displaced cells, which
are smaller than those of rattled cells by a factor of hundred, determine the phonons.

This file imports nothing of phonsmith, and pypolymlp only where it is used: phonsmith reads it too.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

TRAINING, SETTINGS, MODEL, REPORT = "training.npz", "settings.json", "polymlp.yaml", "report.json"
BATCH_MB = 300.0
"""Memory of the features that are computed together."""
SMALLEST = 1e-12
"""Features whose weighted norm is below this share of the largest norm are omitted."""
CELL_ROWS = 7
"""Equations of a cell beside the forces: energy and virial."""


def main() -> None:
    """Read the input, fit, and write the potential with a report."""
    from pypolymlp.mlp_dev.core.dataclass import PolymlpDataMLP
    from pypolymlp.mlp_dev.core.features_attr import get_num_features

    settings = json.loads(Path(SETTINGS).read_text(encoding="utf-8"))
    with np.load(TRAINING, allow_pickle=False) as found:
        data = dict(found)
    params = parameters(settings)
    count = get_num_features(params)
    rows = int(np.count_nonzero(data["weights"]))
    print(f"{count} features, {rows} equations", flush=True)
    solve = by_equations if rows < count else by_features
    coefficients, scales, tried = solve(params, data, count, settings["exponents"])
    potential = PolymlpDataMLP(coeffs=coefficients, scales=scales, params=params)
    potential.save_mlp(filename=MODEL)
    report = {"features": count, "equations": rows, "tried": tried}
    Path(REPORT).write_text(json.dumps(report), encoding="utf-8")


def parameters(settings: Mapping[str, Any]) -> Any:
    """Return the form of the potential."""
    from pypolymlp.core.params import PolymlpParams
    from pypolymlp.core.params_utils import set_all_params

    return PolymlpParams(
        set_all_params(
            elements=settings["elements"],
            atomic_energy=settings["atomic_energies"],
            cutoff=settings["cutoff_angstrom"],
            n_gaussians=settings["n_gaussians"],
            gtinv_order=len(settings["max_l"]) + 1,
            gtinv_maxl=settings["max_l"],
            model_type=settings["model_type"],
            max_p=settings["polynomial_order"],
            include_force=True,
            include_stress=True,
        )
    )


# --- regression ---------------------------------------------------------------------------------

Solution = tuple[Any, Any, list[dict[str, float]]]
"""Coefficients of scaled features, scales, and the evidence of each regularisation."""


def by_features(
    params: Any, data: Mapping[str, Any], count: int, exponents: Sequence[float]
) -> Solution:
    """Solve X'X c = X'y, where there are more equations than features."""
    matrix, side, norm, rows = np.zeros((count, count)), np.zeros(count), 0.0, 0
    for x, y in equations(params, data, count):
        matrix += x.T @ x
        side += x.T @ y
        norm += float(y @ y)
        rows += len(y)
    scales = scales_of(np.sqrt(np.diag(matrix)))
    matrix /= np.outer(scales, scales)
    side /= scales
    found, tried = most_evident(
        matrix, side, rows, exponents, lambda alpha, z: norm - float(side @ z)
    )
    return found, scales, tried


def by_equations(
    params: Any, data: Mapping[str, Any], count: int, exponents: Sequence[float]
) -> Solution:
    """Solve XX' z = y with c = X'z, where there are fewer equations than features."""
    parts = zip(*equations(params, data, count), strict=True)
    x, y = (np.concatenate(some) for some in parts)
    scales = scales_of(np.sqrt(np.einsum("ij,ij->j", x, x)))
    x /= scales
    found, tried = most_evident(
        x @ x.T, y, len(y), exponents, lambda alpha, z: alpha * float(y @ z)
    )
    return x.T @ found, scales, tried


def scales_of(norms: Any) -> Any:
    """Return the norms of features; infinity for those that the data do not determine."""
    return np.where(norms < SMALLEST * norms.max(), np.inf, norms)


def most_evident(
    matrix: Any,
    side: Any,
    rows: int,
    exponents: Sequence[float],
    minimum: Callable[[float, Any], float],
) -> tuple[Any, list[dict[str, float]]]:
    """Solve (matrix + alpha) z = side for the alpha of the largest evidence.

    The prior of a scaled coefficient is a Gaussian whose variance is 1 / alpha in units of the
    variance of the noise, which itself is that of the largest evidence: D. J. C. MacKay, Neural
    Comput. 4, 415 (1992).

    Parameters
    ----------
    matrix, side
        X'X and X'y, or XX' and y.
    rows
        Number of equations.
    exponents
        Decimal logarithms of alpha.
    minimum
        Function that returns the minimum of the regularised sum of squares for alpha and z.

    Returns
    -------
    z, and for each alpha: ``exponent``, ``evidence`` (logarithm), and ``noise``, the standard
    deviation of the noise in units of the expected errors.
    """
    best: Any = None
    tried: list[dict[str, float]] = []
    for exponent in exponents:
        alpha = 10.0**exponent
        whole = matrix.copy()
        whole[np.diag_indices_from(whole)] += alpha
        try:
            factor = cho_factor(whole, lower=True, overwrite_a=True)
        except np.linalg.LinAlgError:  # alpha is below the rounding errors
            continue
        found = cho_solve(factor, side)
        variance = minimum(alpha, found) / rows
        if variance <= 0:
            continue
        volume = 2 * float(np.log(np.diag(factor[0])).sum()) - len(side) * np.log(alpha)
        evidence = -0.5 * (rows * np.log(variance) + volume)
        if best is None or evidence > max(one["evidence"] for one in tried):
            best = found
        tried.append({"exponent": exponent, "evidence": evidence, "noise": variance**0.5})
        print(f"alpha 10^{exponent:g}: evidence {evidence:.1f}", flush=True)
    if best is None:
        raise SystemExit("the equations cannot be solved; raise regularisation_exponents")
    return best, tried


# --- equations ----------------------------------------------------------------------------------


def equations(params: Any, data: Mapping[str, Any], count: int) -> Iterator[tuple[Any, Any]]:
    """Yield weighted X and y of the equations of some cells after the other.

    Parameters
    ----------
    params
        Form of the potential.
    data
        ``atoms`` (cells,), ``cells`` (cells, 3, 3), ``positions`` (atoms, 3), ``types`` (atoms,);
        ``values`` and ``weights`` of all equations: for each cell the energy (eV), the six
        components of the virial in pypolymlp's order (eV), and the forces (eV/Å). The weight of
        what is not known is zero.
    count
        Number of features.
    """
    most = BATCH_MB * 1e6 / 8 / count
    sizes = CELL_ROWS + 3 * data["atoms"]
    ends = np.cumsum(sizes)
    begin = 0
    for number, end in enumerate(ends):
        following = ends[number + 1] if number + 1 < len(ends) else np.inf
        if following - (ends[begin] - sizes[begin]) <= most:
            continue
        here = slice(ends[begin] - sizes[begin], end)
        weights, values = data["weights"][here], data["values"][here]
        known = weights > 0
        x = features(params, cells_of(params, data, begin, number + 1))
        yield x[known] * weights[known, None], values[known] * weights[known]
        begin = number + 1


def cells_of(params: Any, data: Mapping[str, Any], begin: int, end: int) -> list[Any]:
    """Return cells in pypolymlp's form."""
    last = np.cumsum(data["atoms"])
    return [
        structure(
            params.elements,
            data["cells"][number],
            data["positions"][last[number] - data["atoms"][number] : last[number]],
            data["types"][last[number] - data["atoms"][number] : last[number]],
        )
        for number in range(begin, end)
    ]


def structure(elements: Sequence[str], cell: Any, positions: Any, types: Any) -> Any:
    """Return a cell in pypolymlp's form: lattice vectors and fractional coordinates in columns."""
    from pypolymlp.core.data_format import PolymlpStructure

    return PolymlpStructure(
        axis=cell.T,
        positions=np.linalg.solve(cell.T, positions.T),
        n_atoms=[int(np.sum(types == kind)) for kind in range(len(elements))],
        elements=[elements[kind] for kind in types],
        types=[int(kind) for kind in types],
    )


def features(params: Any, structures: Sequence[Any]) -> Any:
    """Return the features of cells: energy, virial and forces of each cell in turn.

    pypolymlp orders them by quantity: the energies of all cells, their virials, their forces.
    """
    from pypolymlp.cxx.lib import libmlpcpp

    sizes = [len(one.types) for one in structures]
    params.print_memory = False
    model = libmlpcpp.PotentialModel(
        params.as_dict(),
        [one.axis for one in structures],
        [one.axis @ one.positions for one in structures],
        [one.types for one in structures],
        [len(structures)],
        [True],
        sizes,
    )
    (forces,), (virials,) = model.get_fbegin(), model.get_sbegin()
    starts = np.cumsum([0, *sizes])
    order = [
        index
        for number, size in enumerate(sizes)
        for index in (
            number,
            *range(virials + 6 * number, virials + 6 * number + 6),
            *range(forces + 3 * starts[number], forces + 3 * (starts[number] + size)),
        )
    ]
    x = model.get_x()
    assert len(x) == len(order)
    return x[order]


if __name__ == "__main__":
    main()
