"""The choice among candidates: farthest points, committee, random."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from scipy.spatial.distance import cdist

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.selection import (
    Environments,
    disagreement,
    environments,
    farthest,
    group_of,
    select,
    shared_out,
    soap_environments,
)
from phonsmith.supercells.settings import Selection, SoapDescriptor
from tests.supercells.examples import DIAMOND, SILICON, rattled


def points(*values: float, number: int = 14) -> Environments:
    vectors = np.array(values, dtype=float).reshape(-1, 1)
    return Environments(np.full(len(values), number), vectors)


def test_farthest_points_on_a_line() -> None:
    candidates = [points(x) for x in (0.1, 1, 6, 9, 10)]
    # 10 is farthest from 0, then 6 (4 from 10, 6 from 0), then 9 and 1 (both at distance 1)
    assert farthest(candidates, [points(0)], 5) == [4, 2, 1, 3, 0]
    assert farthest(candidates, [points(0), points(10)], 2) == [2, 1]
    assert farthest(candidates, [points(0)], 2, weights=[0, 1, 0, 1, 0]) == [3, 1]


def test_a_cell_is_as_far_as_its_atoms_on_average() -> None:
    odd, strained = points(0, 0, 0, 7), points(2, 2, 2, 2)
    assert farthest([odd, strained], [points(0)], 2) == [1, 0]


def test_elements_are_compared_with_their_own() -> None:
    known = [points(0, number=14), points(5, number=50)]
    near, far = points(5.1, number=50), points(3, number=14)
    assert farthest([near, far], known, 1) == [1]
    unknown = points(0, number=32)
    assert farthest([near, far, unknown], known, 1) == [2]


def brute_force(candidates: list[Environments], known: list[Environments], count: int) -> list[int]:
    """The greedy choice by its definition, everything anew for each step."""
    chosen: list[int] = []
    for _ in range(count):
        labelled = known + [candidates[i] for i in chosen]
        scores = []
        for i, one in enumerate(candidates):
            distances = [
                min(
                    np.linalg.norm(vector - other)
                    for cell in labelled
                    for n, other in zip(cell.numbers, cell.vectors, strict=True)
                    if n == number
                )
                for number, vector in zip(one.numbers, one.vectors, strict=True)
            ]
            scores.append(-1.0 if i in chosen else np.mean(distances))
        chosen.append(int(np.argmax(scores)))
    return chosen


@pytest.mark.parametrize("block", [3, 4_000_000])
def test_greedy_choice_equals_brute_force(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phonsmith.supercells.selection._BLOCK", block)
    random = np.random.default_rng(5)

    def cell() -> Environments:
        numbers = np.array([14, 50, *random.choice([14, 50], size=random.integers(0, 4))])
        return Environments(numbers, random.normal(size=(len(numbers), 3)))

    for _ in range(5):
        candidates, known = [cell() for _ in range(12)], [cell() for _ in range(3)]
        assert farthest(candidates, known, 6) == brute_force(candidates, known, 6)


def test_cells_unlike_the_labelled_ones_come_first() -> None:
    labelled = rattled(0.01, 4)
    pool = [*rattled(0.01, 3, 10), labelled[0], *rattled(0.01, 1, 20, factor=1.08)]
    settings = Selection(method="farthest")
    assert select(pool, labelled, 1, settings, seed=0) == [4]
    assert select(pool, labelled, 5, settings, seed=0)[-1] == 3  # has its label already
    lone = Atoms("Si", cell=[20] * 3, pbc=True, info={"kind": "isolated_atom"})
    assert select(pool, [*labelled, lone], 5, settings, seed=0) == select(
        pool, labelled, 5, settings, seed=9
    )


def test_soap_knows_neither_order_nor_orientation_of_atoms() -> None:
    cell = bulk("NaCl", "rocksalt", a=5.6).repeat(2)
    cell.rattle(0.1, seed=1)
    order = np.random.default_rng(0).permutation(len(cell))
    turned = cell[order]
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    turned.translate([0.3, 0.2, 0.1])
    turned.wrap()
    one, other = soap_environments([cell, turned], SoapDescriptor())
    assert len(cell) == 16
    np.testing.assert_allclose(np.linalg.norm(one.vectors, axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(one.vectors[order], other.vectors, atol=1e-7)
    np.testing.assert_array_equal(one.numbers[order], other.numbers)
    distances = cdist(one.vectors, one.vectors) + 10 * np.eye(len(cell))
    assert distances.min() > 1e-3


def test_mace_tells_environments_by_its_own_features(tmp_path: Any) -> None:
    torch = pytest.importorskip("torch")
    model = tmp_path / "tiny.model"
    torch.save(_tiny_mace(), model)
    source = PotentialSource(calculator="mace", model=str(model), trust=True)
    settings = Selection(method="farthest", descriptor="mace")
    labelled = rattled(0.01, 2)
    pool = [*rattled(0.01, 3, 10), *rattled(0.01, 1, 20, factor=1.08)]
    before = torch.get_default_dtype()
    (one,) = environments(pool[:1], settings, source)
    assert torch.get_default_dtype() == before
    assert one.vectors.shape == (len(pool[0]), 8)  # two layers of four channels
    turned = pool[0].copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    (other,) = environments([turned], settings, source)
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-9)
    assert select(pool, labelled, 1, settings, seed=0, mace=source) == [3]


def _tiny_mace() -> Any:
    """An untrained MACE of four channels: its features are random, but features of MACE."""
    import torch
    from mace import modules  # before e3nn, whose files it lets torch load

    o3 = modules.blocks.o3

    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        return modules.ScaleShiftMACE(
            r_max=4.0,
            num_bessel=4,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls=modules.RealAgnosticResidualInteractionBlock,
            interaction_cls_first=modules.RealAgnosticResidualInteractionBlock,
            num_interactions=2,
            num_elements=1,
            hidden_irreps=o3.Irreps("4x0e"),
            MLP_irreps=o3.Irreps("4x0e"),
            atomic_energies=np.array([0.0]),
            avg_num_neighbors=10,
            atomic_numbers=[14],
            correlation=2,
            gate=torch.nn.functional.silu,
            atomic_inter_scale=1.0,
            atomic_inter_shift=0.0,
        )
    finally:
        torch.set_default_dtype(before)


def stronger(factor: float) -> PotentialSource:
    """Stillinger-Weber silicon with all energies and forces multiplied."""
    epsilon = 2.1683 * factor
    return PotentialSource(calculator="stillinger-weber", arguments={"epsilon": epsilon})


def test_disagreement_is_the_standard_deviation_of_forces() -> None:
    cells = rattled(0.03, 3)
    fits = [stronger(1.0), stronger(1.1), stronger(1.3)]
    forces = [one.forces for one in evaluate(cells, fits[0])]
    sizes = [np.sqrt((one**2).sum(axis=1).mean()) for one in forces]
    spread = np.std([1.0, 1.1, 1.3], ddof=1)
    np.testing.assert_allclose(disagreement(cells, fits), spread * np.array(sizes), rtol=1e-6)


def test_the_committee_takes_what_it_disagrees_on_and_no_copies_of_it() -> None:
    """Fits that differ by a factor disagree where forces are large."""
    (hot,) = rattled(0.06, 1, 30)
    (warm,) = rattled(0.04, 1, 31)
    pool = [*rattled(0.005, 3, 20), hot, hot.copy(), warm]
    settings = Selection(method="committee")
    chosen = select(pool, rattled(0.01, 2), 3, settings, seed=0, committee=[SILICON, stronger(1.2)])
    assert chosen[:2] == [3, 5]
    assert 4 not in chosen


class NoForces(Calculator):
    """A fit whose forces are no numbers."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.full((len(atoms), 3), np.nan)}


