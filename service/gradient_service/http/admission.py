"""Which calls are taken on: as many as memory and cores have room for, the others refused at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from gradient_service.http.line import PATIENCE_SECONDS, Line
from gradient_service.http.problems import HttpProblemError
from gradient_service.settings import Settings
from gradient_service.wire.json_grammar import SHORT_TEXT

INLINE_TEXT_BYTES = SHORT_TEXT
INLINE_BINARY_BYTES = 1024 * 1024
"""A larger body is decoded in a thread, so that the event loop serves others; to decode these takes a millisecond."""
WAITING_FOR_EACH = 32
"""So many calls may wait for each that computes: a few clients with their pools of connections, all asking at once, are
served. What is large is bounded by its bytes before it is by this."""
STANDING_FOR_EACH = 8
"""Since a large one was turned away, and until none waits, only so many: what waits less long is answered in time."""
WAITING_SECONDS = 2.0
"""No call waits where those before it are expected to take longer: many a caller would have given up."""
ARRIVING_SECONDS = 0.25
"""So long a body that arrives keeps its place in the queue; a slow sender has to find one again."""
READ_AHEAD_BYTES = 320 * 1024
"""The most that the server reads of a body before its call is worked on: what uvicorn keeps, and what comes with it."""
KEPT_BYTES, KEPT_SHARE = 64 * 1024 * 1024, 0.25
"""What bodies that wait for the event loop leave of the memory, the less of both: their work needs some in its turn."""
TOO_MANY = "Too many calls wait to be computed."
MEMORY = 8
"""Of how many calls, about, the mean duration is taken."""

T = TypeVar("T")


class Admission:
    """What is under way in one process, in bytes and in threads."""

    def __init__(self, settings: Settings) -> None:
        self._max_bytes = settings.max_in_flight_bytes
        self._kept_bytes = min(KEPT_BYTES, int(self._max_bytes * KEPT_SHARE))
        self._threads = settings.max_concurrency
        self._limiter = CapacityLimiter(settings.max_concurrency)
        self._lock = Lock()  # replies are reserved by the threads that compute them
        self._max_body_bytes = max(settings.max_json_body_bytes, settings.max_binary_body_bytes)
        self._refused_bytes = 0
        """Of a call that was refused and would be still."""
        self._arriving: dict[object, float] = {}
        """Since when a place is kept for a body that arrives, oldest first."""
        self._mean_seconds = 0.0
        """How long a thread works on a call."""
        self.in_flight_bytes = 0
        self.turns = 0
        """Calls that compute in a thread, or wait to."""
        self._is_standing = False
        """Whether a large one has been turned away since none waited to."""
        self.line = Line()
        self._large_in_line = 0

    @property
    def has_room(self) -> bool:
        """Whether the least call finds room, and nothing has been refused that would be refused still."""
        return self._has_turn(self._most_for_each) and self._has_memory(0) and self._refused_bytes == 0

    @property
    def is_idle(self) -> bool:
        """Whether there is room, and no call waits for the event loop."""
        return self.line.is_empty and self.has_room

    @property
    def wants_more(self) -> bool:
        """Whether there is room, and few calls wait for the event loop."""
        return self.line.is_short and self.has_room

    def refuses(self, body_bytes: int, waited_seconds: float = 0.0, memory_per_byte: int = 1) -> bool:
        """Return whether a call with a body of this length is known to find no room, before anything is done for it.

        One that is longer than any may be is told so, and not to ask again.

        Args:
            body_bytes: the length.
            waited_seconds: how long the call has waited before it was read.
            memory_per_byte: what is reserved for each byte.
        """
        is_large = body_bytes > INLINE_BINARY_BYTES
        has_memory = self._has_memory(body_bytes * memory_per_byte)
        is_refused = (
            not has_memory or (is_large and self._turns_away(waited_seconds)) or self.line.turns_away(waited_seconds)
        )
        return is_refused and body_bytes <= self._max_body_bytes

    def _has_memory(self, num_bytes: int) -> bool:
        """Return whether memory is left for a body, or nothing is in flight, where to try it tells more."""
        kept = 0 if num_bytes > INLINE_BINARY_BYTES else self._kept_bytes
        return self.in_flight_bytes <= max(self._max_bytes - kept - num_bytes, 0)

    def expect(self, body_bytes: int | None) -> Callable[[], None]:
        """Count a call with a body of this length, None where it is unknown, until it is worked on.

        Returns:
            What to call then.
        """
        is_large = body_bytes is not None and body_bytes > INLINE_BINARY_BYTES
        self._large_in_line += is_large
        read = READ_AHEAD_BYTES if body_bytes is None else min(body_bytes, READ_AHEAD_BYTES)
        self.count(read)

        def begin() -> None:
            self._large_in_line -= is_large
            self.release(read)

        return begin

    @contextmanager
    def place(self) -> Iterator[None]:
        """Keep a place in the queue while a large body arrives; raise `overloaded` where too many wait.

        Of the bodies that arrive at once no more are read than can be computed.
        """
        self._check_turn()
        key = object()
        self._arriving[key] = monotonic()
        try:
            yield
        finally:
            self._arriving.pop(key, None)

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Return what work in a thread returns, begun as soon as one is free; raise `overloaded` where too many wait.

        Cancelling it ends the waiting, never the work: who started that has to wait for its end.
        """
        self._check_turn()
        self.turns += 1
        try:
            return await to_thread.run_sync(self._timed, work, limiter=self._limiter)
        finally:
            self.turns -= 1

    def _timed(self, work: Callable[[], T]) -> T:
        start = monotonic()
        try:
            return work()
        finally:
            with self._lock:
                self._mean_seconds += (monotonic() - start - self._mean_seconds) / MEMORY

    def reserve(self, num_bytes: int) -> None:
        """Count bytes as in use; raise `overloaded` where there is no room for them."""
        with self._lock:
            if self.in_flight_bytes + num_bytes > self._max_bytes:
                self._refused_bytes = num_bytes if num_bytes <= self._max_bytes else 0
                raise overloaded("The calls under way leave no memory for this one.")
            self.in_flight_bytes += num_bytes

    def count(self, num_bytes: int) -> None:
        """Count bytes as in use that are so already, whatever room there is."""
        with self._lock:
            self.in_flight_bytes += num_bytes

    def release(self, num_bytes: int) -> None:
        """Count bytes as free again."""
        with self._lock:
            self.in_flight_bytes -= num_bytes
            if self.in_flight_bytes + self._refused_bytes <= self._max_bytes:
                self._refused_bytes = 0

    def _check_turn(self) -> None:
        if not self._has_turn(WAITING_FOR_EACH):  # who was let in before others were turned away stays
            raise overloaded(TOO_MANY)

    def _turns_away(self, waited_seconds: float) -> bool:
        """Return whether a large call finds no turn, and remember it until none waits."""
        has_turn = self._has_turn(self._most_for_each, waited_seconds)
        self._is_standing |= not has_turn
        return not has_turn

    @property
    def _most_for_each(self) -> int:
        return STANDING_FOR_EACH if self._is_standing else WAITING_FOR_EACH

    def _has_turn(self, most_for_each: int, waited_seconds: float = 0.0) -> bool:
        """Return whether one more call that computes in a thread would not wait behind too many, nor for too long.

        Less long where it has waited before.
        """
        bound = max(PATIENCE_SECONDS - waited_seconds, 0) if waited_seconds else WAITING_SECONDS
        waiting = self.turns + self._num_arriving() + self._large_in_line - self._threads
        self._is_standing &= waiting > 0
        return waiting < 0 or (
            waiting < self._threads * most_for_each and waiting * self._mean_seconds <= self._threads * bound
        )

    def _num_arriving(self) -> int:
        before = monotonic() - ARRIVING_SECONDS
        while self._arriving and next(iter(self._arriving.values())) < before:
            del self._arriving[next(iter(self._arriving))]
        return len(self._arriving)


