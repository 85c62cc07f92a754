"""Large bodies of declared length: read into one buffer, past the parser, and the connection goes on behind them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from safetensors.numpy import load, save
from starlette.types import Message, Receive, Scope, Send

from gradient_service.http.body import LARGE_BYTES
from gradient_service.http.message_rules import SWALLOWED_BYTES
from gradient_service.server.arriving import ArrivingBody
from gradient_service.server.receipt import Receipt

from .conftest import Talk

pytestmark = pytest.mark.anyio

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
ALIVE = b'{"status":"ok"}'
TENSORS, JSON = b"application/x-safetensors", b"application/json"


def body_of(rows: int) -> bytes:
    """A question of so many rows of 1000 classes."""
    rng = np.random.default_rng(rows)
    return save({"logits": rng.normal(0, 3, (rows, 1000)).astype(np.float32), "labels": rng.integers(0, 1000, rows)})


LARGE, LARGER = body_of(100), body_of(400)
assert LARGE_BYTES < len(LARGE) <= SWALLOWED_BYTES < len(LARGER)
large = pytest.mark.parametrize("body", [LARGE, LARGER], ids=["large", "larger"])


def call(body: bytes, *fields: bytes, media_type: bytes = TENSORS) -> bytes:
    """A call as bytes."""
    lines = [b"POST /gradient HTTP/1.1", b"Host: localhost", b"Content-Type: " + media_type, *fields]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body


async def in_parts(talk: Talk, message: bytes, *ends: int) -> None:
    """Send a message in parts that end there, each read before the next one comes."""
    for start, end in zip((0, *ends), (*ends, len(message)), strict=True):
        await talk.send(message[start:end])
        await asyncio.sleep(0.02)


async def content(talk: Talk) -> bytes:
    """The content of the next answer, which is a good one."""
    head, content = await talk.answer()
    assert head.startswith(b"http/1.1 200 ")
    return content


async def num_rows(talk: Talk) -> int:
    """Of the gradient in the next answer."""
    return len(load(await content(talk))["gradient"])


@pytest.fixture
def messages(app: FastAPI) -> list[Message]:
    """What the application receives."""
    received: list[Message] = []
    answering = app.middleware_stack
    assert answering is not None

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_noted() -> Message:
            received.append(await receive())
            return received[-1]

        await answering(scope, receive_noted, send)

    app.middleware_stack = noted
    return received


@large
async def test_the_application_receives_it_whole(talk: Talk, messages: list[Message], body: bytes) -> None:
    """However it arrives, in one message with nothing after it, and answered as one that is parsed in pieces."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:1000], body[1000:], b""))
    await talk.send(call(b"", b"Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"") + chunks)
    expected = await content(talk)
    for ends in [(), (200,), (100, 5000, 5001, 300_000), (-1,)]:
        messages.clear()
        message = call(body, b"Authorization: %d" % sum(ends[:1]))  # no head is known
        await in_parts(talk, message, *(end % len(message) for end in ends))
        assert await content(talk) == expected
        assert bytes(messages[0]["body"]) == body
        assert not messages[0]["more_body"]


@large
@pytest.mark.parametrize("cut", [100, 300_000])
async def test_what_comes_behind_is_answered_next(talk: Talk, body: bytes, cut: int) -> None:
    """Other messages in the same packet as its end, large ones, small ones, and large ones again."""
    await in_parts(talk, call(body) + GET + call(LARGER) + call(body) + GET, cut)
    assert await num_rows(talk) == len(body) // 4008
    assert await content(talk) == ALIVE
    assert await num_rows(talk) == 400
    assert await num_rows(talk) == len(body) // 4008
    assert await content(talk) == ALIVE


async def test_long_texts_are_read_alike(talk: Talk, messages: list[Message]) -> None:
    """Also those that have to be in one object of bytes."""
    for rows in (200, 600):
        text = json.dumps(
            {"logits": [[0] * 1000] * rows, "labels": [3] * rows, "include": ["loss"]}, separators=(",", ":")
        )
        messages.clear()
        await in_parts(talk, call(text.encode(), media_type=JSON), 1000, 300_000)
        assert json.loads(await content(talk))["loss"] == pytest.approx(np.log(1000))
        assert bytes(messages[0]["body"]) == text.encode()


async def test_who_waits_to_be_asked_is_asked(talk: Talk) -> None:
    """A caller that expects 100-continue sends its body once it has that."""
    message = call(LARGER, b"Expect: 100-continue")
    await talk.send(message[: -len(LARGER)])
    assert await asyncio.wait_for(talk.reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    await talk.send(LARGER)
    assert await num_rows(talk) == 400


async def test_the_rest_of_one_that_is_late_is_slower_than_an_idle_connection_may_be(talk: Talk) -> None:
    """Its connection is used meanwhile, and is not ended as an idle one; nor is it answered twice when it stalls."""
    message = call(GET * (SWALLOWED_BYTES // len(GET)), b"X-Request-Deadline-Ms: 200")
    await in_parts(talk, message[:300_000], 500)
    assert (await talk.answer())[0][9:12] == b"504"
    for start in range(300_000, 307_000, 1000):
        await talk.send(message[start : start + 1000])
        await asyncio.sleep(1)
    await talk.send(message[307_000:] + GET)
    assert await content(talk) == ALIVE


async def test_who_stalls_after_the_answer_has_no_other(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends where the rest of a body that nobody waits for does not come."""
    await talk.send(GET)
    await talk.answer()
    monkeypatch.setattr(Receipt, "deadline", property(lambda receipt: receipt.since + 0.5))
    await in_parts(talk, call(LARGE, b"X-Request-Deadline-Ms: 100")[:100_000], 500)
    assert (await talk.answer())[0][9:12] == b"504"
    assert await asyncio.wait_for(talk.reader.read(), 5) == b""


@pytest.mark.parametrize("size", [1000, 300_000])
async def test_behind_one_that_is_late_for_the_deadline_the_connection_goes_on(
    talk: Talk, app: FastAPI, size: int
) -> None:
    """The caller is told, and the rest of the body passed over, whatever is in it."""
    message = call(GET * (SWALLOWED_BYTES // len(GET)), b"X-Request-Deadline-Ms: 200")
    await in_parts(talk, message[:size], 500)
    head, told = await talk.answer()
    assert (head[9:12], json.loads(told)["type"]) == (b"504", "/problems/deadline-exceeded")
    assert app.state.admission.in_flight_bytes == 0
    await in_parts(talk, message[size:] + call(LARGE), 400_000)
    assert await num_rows(talk) == 100


async def test_behind_one_that_is_late_and_long_the_connection_ends(talk: Talk) -> None:
    """Nobody reads so much for nothing; the caller is told that it ends."""
    message = call(LARGER, b"X-Request-Deadline-Ms: 200")
    await in_parts(talk, message[:300_000], 500)
    head, _ = await talk.answer()
    assert head[9:12] == b"504"
    assert b"\r\nconnection: close\r\n" in head
    assert await asyncio.wait_for(talk.reader.read(), 5) == b""


async def test_one_that_is_given_up_with_its_last_byte_swallows_nothing(
    talk: Talk, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes behind it is the next message."""
    reading: list[asyncio.Task[Message]] = []
    take = ArrivingBody.take

    def given_up_when_whole(body: ArrivingBody, data: bytes | memoryview) -> bytes | memoryview:
        behind = take(body, data)
        if body.is_whole:
            reading[0].cancel()
        return behind

    async def give_up(_: Scope, receive: Receive, send: Send) -> None:
        reading.append(asyncio.ensure_future(receive()))
        with suppress(asyncio.CancelledError):
            await reading[0]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(ArrivingBody, "take", given_up_when_whole)
    answering, app.middleware_stack = app.middleware_stack, give_up
    await in_parts(talk, call(LARGE), 1000)
    assert await content(talk) == b""
    assert reading[0].cancelled()
    app.middleware_stack = answering
    await talk.send(GET)
    assert await content(talk) == ALIVE


async def test_who_leaves_meanwhile_is_told_of(talk: Talk, app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and nothing is reserved any more."""
    caplog.set_level(logging.INFO)
    await in_parts(talk, call(LARGER)[:300_000], 500)
    assert app.state.admission.in_flight_bytes == len(LARGER)
    talk.writer.transport.abort()
    await asyncio.sleep(0.05)
    assert app.state.admission.in_flight_bytes == 0
    lines: list[dict[str, Any]] = [line for record in caplog.records for line in record.msg]  # type: ignore[misc]
    assert [line["outcome"] for line in lines] == ["client-left"]
    assert lines[0]["bytes_in"] == 300_000 - (len(call(LARGER)) - len(LARGER))


async def test_one_that_does_not_arrive_is_refused(talk: Talk, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is that of any other body, and the connection ends."""
    await talk.send(GET)
    await talk.answer()
    monkeypatch.setattr(Receipt, "deadline", property(lambda receipt: receipt.since + 0.2))
    await in_parts(talk, call(LARGER)[:300_000], 500)
    head, told = await talk.answer()
    assert (head[9:12], json.loads(told)["type"]) == (b"408", "/problems/request-timeout")
    assert app.state.admission.in_flight_bytes == 0
    await talk.send(GET)
    assert await asyncio.wait_for(talk.reader.read(), 5) == b""


async def test_many_arrive_side_by_side(connect: Callable[[], Awaitable[Talk]]) -> None:
    """Each connection has a buffer of its own."""
    talks = [await connect() for _ in range(8)]
    bodies = [body_of(300 + number) for number in range(8)]
    await asyncio.gather(
        *(in_parts(talk, call(body), *range(999, len(body), 99_999)) for talk, body in zip(talks, bodies, strict=True))
    )
    for talk, body in zip(talks, bodies, strict=True):
        together = load(await content(talk))
        await talk.send(call(body))
        alone = load(await content(talk))
        assert all(np.array_equal(together[name], alone[name]) for name in alone)
