"""The line of calls that have been read and that the event loop has not come to: one is begun in each of its rounds.

Or some, for a few milliseconds, where the same function begins those that stand one behind the other: they may have
something in common, and are begun together, a few at a time. Between two rounds the loop reads what has arrived, so
that who is refused, or asks for health, is answered soon however long the line is
(`docs/decisions/0038-calls-are-computed-for-milliseconds-at-a-time.md`).
"""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

WAITING_SECONDS = 0.5
"""No call joins where those before it are expected to take longer. Many clients that ask at once are served."""
PATIENCE_SECONDS = 0.85
"""Nor where it would be answered this late, with what it has waited before: its caller may have left by then."""
SHORT_SECONDS = 0.06
"""A shorter line is joined by calls that have waited to be read."""
MAX_WAITING = 4096
"""However short they are; for longer ones the memory that they hold is reserved."""
STANDING_BYTES = 32 * 1024 * 1024
"""Since a call was turned away, and until none waits, as much of their bodies waits as a core's last cache holds.

More would have left it when their turn comes, and the last to come waits the longer. Who asks at once, but not for more
than can be borne, may send more.
"""
FIRST_SECONDS = 0.0005
"""What a call is expected to take before any has been begun: many at once may be the first to come."""
TURN_SECONDS = 0.004
"""A turn that has taken less goes on with calls that the same function begins.

To compute pushes the rest of what the loop does out of the core's caches, and the other way round.
"""
LONG_TURN_SECONDS = 0.002
"""After a longer turn, what arrived meanwhile is answered before the next one."""
MEMORY = 32
"""Of how many calls, about, the mean duration is taken."""

Begin = Callable[[list[Any]], None]
"""Begins calls, each told by what it joined the line with."""
CallSoon = Callable[[Callable[[], None]], object]
"""Has the event loop call something in its next round."""


class Line:
    """Calls in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Begin, Any, float, int]] = deque()
        self._num_bytes = 0
        """Of the bodies of all."""
        self._is_standing = False
        """Whether a call has been turned away since none waited."""
        self._is_moving = False
        self._mean_seconds = FIRST_SECONDS
        """For a call, with what the loop did meanwhile."""

    def turns_away(self, waited_seconds: float = 0.0) -> bool:
        """Return whether one more call would wait too long, and remember it.

        Args:
            waited_seconds: how long it has waited before it was read.
        """
        waiting = len(self._waiting)
        bound = max(min(WAITING_SECONDS, PATIENCE_SECONDS - waited_seconds), 0)  # where none waits, all join
        is_long = waiting * self._mean_seconds > bound or waiting >= MAX_WAITING
        self._is_standing = is_long or self._is_standing
        return is_long or (self._is_standing and self._num_bytes > STANDING_BYTES)

    @property
    def is_empty(self) -> bool:
        """Whether no call waits."""
        return not self._waiting

    @property
    def is_standing(self) -> bool:
        """Whether a call has been turned away since none waited."""
        return self._is_standing

    @property
    def is_short(self) -> bool:
        """Whether more should join it, so that it does not end between two looks for them."""
        return len(self._waiting) * self._mean_seconds < SHORT_SECONDS

    def join(self, begin: Begin, call: Any, call_soon: CallSoon, share: float = 1.0, num_bytes: int = 0) -> None:
        """Have a call begun when those before it have been, in the loop's next round where there are none.

        Args:
            begin: begins it.
            call: what it is told by.
            call_soon: of the loop.
            share: of the calls that the same function is told at once, how much this is of the most.
            num_bytes: of its body.
        """
        self._waiting.append((begin, call, share, num_bytes))
        self._num_bytes += num_bytes
        if not self._is_moving:
            self._is_moving = True
            call_soon(lambda: self._move(call_soon))

    def _move(self, call_soon: CallSoon) -> None:
        """Begin the calls whose turn it is, and go on when they have run until they ended or wait for something."""
        begun_at, num_calls = monotonic(), 0
        begin = self._waiting[0][0]
        try:
            while self._is_next(begin) and (not num_calls or monotonic() - begun_at < TURN_SECONDS):
                calls = self._take(begin)
                num_calls += len(calls)
                begin(calls)
        finally:
            call_soon(lambda: self._go_on(begun_at, num_calls, call_soon))

    def _is_next(self, begin: Begin) -> bool:
        return bool(self._waiting) and self._waiting[0][0] is begin

    def _take(self, begin: Begin) -> list[Any]:
        """Take the next call, and those behind it that are begun together with it."""
        calls: list[Any] = []
        taken = 0.0
        while self._is_next(begin) and (not calls or taken + self._waiting[0][2] <= 1):
            _, call, share, num_bytes = self._waiting.popleft()
            calls.append(call)
            taken += share
            self._num_bytes -= num_bytes
        return calls

    def _go_on(self, begun_at: float, num_calls: int, call_soon: CallSoon, *, has_rested: bool = False) -> None:
        seconds = monotonic() - begun_at
        if seconds >= LONG_TURN_SECONDS and self._waiting and not has_rested:
            call_soon(lambda: self._go_on(begun_at, num_calls, call_soon, has_rested=True))
            return
        self._mean_seconds += (seconds / num_calls - self._mean_seconds) / MEMORY
        if self._waiting:
            self._move(call_soon)
        else:
            self._is_moving = self._is_standing = False
