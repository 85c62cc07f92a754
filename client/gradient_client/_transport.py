"""The seam between deciding what to say and saying it: a transport is a function.

`transport=` of both clients takes any function from `HttpRequest` to `HttpReply` (for the asynchronous
client, one that returns an awaitable), so a test or a proxy needs to know no HTTP library. It reports
trouble with the built-in errors: `TimeoutError` when the request's time is up, any other `OSError`
(usually a `ConnectionError`) when no complete reply arrived.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["AsyncTransport", "HttpReply", "HttpRequest", "Transport"]

_FIRST_ERROR_STATUS = 400


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What to send. Headers and body stay out of the repr: they hold the key and the numbers."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)
    timeout_seconds: float | None = None
    """Time left for this exchange, reading the reply included; None is without limit."""
    max_reply_bytes: int | None = None
    """No answer has a longer body, so that reading may end there; None is without limit."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back, with its complete body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = field(default=b"", repr=False)

    @property
    def is_error(self) -> bool:
        """Whether it is a problem, of the caller or of the service."""
        return self.status >= _FIRST_ERROR_STATUS

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)


class Received:
    """The body of a reply as it arrives.

    Args:
        max_bytes: how long it may become, or None.
    """

    def __init__(self, max_bytes: int | None) -> None:
        self._pieces: list[bytes] = []
        self._room = math.inf if max_bytes is None else max_bytes

    def add(self, piece: bytes) -> bool:
        """Take the next piece; whether it makes sense to read on."""
        self._pieces.append(piece)
        self._room -= len(piece)
        return self._room >= 0

    def join(self) -> bytes:
        """What has arrived."""
        return b"".join(self._pieces)


Transport = Callable[[HttpRequest], HttpReply]
AsyncTransport = Callable[[HttpRequest], Awaitable[HttpReply]]
