"""How long a message may take to arrive.

uvicorn sees to connections that are idle between messages, and to nothing else.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from gradient_service.server.receipt import Receipt
from gradient_service.server.refusing import RefusingProtocol


class TimedProtocol(RefusingProtocol):
    """A connection whose first message, and of each message the head and the body, have deadlines for their receipt."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: TimerHandle | None = None
        self._is_used = False
        """Whether a message has arrived whole."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """Start to wait for the first message."""
        super().connection_made(transport)
        self._receipt = Receipt(since=self.loop.time())
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Have a timer run where something is waited for, and none elsewhere."""
        if self._receipt.phase == "idle" and self._is_used:  # uvicorn itself ends these
            self._unwatch()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_at(self._receipt.deadline, self._look_at_the_clock)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self.loop.time() < self._receipt.deadline:
            self._watch()
        elif self._receipt.phase == "idle":
            self.transport.close()
        else:
            self._refuse_late()

    def _refuse_late(self) -> None:
        """Refuse a message of which not all has arrived in time."""
        self._refuse("request-timeout", f"The {self._receipt.phase} of the message did not arrive in time.")
