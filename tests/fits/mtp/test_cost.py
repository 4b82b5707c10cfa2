"""Costs of moment tensor potentials, compared with a measurement."""

import time

import pytest
from ase.build import bulk

from phonsmith.fits.kind import TrainedKind
from phonsmith.fits.mtp.cost import seconds_per_atom, training_cost
from phonsmith.fits.mtp.kind import KIND
from phonsmith.fits.mtp.settings import MtpFit
from phonsmith.running.costs import JOB_START_S
from tests.fits.examples import train

SILICON = [bulk("Si", a=5.43, cubic=True) * (2, 2, 2)]
START = 2 * JOB_START_S
LEVELS = [8, 12, 16, 20, 24]


def fit_of(level, **changes):
    return MtpFit(kind="mtp", level=level, **changes)


def test_evaluation_costs_as_much_as_benchmarks_mtp_measured():
    measured = [0.5e-5, 1.3e-5, 3.0e-5, 7.3e-5, 19.6e-5]
    for level, seconds in zip(LEVELS, measured, strict=True):
        estimate = seconds_per_atom(fit_of(level), SILICON)
        assert estimate == pytest.approx(seconds + 1e-5, rel=0.25)  # and the list of neighbours


def test_a_training_costs_more_at_a_higher_level_and_with_more_elements():
    costs = [training_cost(fit_of(level), SILICON).core_seconds for level in LEVELS]
    assert costs == sorted(costs)
    carbide = [bulk("SiC", "zincblende", a=5.43, cubic=True) * (2, 2, 2)]
    assert training_cost(fit_of(16), carbide).core_seconds > costs[2]
    few = training_cost(fit_of(16, max_iterations=2), SILICON).core_seconds
    assert few - START < 0.5 * (costs[2] - START)


def test_memory_grows_with_processes():
    single, double = (
        training_cost(fit_of(16, resources={"threads": threads}), SILICON).memory_mb
        for threads in (1, 2)
    )
    assert single < double < 3000


def test_the_estimate_of_a_training_is_of_the_right_size(silicon, tmp_path):
    fit = fit_of(12, max_iterations=10)
    begin = time.process_time()
    train(fit, silicon, tmp_path)
    used = time.process_time() - begin
    assert 0.2 < (training_cost(fit, silicon).core_seconds - START) / used < 5


def test_what_the_plan_asks_for():
    assert isinstance(KIND, TrainedKind) and not KIND.takes_gpu(fit_of(16))
    assert KIND.busy_cores(fit_of(16, resources={"threads": 20})) == 8
    (key, values), *rest = KIND.smaller(fit_of(8))
    assert key == "level" and not rest
    assert [(value, fit.level) for value, fit in values] == [(6, 6), (4, 4), (2, 2)]
