"""Bodies in and out, in memory once: read no further than their limit, sent from where they lie."""

from asyncio import sleep
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from gradient_service.http.headers import Field, number_of
from gradient_service.http.problems import HttpProblemError
from gradient_service.wire.tensor_codec import Buffer, room_for

LARGE_BYTES = 256 * 1024
"""A larger body has one buffer from the beginning, where its length is declared."""
PIECE_BYTES = 1024 * 1024
"""Of a reply: short ones are joined, and longer ones cut."""
LENGTHS = frozenset({"content-length", "transfer-encoding"})
"""Without either, a request has no body."""

Arrived = Callable[[int], None]
"""Told how many bytes of a body have arrived in all; what it raises ends the reading."""


def check_declared_length(request: Request, max_bytes: int, told: str = "") -> None:
    """Raise `length-required` when nothing announces a body, `body-too-large` when the caller itself says it is.

    Args:
        request: its head.
        max_bytes: the limit.
        told: what is said of it, where that depends on the body.
    """
    if LENGTHS.isdisjoint(request.headers.keys()):
        raise HttpProblemError("length-required", "Content-Length is needed, or a body in chunks.")
    if declared_length(request.headers) > max_bytes:
        raise _too_large(max_bytes, told)


def declared_length(headers: Headers) -> int:
    """Return what the caller says of the length of the body, 0 when nothing sensible."""
    return number_of(headers.get("content-length", "")) or 0


async def read_body(request: Request, max_bytes: int, arrived: Arrived) -> bytes:
    """Return the body as bytes; raise `body-too-large` as soon as more arrives than may."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        arrived(size)
        parts.append(part)
    return b"".join(parts)


async def read_body_in_place(request: Request, max_bytes: int, arrived: Arrived) -> Buffer:
    """Return the body in one buffer of its declared length, each part put where it belongs; else as `read_body`."""
    length = declared_length(request.headers)
    if not LARGE_BYTES < length <= max_bytes:
        return await read_body(request, max_bytes, arrived)
    buffer: Buffer = b""
    size = 0
    async for part in request.stream():
        if size + len(part) > length:
            raise _too_large(length)
        if len(part) == length:  # the server has put it in one buffer
            buffer = part
        elif part:  # the last one may be empty
            buffer = buffer or room_for(length)
            memoryview(buffer)[size : size + len(part)] = part
        size += len(part)
    return buffer[:size]


class PartsResponse(Response):
    """A reply sent from where its parts lie, in pieces that a socket takes: a long one is never in memory twice."""

    def __init__(self, parts: Sequence[Buffer], fields: Iterable[Field]) -> None:
        super().__init__()
        self.raw_headers = [*fields]  # in place of those of no body
        self.parts = parts
        self.held = ExitStack()
        """What is given back once the reply has been sent, or cannot be."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply."""
        with self.held:
            await self._send(send)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if sum(map(len, self.parts)) <= PIECE_BYTES:
            await send({"type": "http.response.body", "body": b"".join(self.parts), "more_body": False})
            return
        for piece in _pieces(self.parts):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await sleep(0)  # to a caller as quick as this all would be sent before anybody else is served
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _pieces(parts: Iterable[Buffer]) -> Iterator[Buffer]:
    """Yield the same bytes in pieces that a socket takes, long parts cut and short ones joined."""
    short: list[Buffer] = []
    size = 0
    for part in parts:
        if size + len(part) > PIECE_BYTES and short:
            yield b"".join(short)
            short, size = [], 0
        if len(part) < PIECE_BYTES:
            short.append(part)
            size += len(part)
        else:
            yield from (part[start : start + PIECE_BYTES] for start in range(0, len(part), PIECE_BYTES))
    if short:
        yield b"".join(short)


def _too_large(max_bytes: int, told: str = "") -> HttpProblemError:
    return HttpProblemError("body-too-large", told or f"The limit is {max_bytes} bytes.", {"Connection": "close"})
