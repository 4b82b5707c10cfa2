"""Cells that steer a training and do not train."""

from phonsmith.fits import training as fits
from phonsmith.fits.validation import validation_split
from tests.fits.examples import TINY, names_of


def test_a_cell_drawn_twice_does_not_train_and_steer(silicon):
    cells = fits.learnable(silicon, TINY.model_copy(update={"resampled": True}), True)
    for seed in range(5):
        learning, steering, overlap = validation_split(cells, 0.2, seed)
        assert not overlap and not set(names_of(learning)) & set(names_of(steering))
        assert len(learning) + len(steering) == len(cells)


def test_validation_is_stratified_seeded_and_spares_displaced_cells(silicon, displaced):
    frames = [atoms.copy() for atoms in silicon] * 2 + [displaced]
    for i, atoms in enumerate(frames[:-1]):
        atoms.info.update(structure="ab"[i % 2], index=i)
    learning, validation, overlap = validation_split(frames, 0.25, 0)
    assert not overlap
    assert [a.info["structure"] for a in validation].count("a") == 4
    assert [a.info["structure"] for a in validation].count("b") == 4
    assert len(learning) + len(validation) == len(frames)
    assert any(a.info["kind"] == "displaced" for a in learning)
    assert not {id(a) for a in learning} & {id(a) for a in validation}
    again = validation_split(frames, 0.25, 0)[1]
    assert [id(a) for a in again] == [id(a) for a in validation]
    assert [id(a) for a in validation_split(frames, 0.25, 1)[1]] != [id(a) for a in validation]


def test_only_displaced_cells_all_train(displaced):
    learning, validation, overlap = validation_split([displaced], 0.1, 0)
    assert overlap
    assert learning == validation == [displaced]
