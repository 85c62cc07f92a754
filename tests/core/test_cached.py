"""Properties that are computed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from gradient_service.core.cached import cached


class Slow:
    """Something that is asked for a number."""

    def __init__(self, barrier: Barrier) -> None:
        self.barrier = barrier
        self.times = 0

    @cached
    def number(self) -> int:
        """A number that takes long."""
        self.barrier.wait(5)
        self.times += 1
        return 7


def test_it_is_computed_once() -> None:
    """However often it is asked for; and it keeps its description."""
    slow = Slow(Barrier(1))
    assert (slow.number, slow.number, slow.times) == (7, 7, 1)
    assert Slow.number.__doc__ == "A number that takes long."


def test_no_instance_waits_for_another() -> None:
    """Two that compute at the same time meet there."""
    barrier = Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda slow: slow.number, [Slow(barrier), Slow(barrier)])) == [7, 7]
