"""Files of a foundation model, checked before anything is computed."""

from pathlib import Path

from phonsmith.files.errors import PhonsmithError
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
        Function that returns whether a file will be made by the campaign; such files are not
        checked.

    Raises
    ------
    PhonsmithError
        A file is missing, or the model is damaged or may not be loaded.
    """
    model = foundation.file
    if model and not made(model):
        if not Path(model).is_file():
            raise PhonsmithError(f"{where}.model: {model}: no such model file; correct the path")
        try:
            require_known(Path(model), foundation.sha256, foundation.trust)
        except PhonsmithError as error:
            raise PhonsmithError(f"{where}.sha256: {error}") from None
        try:
            check_torch_file(Path(model))
        except PhonsmithError as error:
            raise PhonsmithError(f"{where}.model: {error}") from None
    replay = foundation.replay.file if foundation.replay else None
    if replay and not made(replay) and not Path(replay).is_file():
        raise PhonsmithError(f"{where}.replay.file: {replay}: no such file")
