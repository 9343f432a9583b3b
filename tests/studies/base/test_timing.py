"""Timing, with clocks and costs that are known."""

import numpy as np
import pytest
from scipy.stats import binom

from studies.base.timing import Pace, spread, timed


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self):
        self.now = self.queued = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds

    def queue(self, seconds):
        self.queued += seconds

    def wait(self):
        self.now, self.queued = self.now + self.queued, 0.0


@pytest.mark.parametrize("cost", [1e-6, 0.013, 0.5])
def test_a_reading_is_the_cost_of_one_call_in_blocks_that_are_long_enough(cost):
    clock = Clock()
    reading, calls = timed(lambda: clock.work(cost), Pace(block_seconds=0.2), clock.wait, clock)
    assert reading() == pytest.approx(cost)
    assert calls == 1 if cost > 0.2 else 0.2 <= calls * cost < 0.3


@pytest.mark.parametrize("n", range(1, 41))
def test_the_interval_of_the_median_is_the_narrowest_that_covers_it_in_95_percent(n):
    found = spread(np.random.default_rng(n).permutation(n).astype(float).tolist())
    k = int(found.low) + 1
    assert found.median == (n - 1) / 2
    assert found.high == n - k
    if n >= 6:
        assert 1 - 2 * binom.cdf(k - 1, n, 0.5) >= 0.95 > 1 - 2 * binom.cdf(k, n, 0.5)
    else:
        assert k == 1
