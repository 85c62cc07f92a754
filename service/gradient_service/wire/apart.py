"""Texts that take long are decoded in a process of their own, so that nobody else waits for the interpreter meanwhile.

No JSON parser for Python gives back the interpreter lock while it works. A process that has the decoders loaded forks
for each text (`forks.py`). The fork answers over a socket, and ends when its caller lets go of that, wherever it is.
"""

import os
import pickle
import socket
import subprocess
import sys
from atexit import register
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from threading import Lock
from typing import TypeVar

from gradient_service.wire.checkpoint import Checkpoint
from gradient_service.wire.errors import TakesLongError
from gradient_service.wire.json_grammar import SHORT_TEXT
from gradient_service.wire.tensor_codec import Buffer, room_for

APART_BYTES = 1024 * 1024
"""A longer text takes long in any case; for a shorter one, read hastily, the others wait for some milliseconds."""
LOOK_SECONDS = 0.02
"""Between two looks at whether the answer is still wanted."""

T = TypeVar("T")


class ForkLostError(Exception):
    """Raised when a fork ends without an answer: it was killed, as for want of memory, or could not be made."""


def decode_text(decode: Callable[..., T], body: Buffer, text_bytes: int, checkpoint: Checkpoint) -> T:
    """Return or raise what decoding a body does, in a process of its own where that takes long.

    Args:
        decode: may be told to do it hastily; goes to that process, and its outcome comes back, pickled.
        body: the bytes.
        text_bytes: how many of them are parsed.
        checkpoint: what it raises ends that process.

    Raises:
        ForkLostError: there is no answer.
    """
    if text_bytes <= SHORT_TEXT:
        return decode(body)
    if text_bytes <= APART_BYTES:
        with suppress(TakesLongError):
            return decode(body, hastily=True)
    try:
        with _server().fork() as connection:
            connection.send(decode)
            connection.send_bytes(body)
            while not connection.poll(LOOK_SECONDS):
                checkpoint()
            outcome, sizes = connection.recv()
            arrays = [_received(connection, num_bytes) for num_bytes in sizes]
    except (EOFError, ConnectionError):
        raise ForkLostError from None
    value: T | Exception = pickle.loads(outcome, buffers=arrays)  # noqa: S301  from our own process
    if isinstance(value, Exception):
        raise value
    return value


def _received(connection: Connection, num_bytes: int) -> memoryview:
    """Return so many bytes, put where they stay by the system, without the interpreter lock.

    The library would copy them with it: of eight million numbers, everyone else waits for 30 ms.
    """
    received = rest = room_for(num_bytes)
    while rest:
        num_read = os.readv(connection.fileno(), [rest])
        if not num_read:
            raise EOFError
        rest = rest[num_read:]
    return received


class ForkServer:
    """The process that forks; it ends with this one."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "gradient_service.wire.forks", str(theirs.fileno())]
            self._process = subprocess.Popen(  # noqa: S603  fixed words
                command, pass_fds=[theirs.fileno()], env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}
            )
        register(self.close)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def fork(self) -> Connection:
        """Return the connection to a new process; where there is none, nothing comes from it."""
        ours, theirs = socket.socketpair()
        with theirs, suppress(ConnectionError):
            socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
        return Connection(ours.detach())

    def close(self) -> None:
        """End it, and no fork of it."""
        self._control.close()
        self._process.wait()


_started = cache(ForkServer)
_starting = Lock()


def _server() -> ForkServer:
    """Return the one of this process, started when it is first needed, and again when it has ended."""
    with _starting:
        if not _started().is_alive:
            _started.cache_clear()
        return _started()
