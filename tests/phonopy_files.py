"""Files of phonopy and the phonons in them."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from phonopy import Phonopy

from phonsmith.potentials.settings import PotentialSource

QS = [[0, 0, 0], [0.5, 0.1, 0.2], [0.3, 0.5, 0]]
SW = PotentialSource(calculator="stillinger-weber")


def frequencies(phonon: Phonopy) -> np.ndarray:
    return np.asarray(phonon.run_qpoints(QS).frequencies)


def content_of(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
    return path
