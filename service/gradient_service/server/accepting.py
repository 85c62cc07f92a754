"""Accepting connections, all that wait at a time.

The event loop's own server accepts one, then sees to every other connection before the next. Where these keep it busy,
new callers wait until they have given up, and what is accepted then is answered to nobody.
"""

from asyncio import AbstractEventLoop, BaseProtocol, Task, gather
from collections.abc import Callable
from contextlib import suppress
from socket import socket

MAX_AT_ONCE = 256
PAUSE_SECONDS = 0.5
"""How long nothing is accepted when no descriptor or no memory is left."""


class Acceptor:
    """Accepts connections on a socket that listens.

    Args:
        listener: the socket.
        protocol: returns what speaks on a new connection.
        loop: the event loop that runs.
    """

    def __init__(self, listener: socket, protocol: Callable[[], BaseProtocol], loop: AbstractEventLoop) -> None:
        self._listener = listener
        self._protocol = protocol
        self._loop = loop
        self._opening: set[Task[object]] = set()
        listener.settimeout(0)
        self._watch()

    async def close(self) -> None:
        """Accept the connections that wait, and no others; return once they are made."""
        self._loop.remove_reader(self._listener)
        self._accept_waiting()
        self._listener.close()
        await gather(*self._opening, return_exceptions=True)

    def _watch(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            self._accept_waiting()
        except OSError:
            self._loop.remove_reader(self._listener)
            self._loop.call_later(PAUSE_SECONDS, self._watch)

    def _accept_waiting(self) -> None:
        with suppress(BlockingIOError, ConnectionError):
            for _ in range(MAX_AT_ONCE):
                self._open(self._listener.accept()[0])

    def _open(self, connection: socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
