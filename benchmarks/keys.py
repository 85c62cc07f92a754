"""Whether the time of a refusal tells anything of a key: Welch's t-test between two kinds of wrong keys.

`python -m benchmarks.keys` times the check of a request in random order, as many times as it says, and prints t for
each pair of kinds; from |t| = 4.5 on the times differ, as the tests for leaks by time have it (Reparaz, Balasch and
Verbauwhede, "Dude, is my code constant time?", 2017). As there, times beyond a percentile are left out, since they are
those of the machine; several percentiles are tried, and the largest |t| counts. The control compares as `==` on the
same keys, letter by letter, and shows that the test finds a difference where there is one.
"""

import random
import sys
from collections.abc import Callable
from time import perf_counter_ns

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from pydantic import SecretStr

from gradient_service.http.keys import Keys
from gradient_service.http.problems import HttpProblemError
from gradient_service.settings import Settings

COMPARISONS = 100_000
WARMING = 5_000
LIMIT = 4.5
PERCENTILES = (50, 75, 90, 95, 99, 100)
KEY = "k" * 4096
"""Long, so that a comparison that ended at the first difference would show it."""
KEYS = Keys(Settings.model_construct(api_keys=SecretStr(KEY)))

Check = Callable[[bytes], None]


def request_with(key: bytes) -> Request:
    """A request that carries a key."""
    return Request({"type": "http", "headers": [(b"host", b"a"), (b"authorization", b"Bearer " + key)]})


def wrong_keys() -> dict[str, tuple[bytes, bytes]]:
    """Pairs of wrong keys whose refusals should take the same time."""
    right = KEY.encode()
    return {
        "wrong at the first byte, or the last": (b"x" + right[1:], right[:-1] + b"x"),
        "no byte right, or all but the last": (b"x" * len(right), right[:-1] + b"x"),
        "right key with a wrong one behind, or in front": (right + b"x", b"x" + right),
    }


def check_of_the_service(key: bytes) -> None:
    """Check a key as the service does."""
    try:
        KEYS.check(request_with(key))
    except HttpProblemError:
        return
    sys.exit("a wrong key was accepted")


def check_letter_by_letter(key: bytes) -> None:
    """Check a key as one should not."""
    for given, known in zip(key, KEY.encode(), strict=False):
        if given != known:
            return


def times(check: Check, pair: tuple[bytes, bytes], generator: random.Random) -> tuple[NDArray[np.int64], ...]:
    """Nanoseconds of each check of either key, in random order."""
    taken: tuple[list[int], list[int]] = ([], [])
    for number in range(WARMING + COMPARISONS):
        kind = generator.getrandbits(1)
        begun = perf_counter_ns()
        check(pair[kind])
        duration = perf_counter_ns() - begun
        if number >= WARMING:
            taken[kind].append(duration)
    return tuple(np.array(durations) for durations in taken)


def welch_t(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """(mean_1 − mean_2) / √(s_1²/n_1 + s_2²/n_2)."""
    spread = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    return float((first.mean() - second.mean()) / np.sqrt(spread))


def largest_t(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """The t of largest size, with the times up to each percentile of all."""
    both = np.concatenate([first, second])
    bounds = [np.percentile(both, percentile) for percentile in PERCENTILES]
    return max((welch_t(first[first <= bound], second[second <= bound]) for bound in bounds), key=abs)


def main() -> None:
    """Measure, print each pair, and end with 1 where the service tells something."""
    generator = random.Random(20261126)  # noqa: S311 - an order, not a secret
    failures = 0
    print(f"{COMPARISONS} comparisons of each pair, keys of {len(KEY)} bytes")
    for name, pair in wrong_keys().items():
        first, second = times(check_of_the_service, pair, generator)
        found = largest_t(first, second)
        failures += abs(found) >= LIMIT
        print(f"{name}: t = {found:+.2f}, medians {np.median(first):.0f} and {np.median(second):.0f} ns")
    control = largest_t(*times(check_letter_by_letter, wrong_keys()["wrong at the first byte, or the last"], generator))
    print(f"control, letter by letter: t = {control:+.2f}")
    sys.exit(1 if failures or abs(control) < LIMIT else 0)


if __name__ == "__main__":
    main()
