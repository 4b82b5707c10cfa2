"""Training noise of repeats."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from phonsmith.generations.repeats import Sample, difference_in_words


def test_a_sample_is_mean_deviation_and_count() -> None:
    sample = Sample.of([1.0, 2.0, 3.0])
    assert (sample.mean, sample.deviation, sample.count) == (2.0, 1.0, 3)
    assert Sample.of([1.0]) == Sample(1.0, None, 1)


def test_differs_is_scipys_welch_test() -> None:
    random = np.random.default_rng(1)
    for shift in (0.0, 1.0, 2.0, 3.0, 5.0):
        one, other = random.normal(0, 1, 4), random.normal(shift, 2, 3)
        expected = ttest_ind(one, other, equal_var=False).pvalue < 0.05
        assert Sample.of(one).differs_from(Sample.of(other)) == expected


@pytest.mark.parametrize("count", [3, 4, 10])
def test_equal_recipes_differ_in_at_most_one_of_twenty_cases(count: int) -> None:
    """Comparing |Δ| with the deviations of single fits says so in 16 % of cases for three."""
    random = np.random.default_rng(count)
    draws = random.normal(0.1, 0.01, (2000, 2, count))
    found = [Sample.of(one).differs_from(Sample.of(other)) for one, other in draws]
    assert 0.02 < np.mean(found) < 0.065


def test_fewer_than_three_repeats_are_not_assessed() -> None:
    three = Sample.of([1.0, 1.1, 0.9])
    for few in (Sample.of([5.0]), Sample.of([5.0, 5.1])):
        assert few.differs_from(three) is None and three.differs_from(few) is None


def test_repeats_without_noise_differ_where_their_numbers_do() -> None:
    same, other = Sample.of([0.1] * 3), Sample.of([0.2] * 3)
    assert same.differs_from(same) is False and same.differs_from(other) is True


def test_in_words() -> None:
    assert difference_in_words(True, [3, 3]) == "significant, n = 3"
    assert difference_in_words(False, [3, 4]) == "not significant, n = 3 and 4"
    assert difference_in_words(None, [1, 1]) == "not assessed, n = 1"
