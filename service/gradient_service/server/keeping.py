"""A connection between its messages: how long it is kept, and how it ends with the service."""

from typing import Any

from gradient_service.server.protocol import GuardedProtocol

IDLE_SECONDS = 1.0
"""When the listener has closed, an idle connection is kept this long: a request may be on its way."""


class KeptProtocol(GuardedProtocol):
    """The guarded protocol, whose connections wait for what is asked next, for a while."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._answered_at = 0.0

    @property
    def _has_call(self) -> bool:
        """Whether a call is known that no parser has seen."""
        return False

    def _note_reply(self) -> None:
        """Note that a message is answered that no parser has seen."""
        self._is_used = True
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive_for(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """End the connection where it has been idle since this was due; to put it off each time would take longer."""
        self.timeout_keep_alive_task = None
        idle_since = max(self._answered_at, self._rest_ended_at)  # what was not read before that may have been there
        left = idle_since + self.timeout_keep_alive - self.loop.time()
        is_idle = self._unanswered is None and self._receipt.phase == "idle"
        if not is_idle or self._has_call or self._is_resting or left > 0:
            self._keep_alive_for(max(left, 1.0))
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """End with the reply that is under way, or that to a call which has its turn yet, or which is on its way."""
        if self._unanswered is not None:
            super().shutdown()
        elif not self._has_call:
            self.loop.call_later(IDLE_SECONDS, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if not self._has_call and self._receipt.phase == "idle":
            super().shutdown()
        elif not self.transport.is_closing():
            self.loop.call_later(IDLE_SECONDS, self._end_if_idle)
