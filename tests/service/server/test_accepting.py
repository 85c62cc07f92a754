"""Accepting connections: all that wait at a time, and all that wait before the end."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from gradient_service.server import accepting
from gradient_service.server.accepting import Acceptor
from gradient_service.server.connections import Connections, counts_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Python's own event loop, and the one that the service runs on."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Speaker(asyncio.Protocol):
    """Greets, and ends the connection."""

    def __init__(self, count_end: Callable[[], None]) -> None:
        self._count_end = count_end

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what TCP has
        """Say one word."""
        transport.write(b"hello")
        transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - nothing is done about it
        """Pass it on."""
        self._count_end()


class Listening(Speaker):
    """Says nothing, and waits for the other side's end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as above
        """Be silent."""


class Listener(socket.socket):
    """A listening socket of which a test can say how it accepts."""

    failures = 0
    accepted = 0
    tried = 0
    looked = 0

    def getsockopt(self, *arguments: int) -> Any:
        """Count how often it is asked how many wait."""
        self.looked += 1
        return super().getsockopt(*arguments)

    def accept(self) -> tuple[socket.socket, object]:
        """Accept, but for the failures."""
        self.tried += 1
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


def alone() -> Connections:
    """The connections of the only worker."""
    return Connections(counts_of(1), 0)


def connected(listener: Listener, count: int) -> list[socket.socket]:
    """Connections that wait to be accepted."""
    return [socket.create_connection(listener.getsockname(), timeout=10) for _ in range(count)]


def of_the_fuller_worker(listener: Listener, protocol: type[Speaker]) -> Acceptor:
    """What accepts for one of two workers, which has 20 connections where the other has none."""
    counts = counts_of(2)
    connections = Connections(counts, 0)
    counts[0] = 20
    return Acceptor(listener, protocol, asyncio.get_running_loop(), connections)


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop go on until the condition comes true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the socket sets no event
            await asyncio.sleep(0)


async def heard(connection: socket.socket) -> bytes:
    """What is said on a connection until its end."""
    with connection, connection.makefile("rb") as stream:
        return await asyncio.to_thread(stream.read)


async def test_waiting_connections_are_accepted_together(listener: Listener) -> None:
    """Ten connections that wait are accepted in one turn of the event loop."""
    acceptor = Acceptor(listener, Speaker, asyncio.get_running_loop(), alone())
    waiting = connected(listener, 10)
    await until(lambda: listener.accepted > 0)
    assert listener.accepted == 10
    assert [await heard(connection) for connection in waiting] == [b"hello"] * 10
    await acceptor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many wait")
@pytest.mark.parametrize(("had", "accepted"), [([0, 0], 5), ([6, 0], 2), ([0, 4], 7), ([1, 0, 4], 4)])
async def test_a_worker_takes_its_share(listener: Listener, had: list[int], accepted: int) -> None:
    """Of ten connections that wait, a worker accepts at first as many as leave all workers with as many."""
    counts = counts_of(len(had))
    connections = Connections(counts, 0)
    counts[:] = memoryview(array("I", had))
    waiting = connected(listener, 10)
    acceptor = Acceptor(listener, Speaker, asyncio.get_running_loop(), connections)
    await until(lambda: listener.accepted > 0)
    assert listener.accepted == accepted
    assert [await heard(connection) for connection in waiting] == [b"hello"] * 10
    await acceptor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many wait")
async def test_a_worker_with_more_leaves_callers_to_others_for_a_while(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts nothing at first, and what nobody else has accepted then."""
    monkeypatch.setattr(accepting, "PATIENCE_SECONDS", 0.3)
    (waiting,) = connected(listener, 1)
    acceptor = of_the_fuller_worker(listener, Speaker)
    await until(lambda: listener.looked > 0)
    assert listener.accepted == 0
    assert await heard(waiting) == b"hello"
    await acceptor.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many wait")
async def test_callers_left_to_others_are_accepted_once_an_own_one_leaves(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has no more than the others, now that a connection of its own has ended, waits no longer."""
    monkeypatch.setattr(accepting, "PATIENCE_SECONDS", 60.0)
    counts = counts_of(2)
    acceptor = Acceptor(listener, Listening, asyncio.get_running_loop(), Connections(counts, 0))
    (first,) = connected(listener, 1)
    await until(lambda: listener.accepted > 0)
    (second,) = connected(listener, 1)
    await until(lambda: listener.looked > 1)
    assert (listener.accepted, counts[0]) == (1, 1)
    first.close()
    await until(lambda: listener.accepted > 1)
    assert counts[0] == 1
    second.close()
    await acceptor.close()


async def test_a_connection_that_fails_to_open_is_not_counted(listener: Listener) -> None:
    """Where nothing can be made to speak on a connection it does not count as one that the worker has."""
    counts = counts_of(1)

    def fail(_: Callable[[], None]) -> Speaker:
        raise MemoryError

    acceptor = Acceptor(listener, fail, asyncio.get_running_loop(), Connections(counts, 0))
    (waiting,) = connected(listener, 1)
    await until(lambda: listener.accepted > 0)
    assert counts[0] == 1
    await until(lambda: counts[0] == 0)
    waiting.close()
    await acceptor.close()


def test_connections_are_counted_until_their_end() -> None:
    """Each worker counts its own, and one that replaces another begins at zero."""
    counts = counts_of(2)
    first, second = Connections(counts, 0), Connections(counts, 1)
    for each in (first, first, second):
        each.begin()
    first.end()
    assert list(counts) == [1, 1]
    Connections(counts, 0)
    assert list(counts) == [0, 1]


async def test_no_waiting_connection_is_lost_at_the_end(listener: Listener) -> None:
    """A connection that waits when the listener closes is served; the next one is refused."""
    acceptor = Acceptor(listener, Speaker, asyncio.get_running_loop(), alone())
    address = listener.getsockname()
    waiting = connected(listener, 3)
    await acceptor.close()
    assert [await heard(connection) for connection in waiting] == [b"hello"] * 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many wait")
async def test_callers_left_to_others_are_accepted_at_the_end(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker accepts those it has left to others when its listener closes, and tries to accept nobody after that."""
    monkeypatch.setattr(accepting, "PATIENCE_SECONDS", 0.3)
    (waiting,) = connected(listener, 1)
    acceptor = of_the_fuller_worker(listener, Listening)
    await until(lambda: listener.looked > 0)
    assert listener.accepted == 0
    await acceptor.close()
    assert listener.accepted == 1
    tried = listener.tried
    await asyncio.sleep(0.4)
    assert listener.tried == tried
    waiting.close()


async def test_accepting_goes_on_after_a_shortage(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no descriptor is left, accepting pauses and goes on, and the log says why."""
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.01)
    listener.failures = 2
    acceptor = Acceptor(listener, Speaker, asyncio.get_running_loop(), alone())
    assert await heard(connected(listener, 1)[0]) == b"hello"
    await acceptor.close()
    assert [record.message for record in caplog.records] == [
        "no connection is accepted for 0.01 seconds: [Errno 24] Too many open files"
    ] * 2
