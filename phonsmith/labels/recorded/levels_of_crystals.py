"""The levels of theory of recorded crystals, kept by crystal and compared between crystals.

Those of one crystal are compared where they are read, by
:func:`phonsmith.labels.recorded.reading.check_levels`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Self

from phonsmith.files.cautions import Cautions
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import listed
from phonsmith.labels.recorded.readers.levels import OF_CRYSTALS, Level, mixture, smearings


class RecordedFacts(Cautions):
    """Facts found in the recorded data of one crystal: warnings, and levels of theory of the runs.

    Each level has a file that states it.
    """

    IN_WORDS = "the warnings and levels of theory of recorded data"

    levels: tuple[tuple[str, Level], ...] = ()

    @classmethod
    def of(cls, levels: Sequence[tuple[str, Level]], cautions: Sequence[str] = ()) -> Self:
        """One file for each that differs in what is compared, distances of k-points to 0.01/Å.

        Of equal ones that with the largest entropy of the electrons.
        """
        kept: dict[str, tuple[str, Level]] = {}
        for file, level in levels:
            formula, volume, spacing = level.mesh or ("", 0.0, 0.0)
            what = f"{level} {level.contents} {level.version} {level.isolated} {level.smearing}"
            key = f"{what} {formula} {volume:.0f} {spacing:.2f}"
            if key not in kept or level.entropy > kept[key][1].entropy:
                kept[key] = (file, level)
        return cls(cautions=tuple(cautions), levels=tuple(kept.values()))


def compare_crystals(
    found: Mapping[str, RecordedFacts], learnt: Collection[str], *, allow_mixed: bool
) -> list[str]:
    """Compare the levels of theory of recorded crystals.

    Parameters
    ----------
    found
        Facts found in the data of each crystal.
    learnt
        Structures that fits learn from: their energies have to belong to one surface. Crystals may
        be spin-polarised or not, depending on their magnetism.
    allow_mixed
        Accept several levels of theory.

    Returns
    -------
    Cautions for readers of the results.

    Raises
    ------
    PhonsmithError
        Fits would learn from several levels of theory, without ``allow_mixed``.
    """
    taught = [one for name in found if name in learnt for one in found[name].levels]
    if not allow_mixed and (mixed := mixture(taught, apart_from=OF_CRYSTALS)):
        raise PhonsmithError(
            f"structures: fits would learn from several levels of theory: {mixed}; give a crystal "
            "of another level `role: benchmark`, or set "
            "`datasets.allow_mixed_levels_of_theory: true`"
        )
    cautions = []
    if mixed := mixture([one for levels in found.values() for one in levels.levels]):
        cautions.append(f"Recorded crystals are of several levels of theory: {mixed}.")
    if mixed := smearings(taught):
        cautions.append(f"Fits learn from free energies of different smearing: {mixed}.")
    crystals_of: dict[str, list[str]] = {}
    for name, levels in found.items():
        for version in dict.fromkeys(_code_and_version(level) for _, level in levels.levels):
            crystals_of.setdefault(version, []).append(name)
    crystals_of.pop("", None)
    if len(crystals_of) > 1:
        each = listed([f"{version} ({', '.join(names)})" for version, names in crystals_of.items()])
        cautions.append(f"Recorded labels of {len(crystals_of)} codes or versions: {each}.")
    return cautions


def _code_and_version(level: Level) -> str:
    """Code and release, without dates and builds: VASP 5.4.4; "" if the version is unknown."""
    release = re.match(r"\d+(\.\d+){0,2}", level.version)
    return f"{level.code} {release[0]}" if release else ""
