"""Connections that give the server work and want nothing, or less than they asked for: what each costs is bounded."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gradient_service.http.line import Line
from gradient_service.server import receipt
from gradient_service.server.repeating import RepeatingProtocol

from .conftest import Talk

pytestmark = pytest.mark.anyio

BODY = b'{"logits": [[1, 2]], "labels": [0]}'
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = (
    b"POST /gradient HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
)
CHUNKS = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
KIB = 1024


def call(*fields: bytes, body: bytes = BODY, path: bytes = b"/gradient") -> bytes:
    """A call as bytes."""
    lines = [b"POST %b HTTP/1.1" % path, b"Host: localhost", b"Content-Type: application/json", *fields]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body


async def status(talk: Talk) -> bytes:
    """That of the next answer."""
    return (await talk.answer())[0][9:12]


async def is_ended(talk: Talk, seconds: float = 2.0) -> bool:
    """Whether nothing comes but the end."""
    return await asyncio.wait_for(talk.reader.read(), seconds) == b""


def make_impatient(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.2) -> None:
    """Have each part of a message waited for not long, on connections that begin behind this."""
    monkeypatch.setattr(receipt, "HEAD_SECONDS", seconds)
    monkeypatch.setattr(receipt, "BODY_SECONDS", seconds)


@pytest.fixture
def protocols(monkeypatch: pytest.MonkeyPatch) -> list[RepeatingProtocol]:
    """What speaks on the connections, in their order."""
    made: list[RepeatingProtocol] = []
    begin = RepeatingProtocol.connection_made

    def noted(protocol: RepeatingProtocol, transport: asyncio.Transport) -> None:
        made.append(protocol)
        begin(protocol, transport)

    monkeypatch.setattr(RepeatingProtocol, "connection_made", noted)
    return made


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The names of the fields that the server has kept so far."""
    kept: list[bytes] = []
    keep = HttpToolsProtocol.on_header

    def counted(protocol: HttpToolsProtocol, name: bytes, value: bytes) -> None:
        kept.append(name)
        keep(protocol, name, value)

    monkeypatch.setattr(HttpToolsProtocol, "on_header", counted)
    return kept


@pytest.fixture
def held(app: FastAPI) -> asyncio.Event:
    """What each answer waits for."""
    answering, event = app.middleware_stack, asyncio.Event()
    assert answering is not None

    async def later(scope: Scope, receive: Receive, send: Send) -> None:
        await event.wait()
        await answering(scope, receive, send)

    app.middleware_stack = later
    return event


@pytest.mark.parametrize("piece", [8 * KIB, 128 * KIB])
@pytest.mark.parametrize("trailer", [b"a: b\r\n" * 12 * KIB + b"\r\n", b"a: " + b"b" * 64 * KIB + b"\r\n\r\n"])
async def test_endless_fields_behind_a_body_are_refused(
    protocols: list[RepeatingProtocol], talk: Talk, trailer: bytes, piece: int
) -> None:
    """They count as those of a head do, and none is kept."""
    await talk.send(CHUNKED + b"\r\n" + CHUNKS)
    await asyncio.sleep(0.02)
    for start in range(0, len(trailer), piece):
        await talk.send(trailer[start : start + piece])
        await asyncio.sleep(0.01)
    assert await status(talk) == b"431"
    assert await is_ended(talk)
    assert len(protocols[0].headers) == 3


