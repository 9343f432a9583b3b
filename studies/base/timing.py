"""Timings compared within one run: subjects take turns, so that other load slows all of them alike."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Clock = Callable[[], float]
Reading = Callable[[], float]
"""Measures once: seconds per call, or bytes."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How many readings to take, and how long each is."""

    repeats: int = 21
    block_seconds: float = 0.2
    budget_seconds: float = 120.0

    @classmethod
    def quick(cls) -> "Pace":
        """For a quick check that everything runs: its ratios are not reliable."""
        return cls(repeats=3, block_seconds=0.01, budget_seconds=20.0)


@dataclass(frozen=True)
class Spread:
    """A median with its confidence interval."""

    median: float
    low: float
    high: float


def waiter(device: torch.device) -> Callable[[], None]:
    """Wait until a device has finished all its work."""
    return (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)


def timed(
    action: Callable[[], object], pace: Pace, wait: Callable[[], None], clock: Clock = time.perf_counter
) -> tuple[Reading, int]:
    """Time an action, in blocks of calls long enough for the clock."""

    def block(calls: int) -> float:
        collects = gc.isenabled()
        gc.disable()
        try:
            wait()
            start = clock()
            for _ in range(calls):
                action()
            wait()
            return clock() - start
        finally:
            if collects:
                gc.enable()

    block(2)
    calls = 1
    while (seconds := block(calls)) < pace.block_seconds:
        grown = math.ceil(1.1 * calls * pace.block_seconds / seconds) if seconds > 0 else 10 * calls
        calls = min(max(grown, calls + 1), 10 * calls)
    return lambda: block(calls) / calls, calls


def seconds_of(action: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Time one call."""
    start = clock()
    action()
    return clock() - start


def interleave(
    readings: Mapping[str, Reading],
    pace: Pace,
    clock: Clock = time.perf_counter,
    on_round: Callable[[int], None] = lambda done: None,  # noqa: ARG005
) -> dict[str, list[float]]:
    """Read all subjects in turn: A B C, C B A, A B C, ..."""
    values: dict[str, list[float]] = {name: [] for name in readings}
    start, names = clock(), list(readings)
    for done in range(pace.repeats):
        spent = clock() - start
        if done >= 3 and spent * (done + 1) / done > pace.budget_seconds:
            break
        for name in names if done % 2 == 0 else reversed(names):
            values[name].append(readings[name]())
        on_round(done + 1)
    return values


def ratios(values: Sequence[float], reference: Sequence[float]) -> list[float]:
    """The ratio of two subjects in each round."""
    return [value / other for value, other in zip(values, reference, strict=True)]


def spread(values: Sequence[float]) -> Spread:
    """The median, with its distribution-free 95 % interval from order statistics."""
    ordered, n = sorted(values), len(values)
    outside, k = 0.0, 0
    while (outside := outside + 2 * math.comb(n, k) / 2**n) <= 0.05:
        k += 1
    k = max(k, 1)
    return Spread(statistics.median(ordered), ordered[k - 1], ordered[n - k])