def test_a_fit_without_forces_cannot_judge(capsys: pytest.CaptureFixture[str]) -> None:
    """The others can, as long as there are two."""
    broken = PotentialSource(calculator=f"{__name__}:NoForces")
    cells = rattled(0.01, 1)
    with pytest.raises(UnusablePotential, match=r"fewer than two .* no forces for candidate 0"):
        disagreement(cells, [SILICON, broken])
    capsys.readouterr()
    found = disagreement(cells, [SILICON, broken, stronger(1.1)])
    assert "fit 2 of the committee is omitted" in capsys.readouterr().out
    np.testing.assert_array_equal(found, disagreement(cells, [SILICON, stronger(1.1)]))


def test_random_choice_follows_its_seed() -> None:
    pool = rattled(0.01, 1) * 30
    choices = [select(pool, [], 10, Selection(), seed=seed) for seed in (0, 0, 1)]
    assert choices[0] == choices[1] != choices[2]
    assert len(set(choices[0])) == 10
    counts = np.bincount(
        [i for seed in range(300) for i in select(pool, [], 10, Selection(), seed=seed)]
    )
    # each candidate 100 times on average, with a standard deviation of 8
    assert counts.min() > 60
    assert counts.max() < 140


def grouped(volumes: list[float], amplitudes: list[float], each: int) -> list[Atoms]:
    """Cells of every volume and amplitude; the strained ones are farther from the others."""
    cells = []
    for volume in volumes:
        for amplitude in amplitudes:
            for cell in rattled(0.02 * amplitude, each, int(1e4 * volume + 100 * amplitude)):
                strained = cell.copy()
                strained.set_cell(cell.cell * volume ** (1 / 3), scale_atoms=True)
                strained.info.update(volume_factor=volume, amplitude_factor=amplitude)
                cells.append(strained)
    return cells


