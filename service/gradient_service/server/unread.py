"""Replies that the other side does not read: memory in use, and only for a while."""

from asyncio import AbstractEventLoop, TimerHandle, WriteTransport

from gradient_service.http.admission import Admission

UNREAD_SECONDS = 60.0
"""What the other side has not read after this is not sent any more: of a long reply a piece, a short one whole."""


class Unread:
    """What one connection has to send, where it is more than the system takes at once.

    What was reserved for a call is given back when its reply is written, whether it is sent by then or not.

    Args:
        transport: of the connection.
        admission: counts the bytes.
        loop: the event loop that runs.
    """

    def __init__(self, transport: WriteTransport, admission: Admission, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._admission = admission
        self._loop = loop
        self._num_bytes = 0
        self._timer: TimerHandle | None = None

    def begin(self) -> None:
        """Count what is there, and end the connection where it stays too long."""
        self.end()
        self._num_bytes = self._transport.get_write_buffer_size()
        self._admission.count(self._num_bytes)
        self._timer = self._loop.call_later(UNREAD_SECONDS, self._transport.abort)

    def end(self) -> None:
        """Count it no more: it has been sent, or nobody will read it."""
        self._admission.release(self._num_bytes)
        self._num_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
