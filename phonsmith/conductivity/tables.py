"""Tidy tables of thermal conductivities."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from phonsmith.conductivity.jackknife import uncertainty
from phonsmith.conductivity.kappa import (
    COMPONENTS,
    FAILED,
    KappaResult,
    Modes,
    Series,
    along,
    kappa_sre,
    kappa_srme,
    mean_kappa,
)
from phonsmith.conductivity.settings import Conductivity


def direction_name(direction: Sequence[int]) -> str:
    """``[1-10]`` for (1, -1, 0)."""
    return "[" + "".join(str(one) for one in direction) + "]"


def conductivity_table(
    campaign: str, results: Sequence[KappaResult], settings: Conductivity
) -> pd.DataFrame:
    """Tabulate conductivities, one number per row.

    Columns: campaign, structure, method, solver, isotopes, non_analytical, transport, mesh,
    mesh_of, temperature_kelvin, component (xx … xy in Cartesian axes, mean, between bands (mean),
    [uvw]), kappa_w_per_m_k, uncertainty_w_per_m_k (by the jackknife, if requested),
    lowest_frequency_thz, imaginary_percent (of the modes on the mesh,
    without heat), reason. Published values are rows with their label as the method and their source
    as the reason.

    Parameters
    ----------
    campaign
        Name of the campaign.
    results
        Results of all structures and methods.
    settings
        Settings of the conductivity, which hold published values.
    """
    rows = [row for result in results for row in _rows(campaign, result, settings)]
    rows += [
        {
            "campaign": campaign,
            "structure": one.structure,
            "method": one.label,
            "temperature_kelvin": one.temperature_kelvin,
            "component": direction_name(one.direction) if one.direction else "mean",
            "kappa_w_per_m_k": one.kappa_w_per_m_k,
            "reason": f"published: {one.source}",
        }
        for one in settings.published
    ]
    columns = ["campaign", "structure", "method", "solver", "isotopes", "non_analytical"]
    columns += ["transport", "mesh", "mesh_of", "temperature_kelvin", "component"]
    columns += ["kappa_w_per_m_k", "uncertainty_w_per_m_k", "lowest_frequency_thz"]
    return pd.DataFrame(rows, columns=[*columns, "imaginary_percent", "reason"])


def _rows(campaign: str, result: KappaResult, settings: Conductivity) -> list[dict[str, Any]]:
    common = {
        "campaign": campaign,
        "structure": result.structure,
        "method": result.method,
        "mesh": mesh_name(result.mesh),
        "mesh_of": result.mesh_of,
        "lowest_frequency_thz": result.lowest_frequency_thz,
        "imaginary_percent": result.imaginary_percent,
        "reason": result.reason
        or "; ".join(filter(None, [_incomplete(result), _no_uncertainty(result)])),
    }
    if result.reason:
        return [common]
    rows = []
    for series in result.series:
        kind = series.model_dump(exclude={"kappa", "between_bands", "without_groups"})
        kind["mesh"] = mesh_name(series.mesh)
        for number, temperature in enumerate(result.temperatures_kelvin):
            errors = _uncertainties(result, series, number, settings)
            for component, value in _numbers(result, series, number, settings).items():
                rows.append(
                    {**common, **kind, "temperature_kelvin": temperature}
                    | {"component": component, "kappa_w_per_m_k": value}
                    | {"uncertainty_w_per_m_k": errors.get(component)}
                )
    return rows


def _uncertainties(
    result: KappaResult, series: Series, number: int, settings: Conductivity
) -> dict[str, float]:
    """Return the uncertainties by component; the part between bands has none."""
    if series.without_groups is None:
        return {}
    plain = series.model_copy(update={"between_bands": None})
    of_all = _numbers(result, plain, number, settings)
    each = [
        _numbers(result, plain.model_copy(update={"kappa": kappa}), number, settings)
        for kappa in series.without_groups
    ]
    return {name: uncertainty([one[name] for one in each], of_all[name]) for name in of_all}


def _no_uncertainty(result: KappaResult) -> str:
    return f"no uncertainty: {result.without_uncertainty}" if result.without_uncertainty else ""


def _numbers(
    result: KappaResult, series: Series, number: int, settings: Conductivity
) -> dict[str, float]:
    kappa = series.kappa[number]
    found = dict(zip(COMPONENTS, kappa, strict=True))
    found["mean"] = mean_kappa(kappa)
    if series.between_bands is not None:
        found["between bands (mean)"] = mean_kappa(series.between_bands[number])
    for direction in settings.directions:
        found[direction_name(direction)] = along(kappa, result.cell, direction)
    return found


def _incomplete(result: KappaResult) -> str:
    if not result.imaginary_percent:
        return ""
    return (
        f"{result.imaginary_percent:.2g} % of the modes are imaginary (down to "
        f"{result.lowest_frequency_thz:.2f} THz) and carry no heat"
    )


def mesh_name(mesh: Sequence[int]) -> str:
    """``11×11×11``."""
    return "×".join(str(n) for n in mesh)


def overview(table: pd.DataFrame) -> pd.DataFrame:
    """Means and directions of :func:`conductivity_table`, with a column for each temperature."""
    rows = table[~table["component"].isin(COMPONENTS)]
    keys = ["structure", "method", "solver", "isotopes", "non_analytical", "transport"]
    keys += ["mesh", "component"]
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows.to_dict("records"):
        key = tuple("" if pd.isna(row[name]) else row[name] for name in keys)
        line = found.setdefault(key, dict(zip(keys, key, strict=True)))
        if not pd.isna(row["temperature_kelvin"]):
            line[f"{row['temperature_kelvin']:g} K"] = row["kappa_w_per_m_k"]
            if not pd.isna(row["uncertainty_w_per_m_k"]):
                error = f"{row['temperature_kelvin']:g} K, uncertainty"
                line[error] = row["uncertainty_w_per_m_k"]
        line["remark"] = row["reason"]
    lines = pd.DataFrame(found.values())
    return lines[[*(one for one in lines if one != "remark"), "remark"]]


def errors_table(
    campaign: str,
    results: Sequence[KappaResult],
    modes: Sequence[Modes | None],
    settings: Conductivity,
) -> pd.DataFrame:
    """Tabulate κ_SRE and κ_SRME of every fit against the reference, one structure per row.

    Columns: campaign, structure, method, temperature_kelvin, kappa_w_per_m_k, reference_w_per_m_k,
    kappa_sre, kappa_srme, reason. Empty where there is no reference. Of the first kind of
    calculation, at the temperature of the cumulative conductivity.

    Parameters
    ----------
    campaign
        Name of the campaign.
    results
        Results of all structures and methods.
    modes
        Conductivity of single modes for each result; None where there is none.
    settings
        Settings of the conductivity.
    """
    wanted = settings.cumulative_kelvin or settings.temperatures_kelvin[0]
    references = {
        result.structure: own
        for result, own in zip(results, modes, strict=True)
        if result.method == "reference" and own is not None
    }
    rows = []
    for result, own in zip(results, modes, strict=True):
        reference = references.get(result.structure)
        if result.method == "reference" or reference is None:
            continue
        kappa = None if own is None else float(own.kappa.sum())
        known = float(reference.kappa.sum())
        srme = FAILED if own is None else kappa_srme(own.kappa, reference.kappa)
        rows.append(
            {
                "campaign": campaign,
                "structure": result.structure,
                "method": result.method,
                "temperature_kelvin": wanted,
                "kappa_w_per_m_k": kappa,
                "reference_w_per_m_k": known,
                "kappa_sre": kappa_sre(kappa, known),
                "kappa_srme": srme,
                "reason": result.reason,
            }
        )
    columns = ["campaign", "structure", "method", "temperature_kelvin", "kappa_w_per_m_k"]
    columns += ["reference_w_per_m_k", "kappa_sre", "kappa_srme", "reason"]
    return pd.DataFrame(rows, columns=columns)


def convergence_table(campaign: str, results: Sequence[KappaResult]) -> pd.DataFrame:
    """Mean conductivity against mesh, by the first kind of calculation.

    Columns: campaign, structure, method, mesh, mesh_of, q_points (of the whole mesh), solver,
    temperature_kelvin, kappa_w_per_m_k, change_percent (from the densest mesh of the same method
    and temperature; missing if there is no other mesh).
    """
    rows = []
    for result in results:
        rta = [one for one in result.series if one.solver == "rta"]
        if result.reason or not rta:
            continue
        for number, temperature in enumerate(result.temperatures_kelvin):
            rows.append(
                {
                    "campaign": campaign,
                    "structure": result.structure,
                    "method": result.method,
                    "mesh": mesh_name(result.mesh),
                    "mesh_of": result.mesh_of,
                    "q_points": result.q_points,
                    "solver": "rta",
                    "temperature_kelvin": temperature,
                    "kappa_w_per_m_k": mean_kappa(rta[0].kappa[number]),
                }
            )
    columns = ["campaign", "structure", "method", "mesh", "mesh_of", "q_points", "solver"]
    columns += ["temperature_kelvin", "kappa_w_per_m_k"]
    table = pd.DataFrame(rows, columns=columns)
    keys = ["structure", "method", "temperature_kelvin"]
    table = table.sort_values([*keys, "q_points"], kind="stable", ignore_index=True)
    kappas = table.groupby(keys)["kappa_w_per_m_k"]
    change = 100 * (table["kappa_w_per_m_k"] / kappas.transform("last") - 1)
    return table.assign(change_percent=change.where(kappas.transform("size") > 1))


def labels_table(
    campaign: str, methods: Sequence[str], records: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Tabulate the number of labels of third-order force constants, also for the other way.

    Columns: campaign, structure, method, way, recorded, supercell_atoms, labels (cells of the way
    that was taken), labels_displacements, labels_fit (of either way), failures, reason.

    Parameters
    ----------
    campaign
        Name of the campaign.
    methods
        Method of each record.
    records
        Records of third-order force constants.
    """
    rows = [
        {"campaign": campaign, "structure": record["structure"], "method": method, **record}
        for method, record in zip(methods, records, strict=True)
    ]
    columns = ["campaign", "structure", "method", "way", "recorded", "supercell_atoms", "labels"]
    columns += ["labels_displacements", "labels_fit", "failures", "reason"]
    return pd.DataFrame(rows, columns=columns)
