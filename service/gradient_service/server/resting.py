"""Connections whose callers were refused: what they ask before they were told to is read later.

Who asks again at once is refused again, and some hundred such callers keep the event loop from the calls that it has
taken on (`docs/decisions/0027-who-asks-again-at-once-is-read-later.md`, and for how long
`docs/decisions/0032-senders-of-long-bodies-rest-too-and-less.md`).
"""

import os
from asyncio import AbstractEventLoop
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from gradient_service.http.admission import Admission

REST_SECONDS = 0.8
"""With a look, less than a refused caller was told to wait, and than an idle connection is kept when the listener has
closed."""
LONG_BODY_BYTES = 256 * 1024
LONG_BODY_REST_SECONDS = 0.4
"""Of those whose body is longer than that: it lies half sent, and needs time to arrive before its sender gives up."""
LOOK_SECONDS = 0.005
MOST_EARLY = 256
"""Where nothing waits, so many go on at a look: what others ask is answered between two, and they may fill the line."""
AT_ONCE_PER_SECOND = 250.0
"""So many refusals take one or two hundredths of the event loop; those who get them may ask again at once."""
MOST_RESTING = 16384
"""Each holds a descriptor; callers with more connections than this are answered at once."""
ARRIVED = memoryview(bytearray(16 * 1024))


def read_now(descriptor: int) -> memoryview:
    """Return what has arrived on a connection that the event loop does not read, no more than it would at first.

    It is to be used before anything else is read.
    """
    try:
        return ARRIVED[: os.readv(descriptor, [ARRIVED])]
    except OSError:  # nothing has, or the other side has left, which the event loop will notice
        return ARRIVED[:0]


class Resting:
    """The connections of one process that rest.

    Args:
        admission: knows when there is nothing else to do.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._resting: list[tuple[float, int, Callable[[], None]]] = []
        """A heap: until when, in which order they began, and how each is read again."""
        self._order = count()
        self._at_once = AT_ONCE_PER_SECOND
        """How many more may go on at once, of those of a second."""
        self._counted_at = 0.0

    def begin(
        self, body_bytes: int, pause: Callable[[], None], resume: Callable[[], None], loop: AbstractEventLoop
    ) -> None:
        """Pause the reading of a connection, unless it is one of few, until a while is over or nothing waits.

        Args:
            body_bytes: the length of what was refused.
            pause: stops the reading.
            resume: goes on with it.
            loop: of the connection.
        """
        now = loop.time()
        self._at_once = min(self._at_once + (now - self._counted_at) * AT_ONCE_PER_SECOND, AT_ONCE_PER_SECOND)
        self._counted_at = now
        if self._at_once >= 1:
            self._at_once -= 1
            return
        if len(self._resting) >= MOST_RESTING:
            return
        pause()
        if not self._resting:
            loop.call_later(LOOK_SECONDS, self._look, loop)
        seconds = REST_SECONDS if body_bytes <= LONG_BODY_BYTES else LONG_BODY_REST_SECONDS
        heappush(self._resting, (now + seconds, next(self._order), resume))

    def _look(self, loop: AbstractEventLoop) -> None:
        now = loop.time()
        num_early = MOST_EARLY if self._admission.is_idle else 0
        while self._resting and (self._resting[0][0] <= now or num_early > 0):
            *_, resume = heappop(self._resting)
            loop.call_soon(resume)  # which reads what has arrived, and may have the connection rest again
            num_early -= 1
        if self._resting:
            loop.call_later(LOOK_SECONDS, self._look, loop)
