"""The end of a connection whose other side may still be sending."""

from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl

from gradient_service.http.message_rules import SWALLOWED_BYTES

LINGER_SECONDS = 1.0
"""A connection that is being closed is read this long, so that what was sent last is not lost to a reset."""


class ClosingTransport:
    """A connection's transport whose `close` first lets the other side read what was sent, and swallows the rest.

    Args:
        transport: of the connection.
        flow: what pauses and resumes its reading.
        loop: the event loop that runs.
        note_departure: called where something is sent after the other side has gone.
    """

    def __init__(
        self, transport: Transport, flow: FlowControl, loop: AbstractEventLoop, note_departure: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._flow = flow
        self._loop = loop
        self._note_departure = note_departure
        self._swallowed: int | None = None

    def write(self, data: bytes) -> None:
        """Send; after the other side has gone, to nobody, which the connection itself learns only later."""
        if self._transport.is_closing():
            self._note_departure()
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Return whether nothing will be sent any more."""
        return self._swallowed is not None or self._transport.is_closing()

    def close(self) -> None:
        """End the sending side; the connection ends with the other side's end, or after a while."""
        if self.is_closing():
            return
        self._swallowed = 0
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._flow.resume_reading()
        self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def swallows(self, data: bytes | memoryview) -> bool:
        """Return whether the connection is being closed and these bytes are passed over; beyond some, none is read."""
        if self._swallowed is None:
            return False
        self._swallowed += len(data)
        if self._swallowed > SWALLOWED_BYTES:
            self._transport.pause_reading()
        return True
