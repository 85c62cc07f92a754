"""Calls that there is no room for, refused by the protocol before the application sees them."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI
from uvicorn.protocols.http.flow_control import FlowControl

from gradient_service.http.admission import Admission
from gradient_service.http.request_log import TOGETHER_SECONDS
from gradient_service.server.refusing import DISCARDED_BYTES
from gradient_service.server.repeating import RepeatingProtocol

from .conftest import Talk

pytestmark = pytest.mark.anyio

BODY = b'{"logits": [[1, 2]], "labels": [0]}'
MIB = 1024 * 1024
HOST = b"Host: localhost\r\n"
GET = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"


def head(length: int, *fields: bytes) -> bytes:
    """The head of a call with a JSON body."""
    lines = [b"POST /loss HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", *fields]
    return b"\r\n".join([*lines, b"Content-Length: %d" % length, b"", b""])


def open_descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every call find no room."""
    monkeypatch.setattr(Admission, "refuses", lambda *_: True)


@pytest.mark.parametrize(("fields", "is_refused"), [([], True), ([b"Inference-Header-Content-Length: 9"], False)])
async def test_json_is_refused_for_what_it_takes(
    talk: Talk, app: FastAPI, fields: list[bytes], *, is_refused: bool
) -> None:
    """A body of 5 MiB for which there is room is refused unread where it is JSON, of which each byte takes nine."""
    used = app.state.admission._max_bytes - 40 * MIB
    app.state.admission.count(used)
    await talk.send(head(5 * MIB, *fields).replace(b"/loss", b"/v2/models/loss/infer"))
    if is_refused:
        answered, _ = await talk.answer()
        assert answered.startswith(b"http/1.1 503 ")
        assert b"connection: close" not in answered  # as the application would say, which reads none of it
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(talk.reader.read(1), 0.2)
    app.state.admission.release(used)


