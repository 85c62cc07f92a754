"""Accepting connections: all that wait at a time, and all that wait before the end."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys

import pytest

from gradient_service.server import accepting
from gradient_service.server.accepting import Acceptor

pytestmark = pytest.mark.anyio


class Speaker(asyncio.Protocol):
    """Greets, and ends the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what TCP has
        """Say one word."""
        transport.write(b"hello")
        transport.close()


class Listener(socket.socket):
    """A listening socket of which a test can say how it accepts."""

    failures = 0
    accepted = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Accept, but for the failures."""
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        connection = super().accept()
        self.accepted += 1
        return connection


@pytest.fixture
def listener() -> Listener:
    """A socket that listens on a free port."""
    listener = Listener()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def connected(listener: Listener, count: int) -> list[socket.socket]:
    """Connections that wait to be accepted."""
    return [socket.create_connection(listener.getsockname(), timeout=10) for _ in range(count)]


async def heard(connection: socket.socket) -> bytes:
    """What is said on a connection until its end."""
    with connection, connection.makefile("rb") as stream:
        return await asyncio.to_thread(stream.read)


async def test_waiting_connections_are_accepted_together(listener: Listener) -> None:
    """Ten connections that wait are accepted in one turn of the event loop."""
    acceptor = Acceptor(listener, Speaker, asyncio.get_running_loop())
    waiting = connected(listener, 10)
    while not listener.accepted:  # noqa: ASYNC110 - the socket sets no event
        await asyncio.sleep(0)
    assert listener.accepted == 10
    assert [await heard(connection) for connection in waiting] == [b"hello"] * 10
    await acceptor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many wait")
async def test_a_worker_takes_its_share(listener: Listener) -> None:
    """Of ten connections that wait, one of two workers accepts five in its first turn; alone, it accepts all."""
    acceptor = Acceptor(listener, Speaker, asyncio.get_running_loop(), workers=2)
    waiting = connected(listener, 10)
    while not listener.accepted:  # noqa: ASYNC110 - the socket sets no event
        await asyncio.sleep(0)
    assert listener.accepted == 5
    assert [await heard(connection) for connection in waiting] == [b"hello"] * 10
    await acceptor.close()


async def test_no_waiting_connection_is_lost_at_the_end(listener: Listener) -> None:
    """A connection that waits when the listener closes is served; the next one is refused."""
    acceptor = Acceptor(listener, Speaker, asyncio.get_running_loop())
    address = listener.getsockname()
    waiting = connected(listener, 3)
    await acceptor.close()
    assert [await heard(connection) for connection in waiting] == [b"hello"] * 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)


async def test_accepting_goes_on_after_a_shortage(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no descriptor is left, accepting pauses and goes on."""
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.01)
    listener.failures = 2
    acceptor = Acceptor(listener, Speaker, asyncio.get_running_loop())
    assert await heard(connected(listener, 1)[0]) == b"hello"
    await acceptor.close()
