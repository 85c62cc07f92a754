"""Connections that rest: what their callers ask is read later.

Who was refused and asks again at once is refused again, and some hundred such callers keep the event loop from the
calls that it has taken on (`docs/decisions/0027-who-asks-again-at-once-is-read-later.md`, and for how long
`docs/decisions/0032-senders-of-long-bodies-rest-too-and-less.md`). Who is answered and asks again at once would keep
the others out, who are refused again and again (`docs/decisions/0041-who-was-answered-rests-behind-the-others.md`).
"""

import os
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias

from gradient_service.http.admission import Admission

REST_SECONDS = 0.78
"""With a look, less than a refused caller was told to wait, and than an idle connection is kept when the listener has
closed."""
LONG_BODY_BYTES = 256 * 1024
LONG_BODY_REST_SECONDS = 0.4
"""Of those whose body is longer than that: it lies half sent, and needs time to arrive before its sender gives up."""
LOOK_SECONDS = 0.005
MOST_EARLY = 256
"""Where there is room, so many go on at a look: what others ask is answered between two."""
AT_ONCE_PER_SECOND = 50.0
"""So many refusals take half a hundredth of the event loop; those who get them may ask again at once."""
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


class Connection(Protocol):
    """What can rest."""

    loop: AbstractEventLoop

    def pause(self) -> None:
        """Have it read nothing."""

    def resume(self) -> None:
        """Have it read what has arrived, for which it may rest again."""


Rests: TypeAlias = deque[tuple[float, Connection]]
"""Until when each rests."""


class Resting:
    """The connections of one process that rest.

    Args:
        admission: knows when there is room for others.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._after_short: Rests = deque()
        self._after_long: Rests = deque()
        """In the order in which they began, by their last body."""
        self._is_watching = False
        self._at_once = AT_ONCE_PER_SECOND
        """How many more may go on at once, of those of a second."""
        self._counted_at = 0.0

    def begin(self, connection: Connection, body_bytes: int) -> None:
        """Pause the reading of a connection whose caller was refused, unless it is one of few.

        Until a while is over or there is room.

        Args:
            connection: it.
            body_bytes: the length of what was refused.
        """
        now = connection.loop.time()
        self._at_once = min(self._at_once + (now - self._counted_at) * AT_ONCE_PER_SECOND, AT_ONCE_PER_SECOND)
        self._counted_at = now
        if self._at_once >= 1:
            self._at_once -= 1
        else:
            self._begin(connection, body_bytes)

    def give_way(self, connection: Connection, body_bytes: int) -> None:
        """Do the same with one whose caller was answered, where others wait to be; what is long needs time to arrive.

        Args:
            connection: it.
            body_bytes: the length of what was answered.
        """
        if self._admission.line.is_standing and body_bytes <= LONG_BODY_BYTES:
            self._begin(connection, body_bytes)

    def _begin(self, connection: Connection, body_bytes: int) -> None:
        if len(self._after_short) + len(self._after_long) >= MOST_RESTING:
            return
        connection.pause()
        now = connection.loop.time()
        if body_bytes <= LONG_BODY_BYTES:
            self._after_short.append((now + REST_SECONDS, connection))
        else:
            self._after_long.append((now + LONG_BODY_REST_SECONDS, connection))
        if not self._is_watching:
            self._is_watching = True
            connection.loop.call_later(LOOK_SECONDS, self._look, connection.loop)

    def _look(self, loop: AbstractEventLoop) -> None:
        try:
            admission, now = self._admission, loop.time()
            _resume(self._after_short, now, lambda: admission.wants_more)
            _resume(self._after_long, now, lambda: admission.is_idle)
        finally:  # where one fails, the others go on at the next look
            self._is_watching = bool(self._after_short or self._after_long)
            if self._is_watching:
                loop.call_later(LOOK_SECONDS, self._look, loop)


def _resume(resting: Rests, now: float, is_room: Callable[[], bool]) -> None:
    """End the rests that are over, and some others as long as there is room."""
    num_early = MOST_EARLY
    for _ in range(len(resting)):  # who is refused meanwhile rests behind these
        until, connection = resting[0]
        if until > now:
            if not num_early or not is_room():
                break
            num_early -= 1
        resting.popleft()
        connection.resume()  # which reads what has arrived, and may have it rest again
