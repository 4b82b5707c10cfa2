"""Map of the data of a campaign."""

import pytest

from phonsmith.disorder.data_map import data_map, sets_of
from phonsmith.disorder.settings import SimilaritySoap
from phonsmith.disorder.similarity import kernel_map
from tests.disorder.examples import diamond

SMALL = SimilaritySoap(n_max=4, l_max=3)


def cells(number, kind, structure, std=0.1):
    found = []
    for seed in range(number):
        frame = diamond(1)
        frame.rattle(std, seed=seed)
        frame.info = {"kind": kind, "structure": structure}
        found.append(frame)
    return found


def test_sets_are_named_by_their_origin():
    train = [
        *cells(1, "displaced", "mp-149"),
        *cells(2, "distilled", "press"),
        *cells(3, "recorded", "mlearn"),
        *cells(1, "isolated_atom", "mlearn"),
        *cells(1, "displaced", "mp-165"),
    ]
    test = [*cells(1, "recorded", "mlearn"), *cells(2, "distilled", "quench")]
    sizes = {name: len(frames) for name, frames in sets_of(train, test).items()}
    assert list(sizes.items()) == [
        *[("mlearn", 3), ("press", 2), ("displaced cells", 2)],
        *[("test: mlearn", 1), ("test: quench", 2)],
    ]


def test_large_sets_are_sampled_by_the_seed():
    sets = {"few": cells(4, "recorded", "few"), "many": cells(30, "distilled", "many", 0.3)}
    table = data_map(sets, SMALL, seed=1, most=10)
    assert table.groupby("set")["index"].count().to_dict() == {"few": 4, "many": 10}
    assert table.groupby("set")["cells"].first().to_dict() == {"few": 4, "many": 30}
    many = table[table["set"] == "many"]["index"].tolist()
    assert many == sorted(set(many)) and max(many) < 30 and many != list(range(10))
    assert data_map(sets, SMALL, seed=1, most=10).equals(table)
    other = data_map(sets, SMALL, seed=2, most=10)
    assert other[other["set"] == "many"]["index"].tolist() != many
    # without a limit the map of all cells
    whole = data_map(sets, SMALL, seed=1)
    places = ["component_1", "component_2"]
    assert whole[places].to_numpy() == pytest.approx(kernel_map(sets, SMALL)[places].to_numpy())
