"""Phonons of two recorded sets against each other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import Places, sha256_of
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.phonons.files import save_phonons
from phonsmith.phonons.force_constants import reference_phonons
from tests.phonopy_files import content_of, frequencies, write


def test_recorded_forces_of_a_potential_are_compared(shared_data: Path, tmp_path: Path) -> None:
    """Forces times 1.21 are frequencies times 1.1; the same forces are no error at all."""
    from phonsmith.fits.recorded.settings import RecordedFit
    from phonsmith.fits.recorded.taking import fetch_fit, write_fit
    from phonsmith.phonons.recorded import recorded_phonons
    from phonsmith.structures.settings import Relaxation

    folder = shared_data / "si-castep"
    reference = read_recorded(folder / "22_phonopy.yaml", "phonopy", "si")
    assert reference.phonon is not None
    truth = reference_phonons(reference.phonon, reference.frames)
    mirror = tmp_path / "si"
    mirror.mkdir()
    same = (folder / "22_phonopy.yaml").read_bytes()
    (mirror / "same.yaml").write_bytes(same)
    scaled = content_of(folder / "22_phonopy.yaml")
    for one in scaled["displacements"]:
        one["forces"] = (1.21 * np.array(one["forces"])).tolist()
    write(mirror / "scaled.yaml", scaled)
    wider = content_of(folder / "22_phonopy.yaml")
    for key in ("unit_cell", "primitive_cell", "supercell"):
        wider[key]["lattice"] = (1.01 * np.array(wider[key]["lattice"])).tolist()
    write(mirror / "wider.yaml", wider)
    names = ("same", "scaled", "wider")
    fit = RecordedFit.model_validate(
        {
            "kind": "recorded",
            "level_of_theory": "scaled PW91",
            "source": {
                "name": "si",
                "files": {f"{name}.yaml": sha256_of(mirror / f"{name}.yaml") for name in names},
            },
            "files": {name: f"{name}.yaml" for name in names},
        }
    )
    write_fit(fit, fetch_fit(fit, Places([tmp_path], tmp_path / "cache")), tmp_path)
    for name, factor in (("same", 1.0), ("scaled", 1.1)):
        found, verdict = recorded_phonons(
            "reference", truth, tmp_path / f"{name}.yaml", Relaxation()
        )
        assert not verdict.reason
        assert np.allclose(frequencies(found), factor * frequencies(truth), atol=1e-4)
    path = tmp_path / "wider.yaml"
    _, verdict = recorded_phonons("reference", truth, path, Relaxation())
    assert "another cell (strain 0.01, volume +3.03 %)" in verdict.reason
    found, verdict = recorded_phonons("relaxed", truth, path, Relaxation())
    assert not verdict.reason
    assert np.allclose(frequencies(found), frequencies(truth), atol=1e-4)
    _, verdict = recorded_phonons("relaxed", truth, tmp_path / "none.yaml", Relaxation())
    assert "the fit has no forces of this crystal" in verdict.reason

    other = read_recorded(folder / "24_phonopy.yaml", "phonopy", "si")
    assert other.phonon is not None
    save_phonons(tmp_path / "other.yaml", reference_phonons(other.phonon, other.frames))
    with pytest.raises(
        PhonsmithError, match="other: lattice vectors, orientation or atom positions of Si4 differ"
    ):
        recorded_phonons("relaxed", truth, tmp_path / "other.yaml", Relaxation())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        (
            {"fits": {"gap": {"kind": "gap"}}},
            "structures.a.role: force constants contain no labels",
        ),
        (
            {"fits": {"p": {"files": {"b": "a.yaml"}}}},
            "fits.p.files.b: not a benchmarked structure",
        ),
        ({"fits": {"p": {"files": {"a": "b.yaml"}}}}, "'b.yaml' is not in source.files"),
        (
            {"benchmarks": {"mechanics": True}},
            "fits.p: benchmarks.mechanics cannot be computed from recorded forces",
        ),
        (
            {"structures": {"a": {"recorded_format": "phonopy"}}},
            "structures.a.recorded_supercell: phonopy data contain the supercell",
        ),
        (
            {"structures": {"a": {"file": None}}},
            "structures.a.file: force_constants data do not contain the crystal",
        ),
    ],
)
def test_settings_of_recorded_phonons(changes: dict[str, Any], reason: str) -> None:
    from pydantic import ValidationError

    from phonsmith.campaign.model import Campaign

    source = {"name": "x", "files": {"FORCE_CONSTANTS": "0" * 64, "a.yaml": "0" * 64}}
    structure = {
        "file": "POSCAR",
        "recorded": "FORCE_CONSTANTS",
        "recorded_format": "force_constants",
        "recorded_supercell": [2, 2, 2],
    }
    fit = {"kind": "recorded", "level_of_theory": "GAP", "source": source, "files": {"a": "a.yaml"}}
    fits = {
        name: {**(fit if name == "p" else {}), **one}
        for name, one in changes.get("fits", {"p": {}}).items()
    }
    settings = {
        "structures": {"a": {**structure, **changes.get("structures", {}).get("a", {})}},
        "reference": {"method": "recorded", "level_of_theory": "PBE", "source": source},
        "fits": fits,
        "benchmarks": changes.get("benchmarks", {}),
    }
    if not reason:
        Campaign.model_validate(settings)
        return
    with pytest.raises(ValidationError, match=reason):
        Campaign.model_validate(settings)
