"""The default transport of the synchronous client: httpx, which goes no further than this file."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from ._transport import HttpReply, HttpRequest, Received

# As many kept connections as used ones: a pool that keeps fewer reconnects all the time under threads.
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)
_SHORTEST_TIMEOUT_SECONDS = 0.001


class HttpxTransport:
    """Sends requests over pooled connections, one pool for each process.

    Args:
        base_url: the service's address; only its scheme matters here.
    """

    def __init__(self, base_url: str) -> None:
        self._verify = verification(base_url)
        # By process, because a pool that a fork has copied would read replies meant for the other side.
        # setdefault makes it safe among threads without a lock that a fork could leave locked for ever.
        self._pools: dict[int, httpx.Client] = {}

    def __call__(self, request: HttpRequest) -> HttpReply:
        """The reply to a request; built-in OSErrors when there is none."""
        left = TimeLeft(request.timeout_seconds)
        try:
            return self._exchange(request, left)
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            timed_out = isinstance(failure, httpx.TimeoutException) or left.is_spent()
            raise (TimeoutError if timed_out else ConnectionError)(describe(failure)) from None

    def _exchange(self, request: HttpRequest, left: TimeLeft) -> HttpReply:
        with self._pool().stream(
            request.method,
            request.url,
            content=request.body,
            headers=request.headers,
            extensions={"timeout": left},
        ) as response:
            body = _read_body(response, Received(request.max_reply_bytes), left)
            return HttpReply(response.status_code, dict(response.headers), body)

    def _pool(self) -> httpx.Client:
        process = os.getpid()
        pool = self._pools.get(process)
        if pool is None:
            pool = self._pools.setdefault(process, httpx.Client(verify=self._verify, limits=LIMITS))
        return pool

    def close(self) -> None:
        """Close the connections of this process."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()


class TimeLeft(Mapping[str, float | None]):
    """httpx's timeouts as what is left of one budget.

    httpx allows each of its phases (pool, connect, write, read) its own time, which together would be
    four times the limit. It looks a phase's time up when the phase begins, so answering with what is
    left at that moment makes one budget of them.
    """

    def __init__(self, seconds: float | None) -> None:
        self._ends_at = None if seconds is None else time.monotonic() + seconds

    def __getitem__(self, phase: str) -> float | None:
        if self._ends_at is None:
            return None
        return max(_SHORTEST_TIMEOUT_SECONDS, self._ends_at - time.monotonic())

    def __iter__(self) -> Iterator[str]:
        return iter(("connect", "pool", "read", "write"))

    def __len__(self) -> int:
        return 4

    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at


def _read_body(response: httpx.Response, received: Received, left: TimeLeft) -> bytes:
    """The body, up to its limit, or an httpx error once the time is up.

    httpx allows every single read the time that was left when the body began, so a reply that stalls
    half-way, or drips, would outlive the budget. A timer shuts the socket down at its end; replies that
    come in one piece, as most do, need none.
    """
    # As it was sent: what is inflated could be a thousand times as long, and no coding was asked for.
    pieces = response.iter_raw()
    received.add(next(pieces, b""))
    seconds = left["read"]
    if seconds is None or response.headers.get("Content-Length") == str(response.num_bytes_downloaded):
        return _read_on(pieces, received)
    timer = threading.Timer(seconds, _shut_down, [response.extensions.get("network_stream")])
    timer.daemon = True
    timer.start()
    try:
        return _read_on(pieces, received)
    finally:
        timer.cancel()


def _read_on(pieces: Iterator[bytes], received: Received) -> bytes:
    all(map(received.add, pieces))  # it stops at the first piece after which there is no room
    return received.join()


def _shut_down(stream: Any) -> None:
    """End a connection's reads from another thread."""
    connection = stream.get_extra_info("socket")
    with contextlib.suppress(OSError):  # already closed
        # The plain socket's method: that of a TLS socket is not made for a second thread.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def verification(base_url: str) -> ssl.SSLContext | bool:
    """How httpx verifies certificates.

    For http:// addresses a context that trusts nobody, because loading the certificates takes longer
    than a call; unlike verification switched off, it fails closed should a proxy speak TLS after all.
    """
    return True if base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def describe(failure: Exception) -> str:
    """The words of httpx, or the kind of failure where it has none."""
    return str(failure) or type(failure).__name__
