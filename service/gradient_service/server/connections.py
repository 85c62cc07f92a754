"""How many connections each worker has, in memory that all of them see.

Callers connect in bursts and stay connected: who takes too many of them is busy with these while the others are idle.
"""

from mmap import mmap
from struct import calcsize


class Connections:
    """The connections of one worker, beside those of the others.

    Args:
        counts: one for each worker, as `counts_of` makes them.
        own: the place of this worker's.
    """

    def __init__(self, counts: memoryview, own: int) -> None:
        self._counts = counts
        self._own = own
        counts[own] = 0  # a worker that was killed leaves its own to the one that replaces it

    @property
    def num_workers(self) -> int:
        """How many workers there are."""
        return len(self._counts)

    def begin(self) -> None:
        """Count one that was accepted."""
        self._counts[self._own] += 1

    def end(self) -> None:
        """Count it no more."""
        self._counts[self._own] = max(self._counts[self._own] - 1, 0)

    def share(self, waiting: int) -> int:
        """Return how many of those that wait are this worker's to accept, for all workers to have as many."""
        return max(-(-(sum(self._counts) + waiting) // len(self._counts)) - self._counts[self._own], 0)


def counts_of(workers: int) -> memoryview:
    """Return a count of zero for each worker, shared with the processes that are forked from this one."""
    return memoryview(mmap(-1, workers * calcsize("I"))).cast("I")
