"""MACE models, in float64 unless the arguments set another precision."""

from pathlib import Path
from typing import Any

from ase.calculators.calculator import BaseCalculator

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.pickles import check_torch_file
from phonsmith.potentials.settings import PotentialSource
from phonsmith.potentials.torch_precision import with_dtype


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator of a model file; with ``device: auto`` on a GPU if available."""
    import torch
    from mace.calculators import MACECalculator

    arguments = {"device": "auto", "default_dtype": "float64", **source.arguments}
    if arguments["device"] == "auto":
        arguments["device"] = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = str(arguments["default_dtype"])
    # a list, since MACE expands * ? [ ] in a text
    calculator = with_dtype(dtype, lambda: MACECalculator(model_paths=[source.model], **arguments))
    if arguments.get("head") is not None:
        check_head(calculator, arguments["head"])
    return calculator


def check_head(calculator: Any, head: str) -> None:
    """Raise PhonsmithError if a MACE lacks the head: it would silently use its last head."""
    if head not in calculator.available_heads:
        raise PhonsmithError(
            f"calculator 'mace': the model has no head '{head}'; available are "
            f"{', '.join(calculator.available_heads)}"
        )


def elements(source: PotentialSource) -> frozenset[str] | None:
    """Return None: unknown before the model is loaded."""
    return None


def check_model(source: PotentialSource) -> None:
    """Check that the model is a file of torch."""
    if source.model is not None:
        check_torch_file(Path(source.model))


def check_arguments(source: PotentialSource) -> None:
    """Accept: no argument loads a file."""
