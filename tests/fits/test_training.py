"""Which cells a fit learns from."""

import pytest
from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY
from phonsmith.fits import training as fits
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.record import DRAWN_AGAIN
from tests.fits.examples import gap_fit, names_of


def test_learn_from_chooses_kinds(silicon, displaced):
    frames = [*silicon[:2], displaced]
    fit = gap_fit(learn_from=["displaced"])
    assert [a.info["kind"] for a in fits.learnable(frames, fit, False)] == ["displaced"]
    assert not any(ENERGY in a.info for a in fits.learnable(silicon, gap_fit(), False))
    assert all(ENERGY in a.info for a in silicon)
    with pytest.raises(PhonsmithError, match="no labelled cell of kind displaced"):
        fits.learnable(silicon, fit, True)


def test_cells_drawn_with_replacement_keep_their_groups(silicon, displaced):
    lone = Atoms("Si", cell=[15] * 3, pbc=True)
    lone.info.update({"structure": "Si", "kind": "isolated_atom", "index": 0, ENERGY: 0.0})
    frames = [*silicon, displaced, lone]
    draws = [fits.learnable(frames, gap_fit(resampled=True, seed=seed), True) for seed in range(4)]
    for cells in draws:
        kinds = [one.info["kind"] for one in cells]
        assert kinds.count("rattled") == len(silicon)
        assert kinds.count("displaced") == kinds.count("isolated_atom") == 1
        assert set(names_of(cells)) < set(names_of(frames))  # some are missing
        again = [one for one in cells if DRAWN_AGAIN in one.info]
        assert len(cells) - len(again) == len(set(names_of(cells)))
    assert len({tuple(names_of(cells)) for cells in draws}) == 4
    assert names_of(draws[1]) == names_of(
        fits.learnable(frames, gap_fit(resampled=True, seed=1), True)
    )
    few = fits.learnable(frames, gap_fit(resampled=True, training_cells=5), True)
    subset = fits.learnable(frames, gap_fit(training_cells=5), True)
    assert set(names_of(few)) <= set(names_of(subset))


def test_fewer_training_cells_are_among_more(silicon):
    atom = Atoms("Si", cell=[20] * 3, pbc=True, info={"kind": "isolated_atom", "index": 0})

    def learnt(number, seed=0):
        fit = gap_fit(training_cells=number, seed=seed)
        frames = fits.learnable([*silicon, atom], fit, True)
        assert sum(one.info["kind"] == "isolated_atom" for one in frames) == 1
        return {one.info["index"] for one in frames if one.info["kind"] != "isolated_atom"}

    assert len(learnt(4)) == 4
    assert learnt(4) < learnt(7)
    assert learnt(4, seed=1) != learnt(4)
    with pytest.raises(PhonsmithError, match="training_cells: 500 requested"):
        learnt(500)


def test_fewer_distilled_cells_keep_the_other_kinds(silicon) -> None:
    frames = [*silicon]
    for index in range(20):
        cell = silicon[-1].copy()
        cell.info |= {"kind": "distilled", "structure": "press", "index": index}
        frames.append(cell)

    def chosen(number, seed):
        fit = gap_fit(distilled_cells=number, seed=seed)
        cells = fits.learnable(frames, fit, True)
        distilled = [one.info["index"] for one in cells if one.info["kind"] == "distilled"]
        assert len(cells) - len(distilled) == len(fits.learnable(silicon, gap_fit(), True))
        return set(distilled)

    assert len(chosen(4, 0)) == 4 and len(chosen(20, 0)) == 20
    assert chosen(4, 0) < chosen(9, 0)
    assert chosen(4, 0) != chosen(4, 1)
    with pytest.raises(PhonsmithError, match=r"distilled_cells: 21 requested, .* has 20; lower it"):
        chosen(21, 0)


def test_a_fit_of_all_distilled_cells_has_its_former_identity() -> None:
    assert "distilled_cells" not in gap_fit().identity()
    assert gap_fit(distilled_cells=3).identity()["distilled_cells"] == 3


def test_a_change_of_one_architecture_leaves_the_fits_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = gap_fit().identity()
    assert "version" not in before
    monkeypatch.setattr(GapFit, "VERSION", 2)
    assert gap_fit().identity() == before | {"version": 2}
