"""Taking from a connection what is left of a body that nobody reads, so that the connection can go on.

Copying a body of a megabyte through the event loop and the parser takes ten times as long as refusing it.
"""

from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable
from contextlib import suppress
from os import dup
from socket import AF_INET, IPPROTO_TCP, MSG_TRUNC, SOCK_STREAM, socket

SCRATCH = bytearray(1024 * 1024)
"""What is discarded goes here, but on Linux, which copies nothing."""


class Discard:
    """Takes a number of bytes.

    Args:
        transport: of the connection.
        num_bytes: how many there are, more than none.
    """

    def __init__(self, transport: Transport, num_bytes: int) -> None:
        self._transport = transport
        self._missing = num_bytes
        # A second descriptor, because the event loop lets nobody watch those of its transports.
        descriptor = dup(transport.get_extra_info("socket").fileno())
        self._socket = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP, descriptor)
        self._loop: AbstractEventLoop | None = None

    def take(self) -> bool:
        """Take what is there, and what the other side sends meanwhile; return whether that was all."""
        taken = -1
        with suppress(BlockingIOError):
            while self._missing and taken:
                taken = self._take_some()
                self._missing -= taken
        if not taken:  # the other side has left
            self._transport.close()
        elif not self._missing:
            self.stop()
        return not self._missing

    def wait(self, loop: AbstractEventLoop, done: Callable[[], None]) -> None:
        """Take the rest as it comes, then call; the transport must not read meanwhile."""
        self._loop = loop
        loop.add_reader(self._socket, self._take_and_tell, done)

    def _take_some(self) -> int:
        try:
            return self._socket.recv_into(SCRATCH, min(self._missing, len(SCRATCH)), MSG_TRUNC)
        except ConnectionError:
            return 0

    def _take_and_tell(self, done: Callable[[], None]) -> None:
        if self.take():
            done()

    def stop(self) -> None:
        """Take no more."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop = None
        self._socket.close()
