"""Drawn calls over many connections at once, with heads that are known: what the application says, to the byte."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
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


VERSIONS = ("1.1", "1.1", "1.1", "1.0")
CONNECTION = ("", "", "", "Connection: close", "connection: keep-alive", "Connection: Keep-Alive, x-hop")
DEADLINES = ("", "", "X-Request-Deadline-Ms: 600000", "x-request-deadline-ms:\t999999")


@dataclass(frozen=True)
class Sent:
    """A call, and what its head says of the connection and of the caller's patience."""

    message: Message
    version: str
    more: list[str]

    @property
    def content(self) -> bytes:
        """The call as it is sent."""
        message = self.message
        fields = [*message.headers, ("Host", "localhost"), ("Content-Length", str(len(message.body)))]
        lines = [f"POST {message.path} HTTP/{self.version}", *(f"{name}: {value}" for name, value in fields)]
        return "\r\n".join([*lines, *self.more, "", ""]).encode() + message.body

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with the reply."""
        said = " ".join(self.more).lower()
        return "connection: close" in said or (self.version == "1.0" and "keep-alive" not in said)


def drawn(seed: int) -> list[Sent]:
    """Calls as clients frame them."""
    messages: Iterator[Message] = (message_of(seed, number) for number in count())
    rng = random.Random(seed)  # noqa: S311  # draws are to be repeated
    return [
        Sent(message, rng.choice(VERSIONS), [*filter(None, (rng.choice(CONNECTION), rng.choice(DEADLINES)))])
        for message in islice((each for each in messages if can_be_sent(each)), CALLS)
    ]


def can_be_sent(message: Message) -> bool:
    """Whether it is a call as clients frame them, and small work."""
    is_framed = FRAMING.isdisjoint(name for name, _ in message.headers)
    texts = [message.path, *(part for field in message.headers for part in field)]
    is_written = message.method == "POST" and all(text.isascii() and text.isprintable() for text in texts)
    return is_framed and is_written and " " not in message.path and not message.path.startswith("/check")


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
    calls = drawn(seed)
    talks = [await connect() for _ in range(CONNECTIONS)]

    async def said(place: int) -> list[Said]:
        found: list[Said] = []
        for call in calls[place::CONNECTIONS] * 2:
            await talks[place].send(call.content)
            head, content = await talks[place].answer()
            found.append((int(head[9:12]), content_of(content)))
            assert call.is_last <= (b"connection: close" in head), f"seed {seed}: {call}"
            if b"connection: close" in head:
                talks[place] = await connect()
        return found

    found = await asyncio.gather(*(said(place) for place in range(CONNECTIONS)))
    statuses = set()
    for place, answers in enumerate(found):
        for call, answer in zip(calls[place::CONNECTIONS] * 2, answers, strict=True):
            reply = await ask(app, call.message)
            assert answer == (reply.status, content_of(reply.body)), f"seed {seed}: {call}"
            statuses.add(reply.status)
    assert {200, 422} <= statuses
