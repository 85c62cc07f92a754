"""Calls timed in turns, so that what else the machine does meets all of them.

The order is drawn anew in each round, so that nobody always comes after the same one: a call may leave threads behind
that spin for a while, and caches full of its own.
"""

import math
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.report.samples import Samples

SEED = 20261127
MIN_TURN_SECONDS = 0.003
"""A shorter call is repeated within its turn, so that the clock's own time does not count."""


def take_turns(calls: Mapping[str, Callable[[], Any]], seconds: float, *, min_rounds: int = 5) -> dict[str, Samples]:
    """Return the seconds of one call in each round, of as many rounds as fit in this time."""
    repeats = {name: _repeats(call) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    generator, begun, rounds = np.random.default_rng(SEED), perf_counter(), 0
    while rounds < min_rounds or perf_counter() - begun < seconds:
        for name in generator.permutation(list(calls)):
            taken[name].append(timed(calls[name], repeats[name]))
        rounds += 1
    return {name: Samples(found) for name, found in taken.items()}


def _repeats(call: Callable[[], Any]) -> int:
    timed(call, 2)  # compiles, and warms caches
    return max(1, math.ceil(MIN_TURN_SECONDS / timed(call, 1)))


def timed(call: Callable[[], Any], repeats: int) -> float:
    """Seconds of one call, on the average; what it returns is dropped between two of them, as a caller would."""
    begun = perf_counter()
    for _ in range(repeats):
        call()
    return (perf_counter() - begun) / repeats
