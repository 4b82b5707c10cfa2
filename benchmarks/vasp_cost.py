"""Compare the cost model of VASP (phonsmith.labels.vasp.cost.VASP) with recorded runs, and fit it.

python benchmarks/vasp_cost.py FOLDER      with POSCAR.gz and OUTCAR.gz in folders below
"""

import gzip
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from ase.io import read
from scipy.optimize import nnls

from phonsmith.labels.vasp.cost import VASP, vasp_size


def measured(outcar: Path) -> dict[str, object]:
    """What a static run says of itself, and the size by the model."""
    text = ""
    for path in (outcar.with_name("INCAR.gz"), outcar):
        with gzip.open(path, "rt", errors="replace") as stream:
            text += stream.read()

    def number(pattern: str) -> float:
        return float(re.search(pattern, text)[1])

    atoms = read(outcar.with_name("POSCAR.gz"), format="vasp")
    cores = int(number(r"running on +(\d+) total cores"))
    spacing, cutoff = number(r"KSPACING *= *([\d.]+)"), number(r"ENCUT *= *([\d.]+)")
    return {
        "run": outcar.parents[1].name,
        "size": vasp_size(atoms, number(r"NELECT = +([\d.]+)"), cutoff, spacing),
        "cores": cores,
        "kpoints": int(number(r"NKPTS = +(\d+)")),
        "bands": int(number(r"NBANDS= +(\d+)")),
        "plane_waves": number(r"maximum number of plane-waves: +(\d+)"),
        "scf_steps": len(re.findall(r"Iteration ", text)),
        "core_seconds": cores * number(r"Elapsed time \(sec\): +([\d.]+)"),
        "memory_mb": cores * number(r"Maximum memory used \(kb\): +([\d.]+)") * 1024 / 1e6,
    }


def main(folder: Path) -> None:
    """Print the table and the constants that fit it best."""
    runs = [measured(path) for path in sorted(folder.glob("*mp-*/outputs/OUTCAR.gz"))]
    rows, features = [], []
    for one in runs:
        size = one.pop("size")
        cost = VASP.run(size, one["cores"])
        features.append([VASP.steps(size.atoms) * f for f in VASP.features(size)[:2]])
        rows.append(
            {
                **one,
                "kpoints_model": size.kpoints,
                "plane_waves_model": round(size.plane_waves),
                "time_ratio": round(cost.core_seconds / one["core_seconds"], 2),
                "memory_ratio": round(cost.memory_mb / one["memory_mb"], 2),
            }
        )
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    seconds = table["core_seconds"].to_numpy(float)
    constants, _ = nnls(np.array(features) / seconds[:, None], np.ones(len(rows)))
    print("fft {:.2e}, algebra {:.2e}".format(*constants))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
