"""Accepting connections, of those that wait a worker's share at a time.

The event loop's own server accepts one, then sees to every other connection before the next. Where these keep it busy,
new callers wait until they have given up, and what is accepted then is answered to nobody. A worker that took all would
leave the others idle: callers connect in bursts, and stay connected.
"""

import socket
import sys
from asyncio import AbstractEventLoop, BaseProtocol, Task, gather
from collections.abc import Callable
from contextlib import suppress
from struct import Struct

MAX_AT_ONCE = 256
NUM_WAITING = Struct("=24xI")
"""Linux tells of a socket that listens how many connections wait, in the place `tcpi_unacked` of its `tcp_info`."""
PAUSE_SECONDS = 0.5
"""How long nothing is accepted when no descriptor or no memory is left."""


class Acceptor:
    """Accepts connections on a socket that listens.

    Args:
        listener: the socket.
        protocol: returns what speaks on a new connection.
        loop: the event loop that runs.
        workers: how many processes accept on the same socket.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], BaseProtocol],
        loop: AbstractEventLoop,
        *,
        workers: int = 1,
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._loop = loop
        self._workers = workers
        self._opening: set[Task[object]] = set()
        listener.settimeout(0)
        self._watch()

    async def close(self) -> None:
        """Accept the connections that wait, and no others; return once they are made."""
        self._loop.remove_reader(self._listener)
        self._accept_some(MAX_AT_ONCE)
        self._listener.close()
        await gather(*self._opening, return_exceptions=True)

    def _watch(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            self._accept_some(-(-self._num_waiting() // self._workers))
        except OSError:
            self._loop.remove_reader(self._listener)
            self._loop.call_later(PAUSE_SECONDS, self._watch)

    def _num_waiting(self) -> int:
        """Return how many connections wait, or as many as are accepted at once where the system does not tell."""
        if sys.platform != "linux" or self._workers == 1:
            return MAX_AT_ONCE
        known = self._listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, NUM_WAITING.size)
        return int(NUM_WAITING.unpack(known)[0])

    def _accept_some(self, at_most: int) -> None:
        with suppress(BlockingIOError, ConnectionError):
            for _ in range(min(at_most, MAX_AT_ONCE)):
                self._open(self._listener.accept()[0])

    def _open(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
