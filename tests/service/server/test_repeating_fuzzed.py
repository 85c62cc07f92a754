"""Drawn calls over many connections at once, with heads that are known: what the application says, to the byte."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count, islice

import pytest
from fastapi import FastAPI

from tests.fuzz.calls.asgi import ask
from tests.fuzz.calls.campaign import message_of
from tests.fuzz.calls.messages import Message

from .conftest import Talk

pytestmark = pytest.mark.anyio

FRESH_SEED = int.from_bytes(os.urandom(4), "big")
CALLS, CONNECTIONS = 200, 12
FRAMING = {"content-length", "transfer-encoding", "host", "expect", "connection", "x-request-deadline-ms"}

Said = tuple[int, object]


def drawn(seed: int) -> list[Message]:
    """Calls that a connection outlives: whose framing is the server's own."""
    messages: Iterator[Message] = (message_of(seed, number) for number in count())
    return [*islice((each for each in messages if can_be_sent(each)), CALLS)]


def can_be_sent(message: Message) -> bool:
    """Whether it is a call as clients frame them, and small work."""
    is_framed = FRAMING.isdisjoint(name for name, _ in message.headers)
    texts = [message.path, *(part for field in message.headers for part in field)]
    is_written = message.method == "POST" and all(text.isascii() and text.isprintable() for text in texts)
    return is_framed and is_written and " " not in message.path and not message.path.startswith("/check")


def bytes_of(message: Message) -> bytes:
    """A call as it is sent."""
    fields = [*message.headers, ("Host", "localhost"), ("Content-Length", str(len(message.body)))]
    lines = [f"POST {message.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode() + message.body


def content_of(body: bytes) -> object:
    """A content without what differs each time."""
    with suppress(ValueError):
        values = json.loads(body)
        if isinstance(values, dict):
            return [(name, value) for name, value in values.items() if name not in {"request_id", "id"}]
    return body


@pytest.mark.parametrize("seed", [20261127, FRESH_SEED], ids=["fixed", "fresh"])
async def test_known_heads_change_no_answer(app: FastAPI, connect: Callable[[], Awaitable[Talk]], seed: int) -> None:
    """Good and spoiled calls of every dialect, side by side, twice each."""
    messages = drawn(seed)
    talks = [await connect() for _ in range(CONNECTIONS)]

    async def said(place: int) -> list[Said]:
        found: list[Said] = []
        for message in messages[place::CONNECTIONS] * 2:
            await talks[place].send(bytes_of(message))
            head, content = await talks[place].answer()
            found.append((int(head[9:12]), content_of(content)))
            if b"connection: close" in head:
                talks[place] = await connect()
        return found

    found = await asyncio.gather(*(said(place) for place in range(CONNECTIONS)))
    statuses = set()
    for place, answers in enumerate(found):
        for message, answer in zip(messages[place::CONNECTIONS] * 2, answers, strict=True):
            reply = await ask(app, message)
            assert answer == (reply.status, content_of(reply.body)), f"seed {seed}: {message}"
            statuses.add(reply.status)
    assert {200, 422} <= statuses