async def test_a_long_chunk_extension_is_refused(talk: Talk) -> None:
    """However much of it comes at once, and though the message is whole behind it."""
    await talk.send(CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n", b";a=" + b"b" * 64 * KIB + b"\r\n", 1) + b"\r\n")
    assert await status(talk) == b"431"
    assert await is_ended(talk)


@pytest.mark.parametrize("pause", [0, 0.02])
async def test_fields_behind_a_body_are_not_those_of_a_head(talk: Talk, asked: list[Scope], pause: float) -> None:
    """However the message is cut; and the next one is answered."""
    await talk.send(CHUNKED + b"\r\n" + CHUNKS)
    await asyncio.sleep(pause)
    await talk.send(b"Authorization: Bearer key\r\nHost: evil\r\n\r\n" + GET)
    assert [await status(talk), await status(talk)] == [b"200", b"200"]
    assert [name for name, _ in asked[0]["headers"]] == [b"host", b"content-type", b"transfer-encoding"]


@pytest.mark.parametrize("field", [b"Connection: close", b"Content-Length: 1", b"Transfer-Encoding: chunked"])
async def test_no_field_behind_a_body_says_where_messages_end(talk: Talk, field: bytes) -> None:
    """Who believed it would lose the next call without a word."""
    await talk.send(CHUNKED + b"\r\n" + CHUNKS + field + b"\r\n\r\n" + GET)
    assert await status(talk) == b"400"
    assert await is_ended(talk)


async def test_an_endless_head_behind_a_call_is_not_kept(talk: Talk, held: asyncio.Event, kept: list[bytes]) -> None:
    """The call is answered, then the head refused, as the last one of its connection."""
    await talk.send(call(b"X: y") + GET[:-2])
    await asyncio.sleep(0.02)
    for _ in range(40):
        await talk.send(b"a: b\r\n" * KIB)
        await asyncio.sleep(0.005)
    assert len(kept) < 12 * KIB
    held.set()
    assert [await status(talk), await status(talk)] == [b"200", b"431"]
    assert await is_ended(talk)


async def test_who_declares_a_body_and_sends_nothing_is_ended(
    connect: Callable[[], Awaitable[Talk]], app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it is said to be: memory is kept for it."""
    make_impatient(monkeypatch)
    talk = await connect()
    head = call(b"X: y").partition(b"Content-Length")[0].replace(b"json", b"x-safetensors")
    await talk.send(head + b"Content-Length: 200000000\r\n\r\n")
    assert await status(talk) == b"408"
    assert await is_ended(talk)
    assert app.state.admission.in_flight_bytes == 0


async def test_a_body_that_arrives_at_the_least_rate_is_waited_for(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the time that nothing may come."""
    monkeypatch.setattr(receipt, "BODY_SECONDS", 1.0)
    monkeypatch.setattr(receipt, "BODY_BYTES_PER_SECOND", 10_000.0)
    body = BODY + b" " * 20_000
    message = call(body=body)
    await talk.send(message[: -len(body)])
    for start in range(0, len(body), 1500):
        await talk.send(body[start : start + 1500])
        await asyncio.sleep(0.1)
    assert await status(talk) == b"200"


async def test_empty_lines_keep_no_connection(
    connect: Callable[[], Awaitable[Talk]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that has not begun to ask, however many come."""
    make_impatient(monkeypatch)
    talk = await connect()
    begun = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < begun + 2 and not (talk.reader.at_eof() or talk.writer.is_closing()):
        talk.writer.write(b"\r\n")
        await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().time() - begun < 1


async def test_an_empty_line_behind_an_answer_keeps_no_connection(talk: Talk) -> None:
    """As some clients send it behind a body: it is idle from its answer on."""
    await talk.send(call())
    assert await status(talk) == b"200"
    await talk.send(b"\r\n")
    assert await is_ended(talk, 8.0)


async def test_a_reply_of_which_nothing_is_read_is_known(
    app: FastAPI, connect: Callable[[], Awaitable[Talk]], protocols: list[RepeatingProtocol]
) -> None:
    """However little of it waits: the connection has a timer, and its bytes count."""
    talk = await connect()
    await talk.send(GET)
    await status(talk)
    mine: socket.socket = protocols[0].transport.get_extra_info("socket")
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KIB)
    transport: Any = talk.writer.transport
    transport.pause_reading()
    waiting = 0
    while not waiting and not protocols[0].transport.is_closing():
        transport.write(GET * 50)
        await asyncio.sleep(0.05)
        waiting = protocols[0].transport.get_write_buffer_size()
    assert 0 < app.state.admission.in_flight_bytes < 64 * KIB
    transport.abort()
    await asyncio.sleep(0.05)
    assert app.state.admission.in_flight_bytes == 0


@pytest.mark.parametrize("field", [b"Origin: http://localhost", b"Expect: 100-continue", b"Transfer-Encoding: chunked"])
async def test_a_long_line_is_long_for_every_call(talk: Talk, monkeypatch: pytest.MonkeyPatch, field: bytes) -> None:
    """Those that the application has to refuse are refused as well."""
    monkeypatch.setattr(Line, "turns_away", lambda *_: True)
    if field.startswith(b"Transfer"):
        await talk.send(CHUNKED + b"\r\n" + CHUNKS + b"\r\n")
    else:
        await talk.send(call(field))
    head, content = await talk.answer()
    assert (head[9:12], json.loads(content)["type"]) == (b"503", "/problems/overloaded")
    assert b"\r\nretry-after: 1\r\n" in head


async def test_a_refusal_does_not_overtake_the_reply_before_it(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, app: FastAPI
) -> None:
    """A head that waits for a content which it does not have is sent before anything else is."""
    await talk.send(call())
    assert await status(talk) == b"200"
    monkeypatch.setattr(type(app.state.readiness), "refuses", lambda *_: True)
    complete = RepeatingProtocol.on_response_complete

    def and_asked_again(protocol: RepeatingProtocol) -> None:
        complete(protocol)
        protocol.data_received(call())

    monkeypatch.setattr(RepeatingProtocol, "on_response_complete", and_asked_again)
    await talk.send(GET.replace(b"GET", b"HEAD"))
    assert (await talk.reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
    assert await status(talk) == b"503"


async def test_what_is_asked_behind_the_last_call_is_not_answered(
    talk: Talk, asked: list[Scope], caplog: pytest.LogCaptureFixture
) -> None:
    """Nor computed: the connection has ended."""
    await talk.send(call(b"Expect: 100-continue", path=b"/nope", body=b"x") + call())
    assert await status(talk) == b"404"
    assert await is_ended(talk)
    await asyncio.sleep(0.05)
    assert [scope["path"] for scope in asked] == ["/nope"]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_late_body_behind_a_call_takes_nothing_from_it(
    connect: Callable[[], Awaitable[Talk]], held: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is answered, then the late one refused, as the last one of its connection."""
    make_impatient(monkeypatch)
    talk = await connect()
    await talk.send(call(b"X: y") + call()[:-5])
    await asyncio.sleep(0.4)
    held.set()
    assert [await status(talk), await status(talk)] == [b"200", b"408"]
    assert await is_ended(talk)


@pytest.mark.parametrize("spoiled", [b"XX\r\n\r\n", call(b"Transfer-Encoding: chunked"), CHUNKED + b"\r\nzz\r\n"])
async def test_what_is_spoiled_takes_nothing_from_what_came_with_it(talk: Talk, spoiled: bytes) -> None:
    """All calls before it are answered, as if it had come later, and it is refused in its turn."""
    await talk.send(call() + GET + call() + GET + spoiled)
    assert [await status(talk) for _ in range(5)] == 4 * [b"200"] + [b"400"]
    assert await is_ended(talk)


async def test_a_caller_who_leaves_with_more_asked_for_is_noticed(
    talk: Talk, held: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """The call that is computed is the one that is given up, and nothing is sent to nobody."""
    await talk.send(call(b"X: y") + GET)
    await asyncio.sleep(0.05)
    talk.writer.transport.abort()
    await asyncio.sleep(0.05)
    held.set()
    await asyncio.sleep(0.05)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_head_behind_a_body_counts_for_itself(talk: Talk) -> None:
    """However much of the body before it came with it."""
    message = call(b"X: y", body=BODY + b" " * 200_000)
    head, end, body = message.partition(b"\r\n\r\n")
    await talk.send(head + end)
    await asyncio.sleep(0.02)
    await talk.send(body + GET[:-2])
    await asyncio.sleep(0.02)
    await talk.send(b"\r\n")
    assert [await status(talk), await status(talk)] == [b"200", b"200"]


async def test_a_head_has_its_time_from_its_own_beginning(
    connect: Callable[[], Awaitable[Talk]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a connection that is used, in whatever way it was answered before."""
    make_impatient(monkeypatch, 0.5)
    for _ in range(2):  # the head is known to the second one
        talk = await connect()
        await talk.send(call())
        assert await status(talk) == b"200"
    for _ in range(2):
        await asyncio.sleep(0.7)
        await talk.send(GET[:20])
        await asyncio.sleep(0.05)
        await talk.send(GET[20:])
        assert await status(talk) == b"200"


async def test_the_first_head_has_its_time_from_the_connection_on(
    connect: Callable[[], Awaitable[Talk]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it comes at once or not."""
    make_impatient(monkeypatch, 1.0)
    talk = await connect()
    begun = asyncio.get_running_loop().time()
    await asyncio.sleep(0.8)
    await talk.send(GET[:20])
    assert await status(talk) == b"408"
    assert 0.9 < asyncio.get_running_loop().time() - begun < 1.7


class Clock:
    """An event loop whose clock is late by some seconds, but not yet when it is first looked at."""

    def __init__(self, loop: Any, seconds: float) -> None:
        self.loop = loop
        self.looks = iter([0.0])
        self.seconds = seconds

    def time(self) -> float:
        """What it shows."""
        seconds: float = self.loop.time()
        return seconds + next(self.looks, self.seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)


async def test_a_body_that_is_late_between_two_looks_is_told_so(
    connect: Callable[[], Awaitable[Talk]], protocols: list[RepeatingProtocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a known head as well, whenever the moment comes."""
    make_impatient(monkeypatch)
    for message in (call(), call()[:-5]):
        talk = await connect()
        await talk.send(message)
        await asyncio.sleep(0.05)
    protocol: Any = protocols[1]
    protocol.loop = Clock(protocol.loop, 60.0)
    protocol._look_at_the_clock()
    assert await status(talk) == b"408"
    assert await is_ended(talk)


async def test_a_call_whose_head_began_behind_another_is_not_idle(
    protocols: list[RepeatingProtocol], talk: Talk, held: asyncio.Event
) -> None:
    """Its connection is kept while it is computed, however long that takes."""
    await talk.send(call(b"X: y")[:-1])
    protocols[0].timeout_keep_alive = 0.1  # type: ignore[assignment]  # a whole second is long here
    message = call(b"Authorization: a")
    await talk.send(call(b"X: y")[-1:] + message[:30])
    await asyncio.sleep(0.05)
    held.set()
    assert await status(talk) == b"200"
    held.clear()
    await talk.send(message[30:])
    await asyncio.sleep(0.4)
    held.set()
    assert await status(talk) == b"200"