@pytest.mark.parametrize("method", ["random", "farthest", "committee"])
def test_new_cells_are_shared_out_among_volumes_and_amplitudes(method: str) -> None:
    """Without quotas `farthest` takes the extreme volumes alone: they differ most from the rest."""
    volumes, amplitudes = [0.9, 1.0, 1.1], [1.0, 2.0]
    pool = grouped(volumes, amplitudes, 3)
    known = rattled(0.01, 2)
    settings = Selection(method=method)
    committee = [SILICON, stronger(1.2)]
    chosen = select(pool, known, 6, settings, seed=1, committee=committee)
    assert len(set(chosen)) == 6
    assert sorted(group_of(pool[i]) for i in chosen) == sorted(
        (volume, amplitude) for volume in volumes for amplitude in amplitudes
    )
    three = [
        group_of(pool[i]) for i in select(pool, known, 3, settings, seed=1, committee=committee)
    ]
    assert {volume for volume, _ in three} == set(volumes)
    assert {amplitude for _, amplitude in three} == set(amplitudes)


def test_scores_decide_within_a_group() -> None:
    near, far = rattled(0.001, 1)[0], rattled(0.05, 1, 7)[0]
    extreme = rattled(0.001, 1, 9, factor=1.2)[0]
    for cell, volume in ((near, 1.0), (far, 1.0), (extreme, 1.2)):
        cell.info.update(volume_factor=volume, amplitude_factor=1.0)
    pool = [near, far, extreme]
    assert select(pool, rattled(0.001, 3, 20), 2, Selection(method="farthest"), seed=0) == [1, 2]


def test_generations_go_on_where_the_last_one_stopped() -> None:
    groups = [(v, a) for v in (0.9, 1.0, 1.1) for a in (1.0, 2.0)] * 2
    turns = [shared_out(groups, 2, 2 * generation) for generation in range(3)]
    assert sorted(group for turn in turns for group in turn) == sorted(set(groups))
    # a group that is used up is passed over
    assert shared_out([(1.0, 1.0), (1.1, 1.0), (1.1, 1.0)], 3) == [(1, 1), (1.1, 1), (1.1, 1)]


@pytest.mark.parametrize(
    ("pool", "count", "settings", "message"),
    [
        ([], 1, {}, "no candidates; raise selection.pool_size"),
        ([DIAMOND], 2, {}, "2 cells cannot be selected from 1 candidates"),
        ([DIAMOND], 1, {"method": "committee"}, "requires at least two fits, found 0"),
        ([DIAMOND], 1, {"method": "farthest", "descriptor": "mace"}, "requires a fit of kind mace"),
    ],
)
def test_errors_say_what_to_do(
    pool: list[Atoms], count: int, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(PhonsmithError, match=message):
        select(pool, [], count, Selection(**settings), seed=0)
