"""Accepting connections, of those that wait all that are a worker's share.

The event loop's own server accepts one, then sees to every other connection before the next. Where these keep it busy,
new callers wait until they have given up, and what is accepted then is answered to nobody.
"""

import logging
import socket
import sys
from asyncio import AbstractEventLoop, BaseProtocol, Task, TimerHandle, gather
from collections.abc import Callable
from contextlib import suppress
from struct import Struct

from gradient_service.server.connections import Connections

MAX_AT_ONCE = 256
NUM_WAITING = Struct("=24xI")
"""Linux tells of a socket that listens how many connections wait, in the place `tcpi_unacked` of its `tcp_info`."""
PATIENCE_SECONDS = 0.002
"""How long callers are left to workers that have fewer; these may be busy, or gone."""
PAUSE_SECONDS = 0.5
"""How long nothing is accepted when no descriptor or no memory is left."""
logger = logging.getLogger("gradient_service.server")


class Acceptor:
    """Accepts connections on a socket that listens.

    Args:
        listener: the socket.
        protocol: returns what speaks on a new connection, given what to call at its end.
        loop: the event loop that runs.
        connections: of this worker and of the others, which accept on the same socket.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[Callable[[], None]], BaseProtocol],
        loop: AbstractEventLoop,
        connections: Connections,
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._loop = loop
        self._connections = connections
        self._opening: set[Task[None]] = set()
        self._patience: TimerHandle | None = None
        """Runs while callers are left to others."""
        listener.settimeout(0)
        self._watch()

    async def close(self) -> None:
        """Accept the connections that wait, and no others; return once they are made."""
        self._end_patience()
        self._loop.remove_reader(self._listener)
        with suppress(OSError):  # no descriptor is left for those that wait
            self._accept_some(MAX_AT_ONCE)
        self._listener.close()
        await gather(*self._opening, return_exceptions=True)

    def _watch(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        waiting = self._num_waiting()
        share = self._connections.share(waiting)
        if share or not waiting:  # another worker was faster, or the system does not tell
            self._take(max(share, 1))
        else:
            self._patience = self._rest(PATIENCE_SECONDS, self._insist)

    def _insist(self) -> None:
        """Watch again, and accept this worker's part of those that still wait, as if all had as many."""
        self._end_patience()
        self._take(-(-self._num_waiting() // self._connections.num_workers))

    def _take(self, at_most: int) -> None:
        try:
            self._accept_some(at_most)
        except OSError as error:
            logger.warning("no connection is accepted for %s seconds: %s", PAUSE_SECONDS, error)
            self._rest(PAUSE_SECONDS, self._watch)

    def _rest(self, seconds: float, then: Callable[[], None]) -> TimerHandle:
        self._loop.remove_reader(self._listener)
        return self._loop.call_later(seconds, then)

    def _num_waiting(self) -> int:
        """Return how many connections wait, or as many as are accepted at once where the system does not tell."""
        if sys.platform != "linux":
            return MAX_AT_ONCE
        try:
            known = self._listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, NUM_WAITING.size)
        except OSError:
            return MAX_AT_ONCE
        return int(NUM_WAITING.unpack(known)[0])

    def _accept_some(self, at_most: int) -> None:
        with suppress(BlockingIOError):
            for _ in range(min(at_most, MAX_AT_ONCE)):
                with suppress(ConnectionError):  # this one has left again
                    self._begin(self._listener.accept()[0])

    def _begin(self, connection: socket.socket) -> None:
        self._connections.begin()
        task = self._loop.create_task(self._open(connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._protocol(self._count_end), connection)
        except Exception:
            connection.close()
            self._count_end()
            raise

    def _count_end(self) -> None:
        """Count a connection no more; callers that were left to others may be this worker's now."""
        self._connections.end()
        if self._patience is not None and self._connections.share(self._num_waiting()):
            self._end_patience()

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self._watch()
