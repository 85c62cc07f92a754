"""Reading for a connection: little while a head is expected, much of a body, and of one that nobody reads nothing.

The event loop would read 250 KB at a time, and copy them, before it is known that the call is refused.
"""

from asyncio import BufferedProtocol, Transport
from collections.abc import Callable

from gradient_service.server.repeating import RepeatingProtocol

LITTLE = memoryview(bytearray(16 * 1024))
MUCH = memoryview(bytearray(256 * 1024))
"""What arrives is parsed here before anything else is read, so all connections share it."""


class Intake(BufferedProtocol):
    """Stands between the event loop and what speaks on a connection.

    Args:
        protocol: what is told everything.
        count_end: called when the connection has ended.
    """

    def __init__(self, protocol: RepeatingProtocol, count_end: Callable[[], None]) -> None:
        self._protocol = protocol
        self._count_end = count_end
        self._buffer = LITTLE

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as the protocol's own
        """Pass it on, as what follows."""
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, and to who counts."""
        self._count_end()
        self._protocol.connection_lost(exc)

    def eof_received(self) -> None:
        """Pass it on."""
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the event loop's own idea of it
        """Return where to put what arrives next."""
        self._buffer = self._protocol.place or (MUCH if self._protocol.wants_much else LITTLE)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what has arrived, from where it lies: it is parsed before anything else is read."""
        buffer, self._buffer = self._buffer, LITTLE  # not kept: it may be a body
        self._protocol.data_received(buffer[:nbytes])
