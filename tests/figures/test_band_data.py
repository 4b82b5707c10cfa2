"""Packed band structures of the report."""

import base64
import gzip
import json

import numpy as np
import pytest

from phonsmith.figures.band_data import (
    BandFiles,
    BandsOfFit,
    CrystalBands,
    as_json,
    pack_bands,
    worst_first,
)
from tests.figures.examples import LOOKS, RMSE, chain, table


def test_packed_bands_are_those_of_the_spectra():
    reference, fit = chain(), chain(1.02, -1.5)
    data = as_json(CrystalBands("a", reference, [BandsOfFit(LOOKS["gap"], fit, 0.25)]))
    for found, wanted in ((data["reference"], reference), (data["fits"][0], fit)):
        bands = np.cumsum(found["bands"], axis=1) / 1000
        assert np.allclose(bands.T, wanted.frequencies_thz, rtol=0, atol=5.1e-4)
        dos = np.cumsum(found["dos"]) / 10_000
        start = np.argmin(abs(wanted.dos_frequencies_thz - found["dos_from"]))
        assert dos == pytest.approx(wanted.dos[start : start + len(dos)], abs=5.1e-5)
        assert dos.sum() * found["dos_pitch"] == pytest.approx(3, abs=1e-2)
    q = [np.linspace(*one["q"], one["n"]) for one in data["segments"]]
    assert np.concatenate(q) == pytest.approx(reference.qpoints, abs=1e-4)
    x = [np.linspace(*one["x"], one["n"]) for one in data["segments"]]
    assert x[1][0] > x[0][-1] + 0.01  # a gap at the jump of the path
    assert [name for *_, name in data["marks"]] == ["Γ", "X_1|K", "Γ"]


def test_a_text_unpacks_to_its_crystal():
    load = {"a": CrystalBands("a", chain(), [])}.get
    (packed,) = pack_bands({"a": None}, load)
    data = json.loads(gzip.decompress(base64.b64decode(packed.text)))
    assert data == as_json(load("a"))


def test_the_worst_crystals_come_first_and_those_without_rmse_last():
    rmse = table({**RMSE, ("gap", "lost", "relaxed"): None})
    found = worst_first(["lost", "mp-165", "mp-149"], rmse[rmse["cell"] == "relaxed"])
    assert list(found.items()) == [("mp-149", 0.9), ("mp-165", 0.7), ("lost", None)]


def test_crystals_are_limited_by_number_and_by_bytes():
    largest = dict.fromkeys("abcd")

    def load(name):
        return None if name == "a" else CrystalBands(name, chain(), [])

    every = pack_bands(largest, load)
    assert [one.structure for one in every] == ["b", "c", "d"]
    assert [one.structure for one in pack_bands(largest, load, most=2)] == ["b", "c"]
    size = len(every[0].text)
    assert len(pack_bands(largest, load, most_bytes=2 * size + 1)) == 2
    assert pack_bands(largest, load, most_bytes=size - 1) == []


def test_spectra_are_read_where_the_fit_has_an_rmse(tmp_path):
    chain().save(tmp_path / "mp-149.npz")
    (tmp_path / "mp-165.npz").touch()  # no phonons
    (tmp_path / "gap").mkdir()
    chain(1.1).save(tmp_path / "gap/mp-149.npz")
    files = BandFiles(
        {name: tmp_path / f"{name}.npz" for name in ("mp-165", "mp-149")},
        {"gap": tmp_path / "gap.json", "mace": tmp_path / "mace.json"},
        {"gap": "GAP", "mace": "MACE"},
        table({**RMSE, ("mace", "mp-149", "relaxed"): None}),
        "relaxed",
    )
    gap, mace = files.load("mp-149").fits
    assert (gap.rmse_thz, gap.look.label) == (0.1, "GAP")
    assert gap.spectrum.frequencies_thz == pytest.approx(chain(1.1).frequencies_thz)
    assert (mace.spectrum, mace.reason) == (None, "space group changed")
    assert [one.structure for one in files.packed()] == ["mp-149"]
