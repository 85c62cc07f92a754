"""Replies in parts: sent in pieces that a socket takes, others being served in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message

from gradient_service.http.body import PIECE_BYTES, PartsResponse

pytestmark = pytest.mark.anyio

PARTS = {
    "none": [],
    "one short": [b"abc"],
    "many short": [b"%d," % number for number in range(300_000)],
    "long": [bytes(3 * PIECE_BYTES + 1)],
    "of all kinds": [b"a", bytes(PIECE_BYTES), b"b", b"c", bytes(PIECE_BYTES - 1), bytes(2 * PIECE_BYTES + 5), b"d"],
}
parts = pytest.mark.parametrize("parts", PARTS.values(), ids=list(PARTS))


async def sent(parts: Sequence[bytes]) -> list[bytes]:
    """The bodies of the messages that a reply of these parts sends."""
    bodies = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            bodies.append(bytes(message["body"]))

    async def receive() -> Message:
        raise AssertionError

    await PartsResponse(parts, [])({"type": "http"}, receive, send)
    return bodies


@parts
async def test_the_bytes_are_those_of_the_parts(parts: list[bytes]) -> None:
    """However it is cut and joined, the reply is its parts, one after the other."""
    assert b"".join(await sent(parts)) == b"".join(parts)


@parts
async def test_pieces_have_a_size(parts: list[bytes]) -> None:
    """No piece is longer than a socket takes, and there are not many more than that makes."""
    bodies = await sent(parts)
    assert max(map(len, bodies)) <= PIECE_BYTES
    assert len(bodies) <= 2 + 2 * sum(map(len, parts)) / PIECE_BYTES + len([part for part in parts if len(part) > 1000])


async def test_others_are_served_between_two_pieces() -> None:
    """A caller who takes a large reply at once keeps nobody waiting for its end."""
    served = 0

    async def serve() -> None:
        nonlocal served
        while True:
            served += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(serve())
    bodies = await sent([bytes(10 * PIECE_BYTES)])
    other.cancel()
    assert served >= len(bodies) - 1
