"""What made a label: code, version, settings, effort."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self

from ase import Atoms


@dataclass(frozen=True)
class Provenance:
    """What made a label, as flat keys in the label's info.

    ``settings`` names the file in the label store with all settings, pseudopotentials' checksums
    included: the beginning of the fingerprint's SHA-256. ``remedies`` lists what was changed after
    a failed try, in words. Numbers are None where the method has none.
    """

    code: str
    code_version: str
    settings: str
    wall_time_s: float
    cores: int = 1
    scf_steps: int | None = None
    memory_mb: float | None = None
    remedies: str | None = None

    def write(self, label: Atoms) -> None:
        """Put the keys into the info of a label."""
        label.info.update({key: value for key, value in asdict(self).items() if value is not None})

    @classmethod
    def of(cls, label: Atoms) -> Self | None:
        """Return the provenance of a label, or None where it has none."""
        found = {key: label.info[key] for key in KEYS if key in label.info}
        return cls(**found) if "code" in found else None


KEYS = tuple(Provenance.__dataclass_fields__)


def without_provenance(frames: Iterable[Atoms]) -> list[Atoms]:
    """Copy labels without their provenance."""
    copies = [frame.copy() for frame in frames]
    for copy in copies:
        for key in KEYS:
            copy.info.pop(key, None)
    return copies


def settings_name(fingerprint: str) -> str:
    """Short name of a fingerprint."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
