"""The default transport of the asynchronous client: httpx, which goes no further than this file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import count

import anyio
import httpx
from anyio.lowlevel import RunVar

from ._httpx import describe, make_pool, verification
from ._transport import HttpReply, HttpRequest, Received

_numbers = count()
_Pool = AsyncGenerator[httpx.AsyncClient, None]
_Kept = tuple[_Pool, httpx.AsyncClient]


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
        async with pool.stream(
            request.method, request.url, content=request.body, headers=request.headers, timeout=None
        ) as response:
            received = Received(request.max_reply_bytes)
            # As it was sent: what is inflated could be a thousand times as long, and no coding was asked for.
            async for piece in response.aiter_raw():
                if not received.add(piece):
                    break
            return HttpReply(response.status_code, dict(response.headers), received.join())

    async def _pool(self) -> httpx.AsyncClient:
        kept = self._pools.get(None)
        if kept is None:
            keeper = _kept_open(make_pool(httpx.AsyncClient, verify=self._verify), self._pools)
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
