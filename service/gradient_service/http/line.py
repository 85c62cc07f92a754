"""The line of calls that have been read and that the event loop has not come to: one is begun in each of its rounds.

Between two of them the loop reads what has arrived, so that who is refused, or asks for health, is answered at once
however long the line is.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic

WAITING_SECONDS = 0.5
"""No call joins where those before it are expected to take longer. Many clients that ask at once are served."""
MAX_WAITING = 1024
"""However short they are: each may hold 64 KiB of its body."""
MEMORY = 32
"""Of how many calls, about, the mean duration is taken."""

CallSoon = Callable[[Callable[[], None]], object]
"""Has the event loop call something in its next round."""


class Line:
    """Calls in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_moving = False
        self._begun_at = 0.0
        self._mean_seconds = 0.0
        """From one begin to the next, with what the loop did meanwhile."""

    @property
    def is_long(self) -> bool:
        """Whether one more call would wait too long."""
        waiting = len(self._waiting)
        return waiting * self._mean_seconds > WAITING_SECONDS or waiting >= MAX_WAITING

    def join(self, begin: Callable[[], None], call_soon: CallSoon) -> None:
        """Have a call begun when those before it have been: at once where there are none."""
        if self._is_moving:
            self._waiting.append(begin)
        else:
            self._is_moving = True
            self._begin(begin, call_soon)

    def _begin(self, begin: Callable[[], None], call_soon: CallSoon) -> None:
        self._begun_at = monotonic()
        try:
            begin()
        finally:
            call_soon(lambda: self._advance(call_soon))

    def _advance(self, call_soon: CallSoon) -> None:
        """Begin the next call, the last one having run until it ended or waits for something."""
        self._mean_seconds += (monotonic() - self._begun_at - self._mean_seconds) / MEMORY
        if self._waiting:
            self._begin(self._waiting.popleft(), call_soon)
        else:
            self._is_moving = False
