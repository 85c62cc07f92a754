"""How long work on a call is worth doing: until its deadline, and while its caller is there."""

from asyncio import CancelledError, Task, create_task
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf
from time import monotonic

from anyio import CancelScope, move_on_after
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from gradient_service.http.headers import whole_number
from gradient_service.http.problems import HttpProblemError

HEADER = "X-Request-Deadline-Ms"
DAY_SECONDS = 86_400.0
"""A later deadline is none."""


class Patience:
    """The patience of one caller.

    Args:
        seconds: to the deadline.
        since: when they began, as `monotonic` says; now, if left out.
    """

    def __init__(self, seconds: float = inf, since: float | None = None) -> None:
        self._end = (monotonic() if since is None else since) + seconds
        self._scope: CancelScope | None = None
        self._has_left = False
        self._watcher: Task[None] | None = None

    @classmethod
    def of(cls, headers: Headers, since: float | None) -> "Patience":
        """Return what the headers of a call that came then say; raise `malformed-http` when they say it wrongly."""
        milliseconds = whole_number(headers, HEADER)
        if milliseconds is None:
            return cls()
        if milliseconds == 0:
            raise HttpProblemError("malformed-http", f"{HEADER} is at least 1.")
        seconds = milliseconds / 1000
        return cls(seconds if seconds < DAY_SECONDS else inf, since)

    def check(self) -> None:
        """Raise where the patience has ended; any thread may ask.

        Raises:
            ClientDisconnect: the caller has left.
            HttpProblemError: `deadline-exceeded`.
        """
        if self._has_left or monotonic() >= self._end:
            raise self._ending()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Break off what is awaited meanwhile once the patience has ended, and raise as `check` does."""
        if self._end == inf and self._watcher is None:
            yield
            return
        with move_on_after(self._end - monotonic()) as self._scope:
            yield
        if self._scope.cancelled_caught:
            raise self._ending()

    @asynccontextmanager
    async def watching(self, receive: Receive) -> AsyncIterator[None]:
        """Notice meanwhile when the caller leaves; only for a request whose body has been read."""
        self._watcher = create_task(self._watch(receive))
        try:
            yield
        except CancelledError:
            self._has_left = True  # the server ends the call; its thread shall notice
            raise
        finally:
            self._watcher.cancel()

    async def _watch(self, receive: Receive) -> None:
        message = await receive()
        if message["type"] == "http.disconnect":
            self._has_left = True
            if self._scope is not None:
                self._scope.cancel()

    def _ending(self) -> Exception:
        if self._has_left:
            return ClientDisconnect()
        return HttpProblemError("deadline-exceeded", f"The work was not done within {HEADER}.")
