"""What a connection sends, and its end where the other side may still be sending."""

from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable

from gradient_service.http.message_rules import SWALLOWED_BYTES
from gradient_service.server.arriving import Discard
from gradient_service.server.holding import HoldingFlow

BEGIN_OF_HEAD = b"HTTP/1."
LINGER_SECONDS = 1.0
"""A connection that is being closed is read this long, so that what was sent last is not lost to a reset."""


class ClosingTransport:
    """A connection's transport that sends the head of a reply together with what follows it.

    Each call of the system that sends something wakes the other side, which for a small reply takes a tenth of its
    time. Its `close` first lets the other side read what was sent, and swallows the rest.

    Args:
        transport: of the connection.
        flow: what pauses and resumes its reading.
        loop: the event loop that runs.
        note_departure: called where something is sent after the other side has gone.
    """

    def __init__(
        self, transport: Transport, flow: HoldingFlow, loop: AbstractEventLoop, note_departure: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._flow = flow
        self._loop = loop
        self._note_departure = note_departure
        self._head = b""
        self._rest: Discard | None = None
        """What is passed over once nothing more is sent."""

    def write(self, data: bytes | memoryview) -> None:
        """Send; after the other side has gone, nothing, which the connection itself learns only later.

        A head waits for what is written next, until the event loop's next round at the most.
        """
        if self._transport.is_closing():
            self._head = b""
            self._note_departure()
        elif self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif data[: len(BEGIN_OF_HEAD)] == BEGIN_OF_HEAD:
            self._head = bytes(data)
            self._loop.call_soon(self.flush)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send a head that waits."""
        if self._head:
            self.write(b"")

    def is_closing(self) -> bool:
        """Return whether nothing will be sent any more."""
        return self._rest is not None or self._transport.is_closing()

    def close(self) -> None:
        """End the sending side; the connection ends with the other side's end, or after a while."""
        if self.is_closing():
            return
        self.flush()
        self._rest = Discard(self._transport, SWALLOWED_BYTES)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._flow.let_go()
        self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def swallows(self, data: bytes | memoryview) -> bool:
        """Return whether the connection is being closed and these bytes are passed over; beyond some, none is read."""
        if self._rest is None:
            return False
        self._rest.take(data)
        if self._rest.is_whole:
            self._transport.pause_reading()
        return True