@pytest.mark.usefixtures("crowded")
async def test_a_refusal_is_a_problem_that_says_when_to_ask_again(talk: Talk) -> None:
    """The answer is 503 `overloaded` with `Retry-After`, the path, and the caller's own id, whatever is in it."""
    await talk.send(head(len(BODY), b'X-Request-ID: a"b\\c') + BODY)
    fields, content = await talk.answer()
    assert fields.startswith(b"http/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in fields
    assert b"\r\ncontent-type: application/problem+json\r\n" in fields
    assert b'\r\nx-request-id: a"b\\c\r\n' in fields
    problem = json.loads(content)
    assert (problem["type"], problem["instance"], problem["request_id"]) == ("/problems/overloaded", "/loss", 'a"b\\c')


@pytest.mark.usefixtures("crowded")
async def test_a_refusal_has_its_line_in_the_log(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells the problem under the id that the caller got."""
    await talk.send(head(len(BODY), b"X-Request-ID: mine") + BODY)
    await talk.answer()
    await asyncio.sleep(2 * TOGETHER_SECONDS)
    (line,) = (line for record in caplog.records if record.name == "gradient_service.requests" for line in record.msg)
    assert isinstance(line, dict)
    assert (line["status"], line["problem"], line["request_id"]) == (503, "overloaded", "mine")


@pytest.mark.usefixtures("crowded")
async def test_refusals_have_different_ids(talk: Talk) -> None:
    """Two refusals of the same path differ in their ids."""
    await talk.send((head(len(BODY)) + BODY) * 2)
    ids = {json.loads((await talk.answer())[1])["request_id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.usefixtures("crowded")
@pytest.mark.parametrize("size", [0, 1, 100_000, MIB, DISCARDED_BYTES])
async def test_the_connection_of_a_refused_call_goes_on(talk: Talk, size: int) -> None:
    """Whatever the length of its body, and however it arrives, the next message is read from where it ends."""
    await talk.send(head(size))
    assert (await talk.answer())[0].startswith(b"http/1.1 503 ")
    await talk.send(b"x" * (size // 2))
    await asyncio.sleep(0.02)
    await talk.send(b"x" * (size - size // 2) + GET)
    assert (await talk.answer())[0].startswith(b"http/1.1 200 ")
    await talk.send(head(size) + b"x" * size + GET)
    assert [(await talk.answer())[0][9:12] for _ in range(2)] == [b"503", b"200"]


@pytest.mark.usefixtures("crowded")
async def test_health_is_never_refused(talk: Talk) -> None:
    """Only calls count as work."""
    await talk.send(GET)
    assert (await talk.answer())[0].startswith(b"http/1.1 200 ")


async def test_health_stands_in_no_line(app: FastAPI, talk: Talk) -> None:
    """However slowly the line moves, who asks for health is answered."""
    app.state.admission.line.join(lambda _: None, None, lambda _: None)  # a call that never ends
    await talk.send(GET)
    assert (await talk.answer())[0].startswith(b"http/1.1 200 ")


@pytest.mark.usefixtures("crowded")
@pytest.mark.parametrize("fields", [(b"Expect: 100-continue",), (b"Origin: http://a.example",)])
async def test_the_application_sees_calls_that_need_more_than_an_answer(talk: Talk, fields: tuple[bytes, ...]) -> None:
    """A call that asks before it sends its body, or is a page's, is left to the application."""
    await talk.send(head(len(BODY), *fields) + BODY)
    answered = await asyncio.wait_for(talk.reader.read(65_536), 10)
    assert b"503" not in answered[:12]


@pytest.mark.usefixtures("crowded")
@pytest.mark.parametrize("first", [0, 1000])
@pytest.mark.parametrize(
    ("size", "fields"),
    [(0, (b"Connection: close",)), (100_000, (b"Connection: close",)), (DISCARDED_BYTES + 1, ())],
)
async def test_the_connection_of_a_refused_call_ends(
    talk: Talk, size: int, fields: tuple[bytes, ...], first: int
) -> None:
    """Where the caller wants that, or its body is too long to be passed over; the answer says so, and is read."""
    message = head(size, *fields) + b"x" * min(size, 200_000)
    cut = len(head(size, *fields)) + first
    await talk.send(message[:cut])
    answered, content = await talk.answer()
    assert answered.startswith(b"http/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in answered
    assert b"\r\nconnection: close\r\n" in answered
    assert json.loads(content)["type"] == "/problems/overloaded"
    await talk.send(message[cut:] + GET)
    assert await asyncio.wait_for(talk.reader.read(), 5) == b""


@pytest.mark.usefixtures("crowded")
async def test_who_reads_nothing_is_told_by_the_application(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits until there is room for its answer; refusals that nobody reads would pile up."""
    monkeypatch.setattr(FlowControl, "write_paused", property(lambda _: True, lambda *_: None), raising=False)
    monkeypatch.setattr(FlowControl, "drain", AsyncMock())
    await talk.send(head(len(BODY)) + BODY)
    assert (await talk.answer())[0].startswith(b"http/1.1 200 ")


async def test_a_connection_that_broke_leaves_no_timer(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next message on it, also where it broke while a body was passed over."""
    protocols: list[RepeatingProtocol] = []
    begin = RepeatingProtocol._begin_discard

    def noted(protocol: RepeatingProtocol) -> None:
        protocols.append(protocol)
        begin(protocol)

    monkeypatch.setattr(RepeatingProtocol, "_begin_discard", noted)
    await talk.send(head(len(BODY)) + BODY)
    await talk.answer()
    monkeypatch.setattr(Admission, "refuses", lambda *_: True)
    await talk.send(head(MIB) + b"x" * 1000)
    await talk.answer()
    talk.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    talk.writer.transport.abort()
    await asyncio.sleep(0.05)
    assert [each.timeout_keep_alive_task for each in protocols] == [None]


@pytest.mark.usefixtures("crowded")
async def test_a_draining_service_refuses_no_call(app: FastAPI, talk: Talk) -> None:
    """While draining the application answers, and says that the connection ends."""
    app.state.lifecycle.is_draining = True
    await talk.send(head(len(BODY)) + BODY)
    fields, _ = await talk.answer()
    assert fields.startswith(b"http/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in fields


@pytest.mark.usefixtures("crowded")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
async def test_who_leaves_in_a_refused_body_leaves_no_descriptor(talk: Talk) -> None:
    """A caller that leaves while its body is discarded has its connection closed, and nothing of it is kept."""
    before = open_descriptors()
    await talk.send(head(MIB) + b"x")
    await talk.answer()
    talk.writer.transport.abort()
    for _ in range(500):
        if open_descriptors() == before - 2:
            return
        await asyncio.sleep(0.01)
    pytest.fail("a descriptor is left")


async def test_a_body_that_the_application_refused_is_discarded_too(talk: Talk) -> None:
    """Behind an early answer of the application the connection goes on as well."""
    await talk.send(head(MIB).replace(b"application/json", b"text/plain"))
    assert (await talk.answer())[0].startswith(b"http/1.1 415 ")
    await talk.send(b"x" * MIB + GET)
    assert (await talk.answer())[0].startswith(b"http/1.1 200 ")
