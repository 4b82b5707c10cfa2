"""SOAP similarity and the map of data sets."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.disorder.crystals import ReferenceCrystal
from phonsmith.disorder.settings import SimilaritySoap
from phonsmith.disorder.similarity import References, average_soap, kernel_map, similarity
from phonsmith.files.errors import PhonsmithError
from tests.disorder.examples import diamond, rotated

SOAP = SimilaritySoap()
SMALL = SimilaritySoap(n_max=4, l_max=3)
FCC = bulk("Si", "fcc", 3.9)


def rattled(seed: int, std: float) -> Atoms:
    frame = diamond(2)
    frame.rattle(std, seed=seed)
    return frame


@pytest.mark.parametrize("average", ["power-spectrum", "density"])
def test_a_structure_is_similar_to_itself_in_any_description(average):
    settings = SimilaritySoap(average=average)
    frame = rattled(1, 0.2)
    copies = [frame, rotated(frame), frame.repeat((2, 1, 1))]
    for copy in copies:
        assert similarity(frame, copy, settings) == pytest.approx(1, abs=1e-6)
    primitive = bulk("Si", "diamond", 5.43)
    assert similarity(primitive, diamond(2), settings) == pytest.approx(1, abs=1e-9)


def test_similarity_falls_with_disorder_and_differs_between_crystals():
    perfect = diamond(2)
    falling = [similarity(perfect, rattled(1, std), SOAP) for std in (0.0, 0.1, 0.3, 0.6)]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] - falling[-1] > 0.1
    assert similarity(perfect, FCC, SOAP) < falling[-1]
    assert similarity(perfect, FCC, SOAP) == pytest.approx(similarity(FCC, perfect, SOAP))


def test_similarity_is_the_power_of_the_normalised_product_of_averages():
    """With quippy's vectors, averaged here."""
    from quippy.descriptors import Descriptor

    text = (
        "soap cutoff=5.0 atom_sigma=0.5 n_max=10 l_max=6 cutoff_transition_width=2.0 "
        "n_species=1 species_Z={14} n_Z=1 Z={14}"
    )
    pair = [rattled(2, 0.3), FCC]
    first, second = (Descriptor(text).calc(frame)["data"].mean(axis=0) for frame in pair)
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert similarity(*pair, SOAP) == pytest.approx(cosine**4, abs=1e-12)
    linear = SOAP.model_copy(update={"zeta": 1})
    assert similarity(*pair, linear) == pytest.approx(cosine, abs=1e-12)


def test_elements_are_distinguished():
    gaas, silicon = bulk("GaAs", "zincblende", 5.43), diamond(1)
    assert similarity(gaas, silicon, SMALL) < 0.6
    with pytest.raises(PhonsmithError, match=r"atomic numbers \[31, 33\] are missing"):
        average_soap(gaas, [14], SMALL)


def test_references_at_fixed_and_scaled_lattice():
    crystals = [
        ReferenceCrystal.of("diamond", bulk("Si", "diamond", 5.43), 0.0),
        ReferenceCrystal.of("diamond", bulk("Si", "diamond", 5.25), 12.0),
        ReferenceCrystal.of("fcc", FCC, 12.0),
        ReferenceCrystal(name="bct", pressure_gpa=0.0, reason="became another structure"),
    ]
    references = References(crystals, SMALL)
    compressed = bulk("Si", "diamond", 5.25)
    table = references.similarities(compressed, 12.3).set_index(["crystal", "lattice"])
    assert table["similarity"]["diamond", "scaled"] == pytest.approx(1)
    fixed = table["similarity"]["diamond", "fixed"]
    assert fixed == pytest.approx(similarity(compressed, bulk("Si", "diamond", 5.43), SMALL))
    assert table["crystal_pressure_gpa"]["diamond", "fixed"] == 0
    assert table["crystal_pressure_gpa"]["diamond", "scaled"] == 12
    assert np.isnan(table["similarity"]["bct"]).all()
    # between the pressures of the crystals nothing is compared
    between = references.similarities(compressed, 6.0).set_index(["crystal", "lattice"])
    assert between["similarity"].isna().to_dict() == {
        ("bct", "fixed"): True,
        ("bct", "scaled"): True,
        ("diamond", "fixed"): False,
        ("diamond", "scaled"): True,
        ("fcc", "fixed"): False,
        ("fcc", "scaled"): True,
    }
    with pytest.raises(PhonsmithError, match="'hcp' is unknown; known: bct, diamond, fcc"):
        references.at("hcp")


def test_map_separates_sets_and_keeps_distances():
    sets = {
        "diamond": [rattled(seed, 0.1) for seed in range(4)],
        "fcc": [FCC.repeat(3 + i % 2) for i in range(2)],
    }
    table = kernel_map(sets, SMALL)
    assert table["set"].tolist() == ["diamond"] * 4 + ["fcc"] * 2
    assert table["index"].tolist() == [0, 1, 2, 3, 0, 1]
    places = table[["component_1", "component_2"]].to_numpy()
    assert places[4] == pytest.approx(places[5], abs=1e-6)
    # two nearly equal groups: one component holds their distance, d² = 2 - 2k
    distance = np.linalg.norm(places[:4].mean(axis=0) - places[4])
    expected = np.sqrt(2 - 2 * similarity(sets["diamond"][0], FCC, SMALL))
    assert distance == pytest.approx(expected, rel=0.02)
    assert table["variance_1_percent"].iloc[0] > 95
    assert places.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)


def test_map_of_equal_structures_is_a_point():
    table = kernel_map({"one": [diamond(1)] * 3}, SMALL)
    assert np.abs(table[["component_1", "component_2"]].to_numpy()).max() < 1e-6
    with pytest.raises(PhonsmithError, match="at least three"):
        kernel_map({"one": [diamond(1)]}, SMALL)


def test_map_does_not_depend_on_the_order_of_structures():
    frames = [rattled(seed, 0.1 * (1 + seed)) for seed in range(4)]
    forth = kernel_map({"one": frames}, SMALL)
    back = kernel_map({"one": frames[::-1]}, SMALL)
    pd.testing.assert_frame_equal(
        forth[["component_1", "component_2"]],
        back[["component_1", "component_2"]].iloc[::-1].reset_index(drop=True),
        atol=1e-8,
    )
