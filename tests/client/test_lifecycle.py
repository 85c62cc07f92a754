"""Connections on a real loopback socket: reuse, loss, threads, forks and event loops."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import socket
import ssl
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest

from gradient_client import (
    AsyncGradientClient,
    GradientClient,
    Retry,
    TransportError,
)
from gradient_client._httpx import verification

from .conftest import BODY, HEAD, RawService


def test_three_event_loops(url: str) -> None:
    """One client serves one asyncio.run after another and leaves no connection behind."""
    client = AsyncGradientClient(url)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert asyncio.run(client.limits()).max_elements == 64
        gc.collect()
    asyncio.run(client.aclose())


def test_event_loops_that_have_ended_are_freed(url: str) -> None:
    """Nothing of a run is kept behind its end, nor of a client behind its own."""
    client = AsyncGradientClient(url)

    async def run() -> tuple[weakref.ref[Any], ...]:
        async with AsyncGradientClient(url) as other:
            await other.limits()
            await client.limits()
        kept = client._own_transport._pools.get()
        assert kept is not None
        return weakref.ref(asyncio.get_running_loop()), weakref.ref(kept[1])

    ended = [asyncio.run(run()) for _ in range(2)]
    asyncio.run(client.aclose())
    gc.collect()
    assert [reference() for references in ended for reference in references] == [None] * 4


def test_trio_after_asyncio(url: str) -> None:
    """One client serves runs of both kinds of event loop."""
    client = AsyncGradientClient(url)
    for backend in ("trio", "asyncio", "trio"):
        assert anyio.run(client.limits, backend=backend).max_elements == 64
    gc.collect()
    anyio.run(client.aclose, backend="trio")


@pytest.mark.anyio
async def test_cancelled_calls_free_their_connections(url: str) -> None:
    """After many cancelled calls the pool serves as before."""
    async with AsyncGradientClient(url) as client:
        for step in range(50):
            with anyio.move_on_after(step / 10_000):
                await client.limits()
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(client.limits)


def test_threads(url: str) -> None:
    """64 threads share one client, and each gets the answers to its own requests."""
    with GradientClient(url, timeout=20) as client, ThreadPoolExecutor(64) as pool:
        answers = pool.map(lambda _: client.limits().max_elements, range(256))
        assert set(answers) == {64}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork_with_warm_pool(url: str) -> None:
    """Parent and child go on with connections of their own, a thousand calls each."""
    with GradientClient(url) as client:
        client.limits()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if all(client.limits().max_elements == 64 for _ in range(1000)) else 2
            finally:
                os._exit(status)
        assert all(client.limits().max_elements == 64 for _ in range(1000))
        assert os.waitpid(child, 0)[1] == 0


def test_unclosed_client_names_its_line() -> None:
    """A client left open warns with the line that made it."""
    with pytest.warns(ResourceWarning, match=r"unclosed GradientClient created at .*test_lifecycle\.py:\d+"):
        GradientClient("http://service.test")


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy])
def test_copies_share_one_client(clone: Any) -> None:
    """What is copied with a client in it leaves no second one open."""
    with GradientClient("http://service.test") as client:
        assert clone([client])[0] is client
        assert clone(client) is client


def test_closed_client_is_silent() -> None:
    """Leaving the context is enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with GradientClient("http://service.test"):
            pass
        gc.collect()


def test_dropped_connection_is_tried_again(raw: RawService) -> None:
    """A reply cut short costs one attempt, not the call."""

    def talk(number: int, connection: socket.socket) -> None:
        connection.sendall(HEAD % len(BODY) + (BODY if number else BODY[:5]))

    with GradientClient(raw(talk), retry=Retry(first_wait_seconds=0)) as client:
        assert client.limits().max_elements == 64


def test_refused() -> None:
    """Nobody there is a TransportError without a trace of the HTTP library."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with GradientClient(f"http://127.0.0.1:{port}", retry=Retry(first_wait_seconds=0)) as client:
        with pytest.raises(TransportError, match=f"no reply from http://127.0.0.1:{port} after 3 attempts") as caught:
            client.limits()
        assert len(caught.value.attempts) == 3
        assert not isinstance(caught.value, httpx.HTTPError)
        assert client.ready() is False


def test_no_certificates_for_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain addresses load no certificates, and yet would trust nobody."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("certificates were loaded")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", forbidden)
    context = verification("http://service.test")
    httpx.Client(verify=context).close()
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
