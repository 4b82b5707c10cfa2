"""The precision of torch, which libraries set for a whole process."""

import contextlib
from collections.abc import Callable, Iterator

from ase.calculators.calculator import BaseCalculator


def with_dtype(dtype: str, build: Callable[[], BaseCalculator]) -> BaseCalculator:
    """Build a torch calculator that works in ``dtype`` whatever others of the process set.

    MACE sets torch's default for the whole process, and relies on it later; CHGNet breaks then.
    """
    with torch_dtype(dtype):
        calculator = build()
    calculator.calculate = torch_dtype(dtype)(calculator.calculate)
    return calculator


@contextlib.contextmanager
def torch_dtype(dtype: str) -> Iterator[None]:
    """torch's default precision ("float32" or "float64") while the body runs."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)
