"""Replies that the other side does not read: memory in use, for as long as a body of that size may take to arrive."""

from asyncio import AbstractEventLoop, TimerHandle, WriteTransport

from gradient_service.http.admission import Admission
from gradient_service.server.receipt import BODY_BYTES_PER_SECOND, BODY_SECONDS


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
        seconds = BODY_SECONDS + self._num_bytes / BODY_BYTES_PER_SECOND
        self._timer = self._loop.call_later(seconds, self._transport.abort)

    def end(self) -> None:
        """Count it no more: it has been sent, or nobody will read it."""
        self._admission.release(self._num_bytes)
        self._num_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
