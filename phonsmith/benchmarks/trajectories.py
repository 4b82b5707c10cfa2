"""Errors of fits along molecular dynamics whose snapshots the reference method labelled."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.distillation.settings import AMORPHOUS, CRYSTAL, LIQUID, Dynamics, MeltQuench
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY

LAST_SNAPSHOTS = 5
"""Snapshots at the end of each part of a melt and quench, as in table II of George et al. 2020."""

ALONG = [
    *("fit", "data", "run", "time_ps", "thermostat_kelvin", "part", "energy_zero"),
    *("energy_error_ev_per_atom", "force_rmse_ev_per_angstrom", "force_mae_ev_per_angstrom"),
]
"""Columns of :func:`errors_along`."""

SAME_EV_PER_ATOM = 1e-5
"""Tables of predictions have eight digits."""


def errors_along(
    predictions: pd.DataFrame,
    frames: Sequence[Atoms],
    protocols: Mapping[str, Dynamics],
    fit: str,
    *,
    shifted: bool,
) -> pd.DataFrame:
    """Tabulate the errors of a fit on each snapshot of molecular dynamics.

    Parameters
    ----------
    predictions
        Table of :func:`phonsmith.fits.errors.predictions`; rows of the test set are used.
    frames
        Cells of the test set, in the order of the predictions.
    protocols
        Protocols of the runs by name of the data set; other data sets are omitted.
    fit
        Name of the fit.
    shifted
        Whether the energies of the fit were shifted to the labels, see
        :func:`phonsmith.fits.errors.predict_shifted`.

    Returns
    -------
    A row for each snapshot with the columns :data:`ALONG`, in the order of runs and times: energy
    of the fit minus label in eV per atom, and errors of the force components in eV/Å.
    ``energy_zero`` is ``label`` where both have the same zero of energy, otherwise ``shifted``.

    Raises
    ------
    PhonsmithError
        The predictions are of other cells.
    """
    test = predictions[predictions["set"] == "test"]
    errors = (test["prediction"] - test["reference"]).to_numpy(dtype=float)
    groups = test.reset_index(drop=True).groupby(["cell", "quantity"]).indices
    of_cells: dict[Any, NDArray[np.float64]] = {key: errors[rows] for key, rows in groups.items()}
    references = test[test["quantity"] == "energy"].set_index("cell")["reference"]
    rows = []
    for cell, frame in enumerate(frames):
        info = frame.info
        data = str(info.get("structure", ""))
        if data not in protocols or info.get("origin") != "dynamics":
            continue
        energy, forces = of_cells.get((cell, "energy")), of_cells.get((cell, "force"))
        if energy is None or forces is None or len(forces) != 3 * len(frame):
            raise PhonsmithError(_OTHER_CELLS.format(fit=fit, data=data))
        label = float(info[ENERGY]) / len(frame)
        if abs(float(references[cell]) - label) > max(SAME_EV_PER_ATOM, 1e-7 * abs(label)):
            raise PhonsmithError(_OTHER_CELLS.format(fit=fit, data=data))
        time_ps = float(info["time_ps"])
        rows.append(
            (
                *(fit, data, int(info["run"]), time_ps, float(info["thermostat_kelvin"])),
                protocols[data].part_at(time_ps).name,
                "shifted" if shifted else "label",
                float(energy[0]),
                float(np.sqrt(np.mean(forces**2))),
                float(np.mean(np.abs(forces))),
            )
        )
    table = pd.DataFrame(rows, columns=ALONG)
    return table.sort_values(["data", "run", "time_ps"], ignore_index=True)


_OTHER_CELLS = (
    "{fit}: the predictions are not of the snapshots of {data}; delete predictions.csv.gz of the "
    "fit and restart"
)


def melt_quench_table(along: pd.DataFrame, protocols: Mapping[str, Dynamics]) -> pd.DataFrame:
    """Tabulate errors over the last snapshots of crystal, liquid and amorphous solid.

    The counterpart of table II of George et al., J. Chem. Phys. 153, 044104 (2020).

    Parameters
    ----------
    along
        Table of :func:`errors_along` of all fits.
    protocols
        Protocols of the runs by name of the data set; those of melt and quench are tabulated.

    Returns
    -------
    A row for each fit, data set and part: ``temperature_kelvin``, number of ``snapshots`` (the last
    :data:`LAST_SNAPSHOTS` of the part, or fewer, of each run), ``energy_zero``, mean absolute and
    root mean square error of energies (eV per atom) and force components (eV/Å). Parts of a run
    that ended earlier are missing.
    """
    rows = []
    quenched = [name for name, one in protocols.items() if isinstance(one, MeltQuench)]
    for (fit, data), of_data in along.groupby(["fit", "data"], sort=False):
        if data not in quenched:
            continue
        for part in (CRYSTAL, LIQUID, AMORPHOUS):
            found = of_data[of_data["part"] == part].sort_values("time_ps")
            last = found.groupby("run").tail(LAST_SNAPSHOTS)
            if last.empty:
                continue
            energies = last["energy_error_ev_per_atom"].to_numpy()
            squares = last["force_rmse_ev_per_angstrom"].to_numpy() ** 2
            rows.append(
                {
                    **{"fit": fit, "data": data, "part": part},
                    "temperature_kelvin": float(last["thermostat_kelvin"].iloc[-1]),
                    "snapshots": len(last),
                    "energy_zero": last["energy_zero"].iloc[0],
                    "energy_mae_ev_per_atom": float(np.mean(np.abs(energies))),
                    "energy_rmse_ev_per_atom": float(np.sqrt(np.mean(energies**2))),
                    # all snapshots of a data set have equally many atoms
                    "force_mae_ev_per_angstrom": float(last["force_mae_ev_per_angstrom"].mean()),
                    "force_rmse_ev_per_angstrom": float(np.sqrt(squares.mean())),
                }
            )
    return pd.DataFrame(rows, columns=MELT_QUENCH)


MELT_QUENCH = [
    *("fit", "data", "part", "temperature_kelvin", "snapshots", "energy_zero"),
    *("energy_mae_ev_per_atom", "energy_rmse_ev_per_atom"),
    *("force_mae_ev_per_angstrom", "force_rmse_ev_per_angstrom"),
]
"""Columns of :func:`melt_quench_table`."""
