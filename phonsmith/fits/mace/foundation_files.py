"""Files of a foundation model, checked before anything is computed."""

from pathlib import Path

from phonsmith.files.errors import PhonsmithError, Problems
from phonsmith.files.pickles import check_torch_file, require_known
from phonsmith.fits.kind import Made
from phonsmith.fits.mace.settings import Foundation


def check_foundation(foundation: Foundation, where: str, made: Made) -> None:
    """Check that model and replay data exist and that the model may be loaded.

    Parameters
    ----------
    foundation
        Settings of the foundation.
    where
        Key of the foundation in the campaign, named in error messages.
    made
        Function that returns whether a file will be made by a campaign; such files are not
        checked. It raises PhonsmithError for a result that no campaign makes.

    Raises
    ------
    PhonsmithError
        A file is missing, or the model is damaged or may not be loaded.
    """
    problems = Problems()
    here = known = False
    model = foundation.file or ""
    with problems.of(f"{where}.model"):
        here = bool(model) and not made(model)
        if here and not Path(model).is_file():
            here = False
            raise PhonsmithError(f"{model}: no such model file; correct the path")
    with problems.of(f"{where}.sha256"):
        if here:
            require_known(Path(model), foundation.sha256, foundation.trust)
            known = True
    with problems.of(f"{where}.model"):
        if known:
            check_torch_file(Path(model))
    replay = foundation.replay.file if foundation.replay else None
    with problems.of(f"{where}.replay.file"):
        if replay and not made(replay) and not Path(replay).is_file():
            raise PhonsmithError(f"{replay}: no such file")
    problems.raise_all()
