"""Bodies of declared length past the parser: kept in one buffer, to be read where they lie, or passed over.

In pieces, a large one would pass through the parser, an event and a task, and be copied four times: a sixth of the time
of a call with a megabyte of tensors. And to copy one that nobody reads takes ten times as long as to refuse it.
"""

from asyncio import Transport
from contextlib import suppress
from socket import AF_INET, IPPROTO_TCP, MSG_TRUNC, SOCK_STREAM, socket
from typing import Protocol

from gradient_service.wire.tensor_codec import room_for

SCRATCH = bytearray(1024 * 1024)
"""What is passed over goes here, but on Linux, which copies nothing."""


class Unparsed(Protocol):
    """The rest of a body, which no parser sees."""

    @property
    def place(self) -> memoryview | None:
        """Where what arrives next belongs; None where it does not matter."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it has arrived."""

    def take(self, data: bytes | memoryview) -> bytes | memoryview:
        """Take what has arrived, in its place if it has one; return what lies behind the body."""


class ArrivingBody:
    """A body that is kept.

    Args:
        num_bytes: its length.
        part: what of it has arrived.
    """

    def __init__(self, num_bytes: int, part: bytes) -> None:
        self.content: bytes | memoryview = part if len(part) == num_bytes else _with_room(part, num_bytes)
        """As far as it has arrived, and room for the rest."""
        self.arrived = len(part)
        """How much of it has."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it has arrived."""
        return self.arrived == len(self.content)

    @property
    def place(self) -> memoryview | None:
        """Where the rest of it belongs; None when it has arrived."""
        return None if self.is_whole else memoryview(self.content)[self.arrived :]

    def take(self, data: bytes | memoryview) -> bytes | memoryview:
        """Note that this has arrived in its place, where there is room for nothing else."""
        self.arrived += len(data)
        return b""


def _with_room(part: bytes, num_bytes: int) -> memoryview:
    buffer = room_for(num_bytes)
    buffer[: len(part)] = part
    return buffer


class Discard:
    """What is left of a body that nobody reads, so that its connection can go on.

    Args:
        transport: of the connection.
        num_bytes: how many there are.
    """

    place = None

    def __init__(self, transport: Transport, num_bytes: int) -> None:
        self._descriptor: int = transport.get_extra_info("socket").fileno()
        self._missing = num_bytes

    @property
    def is_whole(self) -> bool:
        """Whether all of it is taken."""
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
