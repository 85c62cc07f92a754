"""The default transport of the asynchronous client: httpx, which goes no further than this file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from itertools import count
from typing import Any

import anyio
import httpcore
import httpx
from anyio.lowlevel import RunVar

from ._httpx import describe, make_pool, verification
from ._transport import HttpReply, HttpRequest, Received

_numbers = count()
_Pool = AsyncGenerator[httpx.AsyncClient, None]
_Kept = tuple[_Pool, httpx.AsyncClient]
_LISTENED_BYTES = 256 * 1024
"""Less is in the system's buffers before anybody could answer."""
_READ_AT_ONCE_BYTES = 64 * 1024


class AsyncHttpxTransport:
    """Sends requests over pooled connections, one pool for each run of an event loop.

    Args:
        base_url: the service's address; only its scheme matters here.
    """

    def __init__(self, base_url: str) -> None:
        self._verify = verification(base_url)
        # Connections belong to the loop they were made in, so a second asyncio.run gets a pool of its own.
        # Some versions of anyio tell such variables apart by name alone, hence the number.
        self._pools: RunVar[_Kept | None] = RunVar(f"gradient_client {next(_numbers)}")

    async def __call__(self, request: HttpRequest) -> HttpReply:
        """The reply to a request; built-in OSErrors when there is none, a ConfigurationError without a usable proxy."""
        try:
            with anyio.fail_after(request.timeout_seconds):
                return await self._exchange(request)
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            raise ConnectionError(describe(failure)) from None

    async def _exchange(self, request: HttpRequest) -> HttpReply:
        pool = await self._pool()
        # No timeout within httpx: the cancel scope around this covers all of its phases at once.
        sent = pool.build_request(
            request.method, request.url, content=request.body, headers=request.headers, timeout=None
        )
        sent.stream = _Whole(request.body)
        async with aclosing(await pool.send(sent, stream=True)) as response:
            received = Received(request.max_reply_bytes)
            # As it was sent: what is inflated could be a thousand times as long, and no coding was asked for.
            async for piece in response.aiter_raw():
                if not received.add(piece):
                    break
            return HttpReply(response.status_code, dict(response.headers), received.join())

    async def _pool(self) -> httpx.AsyncClient:
        kept = self._pools.get(None)
        if kept is None:
            keeper = _kept_open(make_pool(httpx.AsyncClient, _AttentiveBackend, verify=self._verify), self._pools)
            kept = keeper, await anext(keeper)
            self._pools.set(kept)
        return kept[1]

    async def aclose(self) -> None:
        """Close the connections of this run; those of other runs close when they end."""
        kept = self._pools.get(None)
        if kept is not None:
            await kept[0].aclose()


async def _kept_open(pool: httpx.AsyncClient, pools: RunVar[_Kept | None]) -> _Pool:
    """A pool that closes with its event loop.

    Event loops run the `finally` of unfinished asynchronous generators before they stop, which makes one
    the only place for code that must await at the end of a run that nobody announces.
    """
    try:
        yield pool
    finally:
        pools.set(None)  # what is kept there knows the event loop, which would never be freed
        await pool.aclose()


class _Whole(httpx.AsyncByteStream):
    """A body that is sent at once; httpx's own is a generator, which trio misses where it is not read to its end.

    Args:
        body: all of it.
    """

    def __init__(self, body: bytes) -> None:
        self._left = [body]

    def __aiter__(self) -> _Whole:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class _AttentiveStream:
    """A connection on which sending ends where the other side answers.

    A service that refuses a long body answers before it has all, and reads no further. Who only sends until then finds
    the connection reset, and the reply lost with it.

    Args:
        stream: httpcore's, asynchronous.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._early = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as httpcore calls it
        """What has arrived, what came while something was sent first."""
        early, self._early = self._early, b""
        return early or await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """Send all of it; an `httpcore.WriteError` where something is answered before, upon which httpcore reads."""
        if len(buffer) <= _LISTENED_BYTES:
            await self._stream.write(buffer, timeout)
            return
        is_sent = False
        async with anyio.create_task_group() as group:
            group.start_soon(self._listen, group.cancel_scope)
            with suppress(httpcore.WriteError):
                await self._stream.write(buffer, timeout)
                is_sent = True
            group.cancel_scope.cancel()
        if not is_sent:
            raise httpcore.WriteError("the service did not take all of the body")

    async def _listen(self, sending: anyio.CancelScope) -> None:
        with suppress(httpcore.ReadError):
            self._early = await self._stream.read(_READ_AT_ONCE_BYTES)
        sending.cancel()

    async def start_tls(self, *args: Any, **keywords: Any) -> _AttentiveStream:
        """The same over TLS."""
        return _AttentiveStream(await self._stream.start_tls(*args, **keywords))

    async def aclose(self) -> None:
        """End it."""
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        """About it."""
        return self._stream.get_extra_info(info)


class _AttentiveBackend:
    """Opens such connections.

    Args:
        backend: httpcore's, asynchronous, which does the opening.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    async def connect_tcp(self, *args: Any, **keywords: Any) -> _AttentiveStream:
        """To a host."""
        return _AttentiveStream(await self._backend.connect_tcp(*args, **keywords))

    async def connect_unix_socket(self, *args: Any, **keywords: Any) -> _AttentiveStream:
        """To a socket of this machine."""
        return _AttentiveStream(await self._backend.connect_unix_socket(*args, **keywords))

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._backend.sleep(seconds)