class Reservation:
    """The bytes of one call, or of those of one turn, which only add; in use until they are released, which ends it.

    A call that is cancelled ends before its thread does, and what that still asks for is refused.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._num_bytes = 0
        self._is_over = False
        self._lock = Lock()

    def hold(self, num_bytes: int) -> None:
        """Reserve until there are at least so many bytes; raise `overloaded` where there is no room."""
        if num_bytes > self._num_bytes:
            self.add(num_bytes - self._num_bytes)

    def add(self, num_bytes: int) -> None:
        """Reserve so many bytes more; raise `overloaded` where there is no room, and for a call that is over."""
        with self._lock:
            if self._is_over:
                raise overloaded("The call is over.")
            self._admission.reserve(num_bytes)
            self._num_bytes += num_bytes

    def shrink(self, num_bytes: int) -> None:
        """Give back what is beyond so many bytes."""
        with self._lock:
            surplus = max(self._num_bytes - num_bytes, 0)
            self._num_bytes -= surplus
        self._admission.release(surplus)

    def release(self) -> None:
        """Count all of them as free again, for good."""
        self._is_over = True
        self.shrink(0)


def overloaded(detail: str) -> HttpProblemError:
    """Return the refusal that says when to ask again."""
    return HttpProblemError("overloaded", detail, {"Retry-After": "1"})
