"""Replies that the other side does not read: memory in use, and only for a while."""

from asyncio import AbstractEventLoop, TimerHandle, WriteTransport

from gradient_service.http.admission import Admission

UNREAD_SECONDS = 60.0
BYTES_PER_SECOND = 256_000.0
"""A reply has to be read so long after something of it was not read at once, and at this rate before: memory is kept
for it meanwhile."""


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
        self._since: float | None = None
        """When something of the reply under way was first not read at once."""
        self._read_bytes = 0
        """What was read of it since, late."""

    def begin(self) -> None:
        """Count what is there, and end the connection where it stays too long."""
        self.end()
        self._num_bytes = self._transport.get_write_buffer_size()
        self._admission.count(self._num_bytes)
        if self._since is None:
            self._since = self._loop.time()
        deadline = self._since + UNREAD_SECONDS + self._read_bytes / BYTES_PER_SECOND
        self._timer = self._loop.call_at(deadline, self._transport.abort)

    def end_reply(self) -> None:
        """Have the next reply its own time; what waits still keeps the one that it has."""
        self._since = None
        self._read_bytes = 0

    def end(self) -> None:
        """Count it no more: it has been sent, or nobody will read it."""
        self._admission.release(self._num_bytes)
        self._read_bytes += self._num_bytes
        self._num_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
