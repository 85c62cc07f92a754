"""Passing over what is left of a body that nobody reads, so that its connection can go on.

Copying a body of a megabyte through the event loop and the parser takes ten times as long as refusing it.
"""

from asyncio import Transport
from contextlib import suppress
from socket import AF_INET, IPPROTO_TCP, MSG_TRUNC, SOCK_STREAM, socket

SCRATCH = bytearray(1024 * 1024)
"""What is discarded goes here, but on Linux, which copies nothing."""


class Discard:
    """Takes a number of bytes.

    Args:
        transport: of the connection.
        num_bytes: how many there are.
    """

    def __init__(self, transport: Transport, num_bytes: int) -> None:
        self._descriptor: int = transport.get_extra_info("socket").fileno()
        self._missing = num_bytes

    @property
    def is_complete(self) -> bool:
        """Whether all of them are taken."""
        return not self._missing

    def take(self, data: bytes | memoryview) -> bytes | memoryview:
        """Take what has been read, and what is there to be read; return what has been read of the next message."""
        behind = data[self._missing :]
        self._missing -= len(data) - len(behind)
        if self._missing:
            self._take_unread()
        return behind

    def _take_unread(self) -> None:
        connection = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP, self._descriptor)
        with suppress(OSError):  # no more is there, or the other side has left, which the event loop will notice
            while self._missing and (taken := self._receive(connection)):
                self._missing -= taken
        connection.detach()  # it stays the event loop's

    def _receive(self, connection: socket) -> int:
        return connection.recv_into(SCRATCH, min(self._missing, len(SCRATCH)), MSG_TRUNC)
