"""Which calls are taken on: as many as memory and cores have room for, the others refused at once."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from gradient_service.http.problems import HttpProblemError
from gradient_service.settings import Settings

WAITING_FOR_EACH = 32
"""So many calls may wait for each that computes: a few clients with their pools of connections, all asking at once, are
served. What is large is bounded by its bytes before it is by this."""

T = TypeVar("T")


class Admission:
    """What is under way in one process, in bytes and in threads."""

    def __init__(self, settings: Settings) -> None:
        self._max_bytes = settings.max_in_flight_bytes
        self._max_turns = settings.max_concurrency * (1 + WAITING_FOR_EACH)
        self._limiter = CapacityLimiter(settings.max_concurrency)
        self._lock = Lock()  # replies are reserved by the threads that compute them
        self._refused_bytes = 0
        """Of a call that was refused and would be still."""
        self.in_flight_bytes = 0
        self.turns = 0
        """Calls that compute in a thread, or wait to."""

    @property
    def has_room(self) -> bool:
        """Whether nothing has been refused that would be refused still."""
        return self._has_turn and self._refused_bytes == 0

    def check_turn(self) -> None:
        """Raise `overloaded` where a call that computes in a thread would find too many waiting."""
        if not self._has_turn:
            raise overloaded("Too many calls wait to be computed.")

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Return what work in a thread returns, begun as soon as one is free; raise as `check_turn` does.

        Cancelling it ends the waiting, never the work: who started that has to wait for its end.
        """
        self.check_turn()
        self.turns += 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self.turns -= 1

    def reserve(self, num_bytes: int) -> None:
        """Count bytes as in use; raise `overloaded` where there is no room for them."""
        with self._lock:
            if self.in_flight_bytes + num_bytes > self._max_bytes:
                self._refused_bytes = num_bytes if num_bytes <= self._max_bytes else 0
                raise overloaded("The calls under way leave no memory for this one.")
            self.in_flight_bytes += num_bytes

    def release(self, num_bytes: int) -> None:
        """Count bytes as free again."""
        with self._lock:
            self.in_flight_bytes -= num_bytes
            if self.in_flight_bytes + self._refused_bytes <= self._max_bytes:
                self._refused_bytes = 0

    @property
    def _has_turn(self) -> bool:
        return self.turns < self._max_turns


class Reservation:
    """The bytes of one call, counted as in use until they are released."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._num_bytes = 0

    def hold(self, num_bytes: int) -> None:
        """Reserve until there are at least so many bytes; raise `overloaded` where there is no room."""
        if num_bytes > self._num_bytes:
            self.add(num_bytes - self._num_bytes)

    def add(self, num_bytes: int) -> None:
        """Reserve so many bytes more; raise `overloaded` where there is no room."""
        self._admission.reserve(num_bytes)
        self._num_bytes += num_bytes

    def shrink(self, num_bytes: int) -> None:
        """Give back what is beyond so many bytes."""
        if num_bytes < self._num_bytes:
            self._admission.release(self._num_bytes - num_bytes)
            self._num_bytes = num_bytes

    def release(self) -> None:
        """Count all of them as free again."""
        self.shrink(0)


def overloaded(detail: str) -> HttpProblemError:
    """Return the refusal that says when to ask again."""
    return HttpProblemError("overloaded", detail, {"Retry-After": "1"})
