"""The default transport of the synchronous client: httpx, which goes no further than this file."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from ._time_left import TimeLeft, TimelyBackend
from ._transport import HttpReply, HttpRequest, Received
from .errors import ConfigurationError

PoolT = TypeVar("PoolT", httpx.Client, httpx.AsyncClient)

# As many kept connections as used ones: a pool that keeps fewer reconnects all the time under threads.
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)


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
        """The reply to a request; built-in OSErrors when there is none, a ConfigurationError without a usable proxy."""
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
            body = _read_body(response, Received(request.max_reply_bytes))
            return HttpReply(response.status_code, dict(response.headers), body)

    def _pool(self) -> httpx.Client:
        process = os.getpid()
        pool = self._pools.get(process)
        if pool is None:
            pool = self._pools.setdefault(process, make_pool(httpx.Client, TimelyBackend, verify=self._verify))
        return pool

    def close(self) -> None:
        """Close the connections of this process."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()


def _read_body(response: httpx.Response, received: Received) -> bytes:
    """The body, up to its limit.

    As it was sent: what is inflated could be a thousand times as long, and no coding was asked for.
    """
    all(map(received.add, response.iter_raw()))  # it stops at the first piece after which there is no room
    return received.join()


def make_pool(kind: type[PoolT], backend: Callable[[Any], object], *, verify: ssl.SSLContext | bool) -> PoolT:
    """A pool of either kind, behind the proxy that the environment names.

    Args:
        kind: which.
        backend: opens its connections, around httpcore's own.
        verify: as httpx has it.

    Raises:
        ConfigurationError: there can be no such proxy, or it takes a package that is not installed.
    """
    try:
        pool: PoolT = kind(verify=verify, limits=LIMITS)
    except (ValueError, httpx.InvalidURL, ImportError) as failure:
        # The address of a proxy may hold a password, and so may what is said of it.
        cure = str(failure) if isinstance(failure, ImportError) else "they take addresses such as 'http://host:port'"
        raise ConfigurationError(
            f"the proxy of HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY cannot be used: {cure}"
        ) from None
    # httpx has no public place for that.
    for transport in (pool._transport, *pool._mounts.values()):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        connections: Any = getattr(transport, "_pool", None)
        if connections is not None:
            connections._network_backend = backend(connections._network_backend)  # noqa: SLF001 - as above
    return pool


def verification(base_url: str) -> ssl.SSLContext | bool:
    """How httpx verifies certificates.

    For http:// addresses a context that trusts nobody, because loading the certificates takes longer
    than a call; unlike verification switched off, it fails closed should a proxy speak TLS after all.
    """
    return True if base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def describe(failure: Exception) -> str:
    """The words of httpx, or the kind of failure where it has none."""
    return str(failure) or type(failure).__name__
