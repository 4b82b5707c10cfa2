"""Packed band structures of the report."""

import base64
import gzip
import json
import re
from collections import Counter
from itertools import product

import numpy as np
import pytest
from ase.build import bulk

from phonsmith.figures.band_data import (
    BandFiles,
    BandsOfFit,
    CrystalBands,
    as_json,
    crystal_as_json,
    pack_bands,
    worst_first,
)
from phonsmith.files.extxyz import write_frames
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


def test_a_crystal_is_shown_with_its_atoms_on_faces_edges_and_corners():
    rocksalt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    rocksalt.positions += 1e-5  # as after a relaxation
    rocksalt.positions[0] -= 2e-5
    found = crystal_as_json(rocksalt)
    assert [symbol for symbol, *_ in found["species"]] == ["Cl", "Na"]
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for _, colour, _ in found["species"])
    counts = Counter(number for number, *_ in found["atoms"])
    # 8 corners and 6 faces of one, 12 edges and the centre of the other
    assert counts == {1: 14, 0: 13}
    corners = {tuple(np.round(np.array(atom[1:]) / 5.6, 2)) for atom in found["atoms"]}
    assert corners >= set(product((0.0, 1.0), repeat=3))
    assert crystal_as_json(rocksalt * (4, 4, 4)) is None  # too many atoms


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
    write_frames(tmp_path / "mp-149.xyz", [bulk("Si")])
    files = BandFiles(
        {name: tmp_path / f"{name}.npz" for name in ("mp-165", "mp-149")},
        {"gap": tmp_path / "gap.json", "mace": tmp_path / "mace.json"},
        labels={"gap": "GAP", "mace": "MACE"},
        rmse=table({**RMSE, ("mace", "mp-149", "relaxed"): None}),
        cell="relaxed",
        crystals={name: tmp_path / f"{name}.xyz" for name in ("mp-165", "mp-149")},
    )
    gap, mace = files.load("mp-149").fits
    assert (gap.rmse_thz, gap.look.label) == (0.1, "GAP")
    assert gap.spectrum.frequencies_thz == pytest.approx(chain(1.1).frequencies_thz)
    assert (mace.spectrum, mace.reason) == (None, "space group changed")
    assert [one.structure for one in files.packed()] == ["mp-149"]
