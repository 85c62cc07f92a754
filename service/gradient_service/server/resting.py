"""Connections whose callers were refused: what they ask before they were told to is read later.

Who asks again at once is refused again, and some hundred such callers keep the event loop from the calls that it has
taken on (`docs/decisions/0027-who-asks-again-at-once-is-read-later.md`, and for how long
`docs/decisions/0031-the-refused-rest-nearly-as-long-as-they-were-told.md`).
"""

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from math import inf

from gradient_service.http.admission import Admission

REST_SECONDS = 0.9
"""With a look, less than a refused caller was told to wait, and than an idle connection is kept when the listener has
closed."""
LOOK_SECONDS = 0.05
AT_ONCE_PER_SECOND = 1000.0
"""So many refusals take two hundredths of the event loop; those who get them may ask again at once."""
RESTED_BYTES = 256 * 1024
"""Who sends a longer body is answered at once: it would lie half sent, and its sender gives up and begins anew."""
MOST_RESTING = 4096
"""Each holds a descriptor; callers with more connections than this are answered at once."""


class Resting:
    """The connections of one process that rest, in the order in which they will be read again.

    Args:
        admission: knows when there is nothing else to do.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._resting: deque[tuple[float, Callable[[], None]]] = deque()
        self._at_once = AT_ONCE_PER_SECOND
        """How many more may go on at once, of those of a second."""
        self._counted_at = 0.0

    def begin(self, pause: Callable[[], None], resume: Callable[[], None], loop: AbstractEventLoop) -> None:
        """Pause the reading of a connection, unless it is one of few, until a while is over or nothing waits."""
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
        self._resting.append((now, resume))

    def _look(self, loop: AbstractEventLoop) -> None:
        until = inf if self._admission.is_idle else loop.time() - REST_SECONDS
        while self._resting and self._resting[0][0] <= until:
            _, resume = self._resting.popleft()
            resume()
        if self._resting:
            loop.call_later(LOOK_SECONDS, self._look, loop)
