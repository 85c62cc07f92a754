"""Whether the time of a refusal tells anything of a key: Welch's t-test between two kinds of wrong keys.

`python -m benchmarks.keys` times the check of a request in random order, as many times as it says, and prints t for
each pair of kinds; from |t| = 4.5 on the times differ, as the tests for leaks by time have it (Reparaz, Balasch and
Verbauwhede, "Dude, is my code constant time?", 2017). As there, times beyond a percentile are left out, since they are
those of the machine; several percentiles are tried, and the largest |t| counts. Where in memory a process has its
objects makes a difference of a nanosecond that says nothing of keys, this way in one and that way in the next: the
comparisons are shared by many. The control compares as `==` on the same keys, letter by letter, and shows that the test
finds a difference where there is one.
"""

import random
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter_ns

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from pydantic import SecretStr

from gradient_service.http.keys import Keys
from gradient_service.http.problems import HttpProblemError
from gradient_service.settings import Settings

COMPARISONS, PROCESSES = 100_000, 20
WARMING = 2_000
LIMIT = 4.5
PERCENTILES = (50, 75, 90, 95, 99, 100)
KEY = "k" * 4096
"""Long, so that a comparison that ended at the first difference would show it."""
KEYS = Keys(Settings.model_construct(api_keys=SecretStr(KEY)))

Check = Callable[[Request], None]


@dataclass(frozen=True)
class WrongKey:
    """A wrong key, which is written anew for each check.

    Where in memory two keys lie makes a difference that says nothing of them, so none lies anywhere.
    """

    first: bytes
    letter: bytes
    """All between the first and the last."""
    last: bytes
    length: int = len(KEY)

    def request(self) -> Request:
        """A request that carries it."""
        value = b"".join((b"Bearer ", self.first, self.letter * (self.length - 2), self.last))
        return Request({"type": "http", "headers": [(b"host", b"a"), (b"authorization", value)]})


Pair = tuple[WrongKey, WrongKey]
Times = tuple[NDArray[np.float64], NDArray[np.float64]]
PAIRS: dict[str, Pair] = {
    "wrong at the first byte, or the last": (WrongKey(b"x", b"k", b"k"), WrongKey(b"k", b"k", b"x")),
    "no byte right, or all but the last": (WrongKey(b"x", b"x", b"x"), WrongKey(b"k", b"k", b"x")),
    "right key with a wrong one behind, or in front": (
        WrongKey(b"k", b"k", b"x", len(KEY) + 1),
        WrongKey(b"x", b"k", b"k", len(KEY) + 1),
    ),
}
"""Wrong keys whose refusals should take the same time."""


def check_of_the_service(request: Request) -> None:
    """Check a key as the service does."""
    try:
        KEYS.check(request)
    except HttpProblemError:
        return
    sys.exit("a wrong key was accepted")


def check_letter_by_letter(request: Request) -> None:
    """Check a key as one should not."""
    *_, (_, value) = request.scope["headers"]
    for given, known in zip(value.removeprefix(b"Bearer "), KEY.encode(), strict=False):
        if given != known:
            return


def times(check: Check, pair: Pair, generator: random.Random) -> Times:
    """Nanoseconds of each check of either key, in random order, off the middle one of all."""
    taken: tuple[list[int], list[int]] = ([], [])
    for number in range(WARMING + COMPARISONS // PROCESSES):
        kind = generator.getrandbits(1)
        request = pair[kind].request()
        begun = perf_counter_ns()
        check(request)
        duration = perf_counter_ns() - begun
        if number >= WARMING:
            taken[kind].append(duration)
    middle = np.median(taken[0] + taken[1])
    return np.array(taken[0]) - middle, np.array(taken[1]) - middle


def times_of_all(seed: int) -> list[Times]:
    """The same of each pair, and of the control, in one process."""
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    of_pairs = [times(check_of_the_service, pair, generator) for pair in PAIRS.values()]
    return [*of_pairs, times(check_letter_by_letter, next(iter(PAIRS.values())), generator)]


def welch_t(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """(mean_1 − mean_2) / √(s_1²/n_1 + s_2²/n_2)."""
    spread = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    return float((first.mean() - second.mean()) / np.sqrt(spread))


def largest_t(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The t of largest size, with the times up to each percentile of all; ∞ where those are of one kind alone."""
    both = np.concatenate([first, second])
    bounds = [np.percentile(both, percentile) for percentile in PERCENTILES]
    kept = [(first[first <= bound], second[second <= bound]) for bound in bounds]
    return max((welch_t(*each) if min(map(len, each)) > 1 else np.inf for each in kept), key=abs)


def main() -> None:
    """Measure, print each pair, and end with 1 where the service tells something."""
    print(f"{COMPARISONS} comparisons of each pair in {PROCESSES} processes, keys of {len(KEY)} bytes")
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        found = list(pool.map(times_of_all, range(PROCESSES)))
    values = [largest_t(*map(np.concatenate, zip(*parts, strict=True))) for parts in zip(*found, strict=True)]
    for name, value in zip([*PAIRS, "control, letter by letter"], values, strict=True):
        print(f"{name}: t = {value:+.2f}")
    *of_pairs, control = map(abs, values)
    sys.exit(1 if max(of_pairs) >= LIMIT or control < LIMIT else 0)


if __name__ == "__main__":
    main()
