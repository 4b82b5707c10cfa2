"""Default precision of torch, which libraries set for the whole process."""

import contextlib
from collections.abc import Callable, Iterator

from ase.calculators.calculator import BaseCalculator


def with_dtype(dtype: str, build: Callable[[], BaseCalculator]) -> BaseCalculator:
    """Build a torch calculator that works in ``dtype`` despite changes by other libraries.

    MACE sets torch's default for the whole process and relies on it later, which breaks CHGNet.
    """
    with torch_dtype(dtype):
        calculator = build()
    calculator.calculate = torch_dtype(dtype)(calculator.calculate)
    return calculator


@contextlib.contextmanager
def torch_dtype(dtype: str) -> Iterator[None]:
    """Set torch's default precision ("float32" or "float64") in the body."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)
