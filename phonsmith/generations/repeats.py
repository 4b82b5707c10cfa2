"""Training noise: what repeats of a fit reveal about a number, and whether two numbers differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

LEAST_REPEATS = 3
"""Two values give a standard deviation that is right within a factor of ten or so: too little."""

LEVEL = 0.05
"""Share of equal pairs that may be called different."""


@dataclass(frozen=True)
class Sample:
    """Mean, standard deviation (``ddof = 1``) and count of a number over the repeats of a fit.

    The deviation is training noise: repeats that learn from equal labels do not show how far other
    labels would move the number. ``deviation`` is None for a single fit.
    """

    mean: float
    deviation: float | None
    count: int

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Return the sample of at least one value."""
        numbers = np.asarray(values, dtype=float)
        deviation = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
        return cls(float(numbers.mean()), deviation, len(numbers))

    def differs_from(self, other: "Sample") -> bool | None:
        """Return whether two means differ: Welch's t-test, two-sided, at the level of 5 %.

        None, not assessed, where either has fewer than three values. B. L. Welch, Biometrika 34,
        28 (1947).
        """
        from scipy.stats import ttest_ind_from_stats

        if min(self.count, other.count) < LEAST_REPEATS:
            return None
        assert self.deviation is not None and other.deviation is not None
        if self.deviation == other.deviation == 0:  # all repeats alike: there is no noise
            return self.mean != other.mean
        found = ttest_ind_from_stats(
            *(self.mean, self.deviation, self.count),
            *(other.mean, other.deviation, other.count),
            equal_var=False,
        )
        return bool(found.pvalue < LEVEL)


def difference_in_words(differs: bool | None, counts: Sequence[int]) -> str:
    """Describe the result of :meth:`Sample.differs_from`, with the numbers of repeats.

    >>> difference_in_words(False, [3, 3])
    'not significant, n = 3'
    >>> difference_in_words(None, [3, 2])
    'not assessed, n = 3 and 2'
    """
    words = {True: "significant", False: "not significant", None: "not assessed"}[differs]
    return f"{words}, n = {' and '.join(map(str, dict.fromkeys(counts)))}"
