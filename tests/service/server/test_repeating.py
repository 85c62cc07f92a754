"""Calls with the head of one that was answered: the same answers, and the long way for whatever else."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from fastapi import FastAPI
from safetensors.numpy import save
from starlette.types import Scope

from gradient_service.app import create_app
from gradient_service.http.admission import Admission
from gradient_service.http.calls import Call, Settled
from gradient_service.http.line import Line
from gradient_service.http.patience import Patience
from gradient_service.http.problems import HttpProblemError
from gradient_service.http.repeats import WORK_TOGETHER
from gradient_service.server import keeping
from gradient_service.server.known_heads import MAX_HEADS, Head, KnownHeads, head_of
from gradient_service.server.protocol import GuardedProtocol
from gradient_service.server.receipt import Receipt
from gradient_service.server.refusing import DISCARDED_BYTES
from gradient_service.server.repeating import RepeatingProtocol
from gradient_service.settings import Settings
from gradient_service.wire import json_body

from .conftest import Talk

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[3] / "openapi" / "examples"
CALLS = {
    file.name.removesuffix(".request.safetensors"): file.read_bytes()
    for file in sorted(EXAMPLES.glob("*.request.safetensors"))
    if not file.name.startswith("check.")  # which is no small work
}
BODY = b'{"logits": [[1, 2]], "labels": [0]}'
OTHER = b'{"logits": [[3, 1]], "labels": [1]}'
BROKEN = b'{"logits": [[3, 1]], "labels": [7]}'
JSON, TENSORS = b"application/json", b"application/x-safetensors"
OF_ONE_REPLY = (b"date:", b"x-request-id:", b"server-timing:")
LARGE = save({"logits": np.linspace(0, 9, 32_000, dtype=np.float32).reshape(32, 1000), "labels": np.arange(32)})
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
MIB = 1024 * 1024
FOUND_PER_BYTE = 24
"""The most memory that reading a byte of JSON hastily took, of many numbers of one digit."""
LENGTHS = (b"Content-Length: 12", b"content-length:7")

Outcome = tuple[list[bytes], bytes]


def call(body: bytes, *fields: bytes, path: bytes = b"/gradient", media_type: bytes = JSON) -> bytes:
    """A call as bytes."""
    lines = [b"POST %b HTTP/1.1" % path, b"Host: localhost", b"Content-Type: " + media_type, *fields]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body


async def outcome(talk: Talk, *parts: bytes) -> Outcome:
    """What is answered to a message in parts: its content, and the lines of its head that do not differ."""
    for part in parts:
        await talk.send(part)
        await asyncio.sleep(0.01 if len(parts) > 1 else 0)
    head, content = await talk.answer()
    return [line for line in head.split(b"\r\n") if not line.startswith(OF_ONE_REPLY)], content


async def outcome_with_id(talk: Talk, message: bytes) -> Outcome:
    """The same with all lines of the head."""
    await talk.send(message)
    head, content = await talk.answer()
    return head.split(b"\r\n"), content


def late(_: Patience) -> None:
    """Find that the deadline has passed."""
    raise HttpProblemError("deadline-exceeded", "Late.")


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What the log says of requests."""
    records = [record for record in caplog.records if record.name == "gradient_service.requests"]
    return [dict(line) for record in records for line in record.msg]  # type: ignore[arg-type]  # they are no texts


@pytest.fixture
def small(app: FastAPI) -> FastAPI:
    """The application, which reads no more than 50 bytes of JSON."""
    settled_with = create_app(Settings.model_construct(max_json_body_bytes=50))
    app.middleware_stack = settled_with.middleware_stack
    return app


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many calls were computed together, each time."""
    sizes: list[int] = []
    perform = Call.perform

    def counted(call: Call, alike: Any) -> Any:
        sizes.append(len(alike))
        return perform(call, alike)

    monkeypatch.setattr(Call, "perform", counted)
    return sizes


@pytest.mark.parametrize("name", CALLS)
async def test_the_same_call_has_the_same_answer_again(talk: Talk, asked: list[Scope], name: str) -> None:
    """Status, fields and content are those of the long way, which is gone once."""
    path = b"/" + name.partition(".")[0].encode()
    message = call(CALLS[name], path=path, media_type=TENSORS)
    first, *others = [await outcome(talk, message) for _ in range(3)]
    assert first[0][0] == b"http/1.1 200 ok"
    assert others == [first, first]
    assert [scope["path"] for scope in asked] == [path.decode()]


async def test_json_and_the_protocol_for_inference_are_answered_again(talk: Talk, asked: list[Scope]) -> None:
    """Every dialect has a short way."""
    tensor = {"name": "logits", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}
    infer = json.dumps({"inputs": [tensor]}).encode()
    for path, body in ((b"/loss", BODY), (b"/v2/models/softmax/infer", infer)):
        first, again = [await outcome(talk, call(body, path=path)) for _ in range(2)]
        assert again == first
        assert first[0][0] == b"http/1.1 200 ok"
    assert [scope["path"] for scope in asked] == ["/loss", "/v2/models/softmax/infer"]


async def test_only_the_body_counts_where_the_head_is_known(talk: Talk) -> None:
    """Another body is answered as by itself, not as the one before it."""
    alone = await outcome(talk, call(OTHER, b"Origin: http://localhost"))
    await outcome(talk, call(BODY))
    again = await outcome(talk, call(OTHER))
    assert again[1] == alone[1]


@pytest.mark.parametrize("body", [BROKEN, b"{" + b" " * 34, b"\xff" * 35], ids=["label", "cut", "no text"])
async def test_what_is_wrong_is_told_as_ever(talk: Talk, body: bytes) -> None:
    """A body that is refused is refused under a known head too, by the same problem but for its id."""
    long_way = await outcome(talk, call(body, b"Origin: http://localhost"))
    await outcome(talk, call(BODY))
    short_way = await outcome(talk, call(body))
    problems = [json.loads(content) | {"request_id": ""} for _, content in (long_way, short_way)]
    assert problems[0] == problems[1]
    assert problems[0]["status"] == (422 if body is BROKEN else 400)


@pytest.mark.parametrize(
    ("shape", "include", "num_passed"),
    [
        ((250, 1000), ["loss", "gradient"], 1),
        ((300, 1000), ["loss", "gradient"], 2),  # too long to read
        ((100_000, 2), ["loss", "gradient"], 2),  # too many rows
        ((10_000, 2), ["loss", "gradient"], 1),
        ((100, 1000), ["gradient", "probabilities", "hessian_diagonal"], 2),  # too much of a reply
        ((60, 1000), ["gradient", "probabilities", "hessian_diagonal"], 1),
        ((100, 20), ["jacobian"], 1),
        ((100, 100), ["jacobian"], 2),
    ],
)
async def test_short_work_takes_the_short_way(
    talk: Talk, asked: list[Scope], shape: tuple[int, int], include: list[str], num_passed: int
) -> None:
    """Its bytes count, and the numbers that its reply will have, and its rows."""
    logits, labels = np.ones(shape, np.float32), np.zeros(shape[0], np.uint8)
    body = save({"logits": logits, "labels": labels}, metadata={"options": json.dumps({"include": include})})
    replies = [await outcome(talk, call(body, media_type=TENSORS)) for _ in range(2)]
    assert replies[0][0][0] == b"http/1.1 200 ok"
    assert replies[0] == replies[1]
    assert len(asked) == num_passed


async def test_a_text_of_some_length_is_answered_again(talk: Talk, asked: list[Scope]) -> None:
    """What is right with it is read at once; with something wrong at its end it has the problem of the long way."""
    rows = np.linspace(-3, 3, 20_000).reshape(20, 1000).tolist()
    text = json.dumps({"logits": rows, "labels": [7] * 20}).encode()
    first, again = [await outcome(talk, call(text)) for _ in range(2)]
    assert again == first
    assert first[0][0] == b"http/1.1 200 ok"
    assert [scope["path"] for scope in asked] == ["/gradient"]
    _, problem = await outcome(talk, call(text.replace(b"7]}", b"true]}")))
    assert json.loads(problem)["errors"][0]["pointer"] == "/labels/19"
    assert len(asked) == 2


@pytest.mark.parametrize("size", [1, 700, 60_000])
async def test_a_body_may_arrive_in_parts(talk: Talk, asked: list[Scope], size: int) -> None:
    """However a large body is cut, its answer is the same, and the application is not asked again."""
    message = call(LARGE, media_type=TENSORS)
    first = await outcome(talk, message)
    cut = len(message) - len(LARGE) + size
    assert await outcome(talk, message[:cut], message[cut : cut + 9], message[cut + 9 :]) == first
    assert await outcome(talk, message) == first
    assert len(asked) == 1


async def test_calls_close_behind_each_other_are_answered_in_order(talk: Talk) -> None:
    """Several calls in one piece, a call behind one that waits, and whatever else follows, all have their answers."""
    first, other = [(await outcome(talk, call(body)))[1] for body in (BODY, OTHER)]
    await talk.send(call(BODY) + call(OTHER) + GET + call(BODY))
    assert [(await talk.answer())[1] for _ in range(4)] == [first, other, b'{"status":"ok"}', first]
    await talk.send(call(BODY))
    await talk.send(call(OTHER))
    await talk.send(call(BODY)[:50])
    await talk.send(call(BODY)[50:])
    assert [(await talk.answer())[1] for _ in range(3)] == [first, other, first]


async def test_a_head_that_begins_behind_a_call_that_waits_is_no_longer_for_that(talk: Talk, app: FastAPI) -> None:
    """Of the bytes that are parsed with it, most belong to the call before it."""
    large, small = [await outcome(talk, message) for message in (call(LARGE, media_type=TENSORS), call(BODY))]
    for _ in range(10):
        app.state.admission.line.join(lambda _: time.sleep(0.01), None, asyncio.get_running_loop().call_soon)
    await talk.send(call(LARGE, media_type=TENSORS) + call(BODY)[:50])
    await asyncio.sleep(0.2)
    assert await outcome(talk) == large
    assert await outcome(talk, call(BODY)[50:]) == small


@pytest.mark.parametrize("field", [b"Expect: 100-continue", b"Origin: http://localhost"])
async def test_what_is_answered_in_more_steps_takes_the_long_way(talk: Talk, asked: list[Scope], field: bytes) -> None:
    """A head with such a field is never known."""
    for _ in range(3):
        await talk.send(call(BODY, field))
        if field.startswith(b"Expect"):
            assert (await talk.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        assert (await talk.answer())[0].startswith(b"http/1.1 200")
    assert len(asked) == 3


async def test_what_a_call_says_of_itself_is_heard(
    talk: Talk, asked: list[Scope], caplog: pytest.LogCaptureFixture
) -> None:
    """Its id is in the reply and in the log, and its trace in the log, though a known head leaves them out."""
    caplog.set_level(logging.INFO)
    await outcome(talk, call(BODY))
    trace = b"traceparent: 00-%032x-%016x-01"
    for number in (1, 2):
        head, _ = await outcome_with_id(talk, call(BODY, b"X-Request-ID:  id-%d " % number, trace % (number, number)))
        assert b"x-request-id: id-%d" % number in head
    await asyncio.sleep(0.01)
    lines = told(caplog)[1:]
    assert [line["request_id"] for line in lines] == ["id-1", "id-2"]
    assert [(int(line["trace_id"], 16), int(line["parent_id"], 16)) for line in lines] == [(1, 1), (2, 2)]
    assert len({line["span_id"] for line in lines}) == 2
    assert len(asked) == 1


async def test_what_nobody_reads_may_differ(talk: Talk, asked: list[Scope]) -> None:
    """Proxies and tracers send fields of their own with each call, and clients their names."""
    first = await outcome(talk, call(BODY, b"User-Agent: one", b"X-Amzn-Trace-Id: Root=1-67891233"))
    for fields in ([], [b"X-Amzn-Trace-Id: Root=1-67891234", b"X-Forwarded-For:a", b"X-Forwarded-For: b"], [b"X: "]):
        assert await outcome(talk, call(BODY, *fields)) == first
    assert len(asked) == 1


@pytest.mark.parametrize("field", [b"Accept: application/x-safetensors", b"accept-encoding: gzip", b"Authorization: a"])
async def test_what_is_read_may_not(talk: Talk, asked: list[Scope], field: bytes) -> None:
    """A field that settles something makes another head."""
    await outcome(talk, call(BODY))
    await outcome(talk, call(BODY, field))
    assert len(asked) == 2


@pytest.mark.parametrize("name", [b"X", b"tracestate", b"traceparent", b"X-Request-ID", b"Accept"])
@pytest.mark.parametrize(
    "form", [b"%b: a\x00b", b"%b: a\x7fb", b"%b:\x0ba", b"%b: a\rb", b"%b: a\nb", b"%b : a", b" %b: a"]
)
async def test_a_malformed_field_is_refused_under_a_known_head(talk: Talk, name: bytes, form: bytes) -> None:
    """Whether or not anybody reads it."""
    await outcome(talk, call(BODY))
    await outcome(talk, call(BODY, name + b": a"))
    assert (await outcome(talk, call(BODY, form % name)))[0][0].startswith(b"http/1.1 400")


async def test_too_many_fields_are_refused_under_a_known_head(talk: Talk) -> None:
    """Those that nobody reads count as well."""
    await outcome(talk, call(BODY))
    assert (await outcome(talk, call(BODY, *[b"X: a"] * 97)))[0][0].startswith(b"http/1.1 200")
    assert (await outcome(talk, call(BODY, *[b"X: a"] * 98)))[0][0].startswith(b"http/1.1 431")


async def test_an_id_that_is_none_is_not_told(talk: Talk, asked: list[Scope]) -> None:
    """What the long way does not take as an id, the short way does not either."""
    await outcome(talk, call(BODY))
    head, _ = await outcome_with_id(talk, call(BODY, b"X-Request-ID: a b"))
    assert b"x-request-id: a b" not in head
    assert len(asked) == 1


@pytest.mark.parametrize(("deadline", "status"), [(b"5000", b"200"), (b"0", b"400"), (b"-1", b"400"), (b"x", b"400")])
async def test_a_deadline_is_heard(talk: Talk, deadline: bytes, status: bytes) -> None:
    """A call may say how long it waits, and one that says it wrongly is told so."""
    await outcome(talk, call(BODY))
    assert (await outcome(talk, call(BODY, b"X-Request-Deadline-Ms: " + deadline)))[0][0][9:12] == status


async def test_a_deadline_that_passes_is_told(talk: Talk, asked: list[Scope], monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is not done in time takes the long way, which says so."""
    await outcome(talk, call(BODY))
    monkeypatch.setattr(Patience, "check", late)
    assert (await outcome(talk, call(BODY, b"X-Request-Deadline-Ms: 5000")))[0][0][9:12] == b"504"
    assert len(asked) == 2


async def test_a_body_that_is_late_for_the_deadline_is_told(talk: Talk, app: FastAPI) -> None:
    """A caller's deadline counts while the body arrives."""
    message = call(LARGE, b"X-Request-Deadline-Ms: 300", media_type=TENSORS)
    await outcome(talk, call(LARGE, media_type=TENSORS))
    begun = asyncio.get_running_loop().time()
    await talk.send(message[:1000])
    head, content = await talk.answer()
    assert (head[9:12], json.loads(content)["type"]) == (b"504", "/problems/deadline-exceeded")
    assert 0.25 < asyncio.get_running_loop().time() - begun < 5
    assert app.state.admission.in_flight_bytes == 0


async def test_a_body_in_time_for_the_deadline_is_answered(talk: Talk, asked: list[Scope]) -> None:
    """In parts too, and its deadline is forgotten then."""
    message = call(LARGE, b"X-Request-Deadline-Ms: 400", media_type=TENSORS)
    first = await outcome(talk, call(LARGE, media_type=TENSORS))
    assert await outcome(talk, message[:1000], message[1000:]) == first
    await asyncio.sleep(0.5)
    assert await outcome(talk, message[:1000], message[1000:]) == first
    assert len(asked) == 1


async def test_a_deadline_that_passes_in_the_line_is_told_once(talk: Talk, app: FastAPI) -> None:
    """A call whose body is there and whose turn comes late has one answer, and so has the next one."""
    message = call(LARGE, b"X-Request-Deadline-Ms: 100", media_type=TENSORS)
    await outcome(talk, call(LARGE, media_type=TENSORS))
    await talk.send(message[:1000])
    await asyncio.sleep(0.02)  # the head is read, and its deadline counts
    app.state.admission.line.join(lambda _: time.sleep(0.3), None, asyncio.get_running_loop().call_soon)
    await talk.send(message[1000:])
    assert (await talk.answer())[0][9:12] == b"504"
    assert (await outcome(talk, GET))[1] == b'{"status":"ok"}'


@pytest.mark.parametrize("is_known", [False, True], ids=["unknown head", "known head"])
async def test_a_deadline_counts_in_the_line(talk: Talk, app: FastAPI, *, is_known: bool) -> None:
    """A call whose turn comes late is not answered as if it had come then, and is not sent to the line's end."""
    if is_known:
        await outcome(talk, call(BODY))
    line, call_soon = app.state.admission.line, asyncio.get_running_loop().call_soon
    line.join(lambda _: time.sleep(0.2), None, call_soon)
    await talk.send(call(BODY, b"X-Request-Deadline-Ms: 50"))
    await asyncio.sleep(0)
    assert (await talk.answer())[0][9:12] == b"504"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (b"/loss", BROKEN, b"422"),
        (b"/check", BODY.replace(b"}", b', "claimed": {"loss": 1}}'), b"200"),
    ],
    ids=["what is wrong", "a check, which has a thread"],
)
async def test_who_has_stood_in_the_line_is_turned_away_no_more(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, path: bytes, body: bytes, status: bytes
) -> None:
    """However many came behind a call: what it is told when its turn comes is no refusal."""
    await outcome(talk, call(body.replace(b"[7]", b"[0]"), path=path))
    join = Line.join
    stood: list[Line] = []

    def noted(line: Line, *arguments: Any, **options: Any) -> None:
        stood.append(line)
        join(line, *arguments, **options)

    monkeypatch.setattr(Line, "join", noted)
    monkeypatch.setattr(Line, "turns_away", lambda *_: bool(stood))
    assert (await outcome(talk, call(body, path=path)))[0][0][9:12] == status
    assert len(stood) == 2
    assert (await outcome(talk, call(body, path=path)))[0][0][9:12] == b"503"


@pytest.mark.parametrize("field", [b"X-Request-ID: a", b"traceparent: a", b"X-Request-Deadline-Ms: 9"])
def test_what_is_said_twice_makes_no_head(field: bytes) -> None:
    """Which of two counts is settled on the long way."""
    head = b"POST / HTTP/1.1\r\n%b\r\nContent-Length: 3\r\n\r\n"
    assert head_of(head % field) is not None
    assert head_of(head % (field + b"\r\n" + field)) is None


async def test_a_service_that_ends_says_so(talk: Talk, app: FastAPI) -> None:
    """While it drains, the reply to a known head is the last of its connection."""
    await outcome(talk, call(BODY))
    app.state.lifecycle.is_draining = True
    head, _ = await outcome(talk, call(BODY))
    assert b"connection: close" in head


async def test_where_there_is_no_room_the_call_is_refused(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A known head is no way around the budget: the refusal is the one of any head, and the connection goes on."""
    await outcome(talk, call(BODY))
    with monkeypatch.context() as crowded:
        crowded.setattr(Admission, "refuses", lambda *_: True)
        long_way = await outcome(talk, call(BODY, b"X: y", b"X-Request-ID: mine"))
        short_way = await outcome(talk, call(BODY, b"X-Request-ID: mine"))
        parts = await outcome(talk, call(BODY)[:-5], BODY[-5:])
    assert long_way == short_way
    assert [each[0][0][9:12] for each in (long_way, parts)] == [b"503", b"503"]
    assert (await outcome(talk, call(BODY)))[0][0].startswith(b"http/1.1 200")
    assert [(line["status"], line["request_id"]) for line in told(caplog)[:2]] == [(503, "mine")] * 2


@pytest.mark.parametrize("size", [1, 100_000, MIB, DISCARDED_BYTES])
async def test_the_connection_of_a_refused_call_goes_on(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, asked: list[Scope], size: int
) -> None:
    """Behind a body of any length that is passed over under a known head, however it arrives, the next call is read."""
    await outcome(talk, call(BODY))
    body = b"x" * size
    head = call(body, b"X-Request-ID: mine")[:-size]
    monkeypatch.setattr(Admission, "refuses", lambda *_: True)
    monkeypatch.setattr(RepeatingProtocol, "_refuse_call", None)  # the long way's
    refused = await outcome(talk, head)
    await talk.send(body[: size // 2])
    await asyncio.sleep(0.02)
    assert await outcome(talk, body[size // 2 :] + head + body) == refused
    assert await outcome(talk, head + body) == refused
    assert refused[0][0][9:12] == b"503"
    monkeypatch.undo()
    assert (await outcome(talk, call(BODY)))[0][0][9:12] == b"200"
    assert [scope["path"] for scope in asked] == ["/gradient"]


async def test_a_refused_body_is_slower_than_an_idle_connection_may_be(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it arrives in time for a body, its connection goes on, however long ago the last reply was."""
    await outcome(talk, call(BODY))
    message = call(b"x" * MIB)
    with monkeypatch.context() as crowded:
        crowded.setattr(Admission, "refuses", lambda *_: True)
        await outcome(talk, message[:1000])
    await asyncio.sleep(6.5)  # idle connections end after 5 s
    assert (await outcome(talk, message[1000:] + call(BODY)))[0][0][9:12] == b"200"


async def test_a_body_that_is_too_long_to_pass_over_ends_its_connection(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, asked: list[Scope]
) -> None:
    """Under a known head as under any, without the application; the caller is told."""
    await outcome(talk, call(BODY))
    monkeypatch.setattr(Admission, "refuses", lambda *_: True)
    await talk.send(call(b"x" * (DISCARDED_BYTES + 1))[:1000])
    head, told = await talk.answer()
    assert (head[9:12], json.loads(told)["type"]) == (b"503", "/problems/overloaded")
    assert b"\r\nretry-after: 1\r\n" in head
    assert b"\r\nconnection: close\r\n" in head
    assert await asyncio.wait_for(talk.reader.read(), 5) == b""
    assert [scope["path"] for scope in asked] == ["/gradient"]


async def test_memory_is_reserved_for_a_text_that_is_read(
    talk: Talk, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either way it is as much as texts have been found to take, and free again behind the reply."""
    reserved: list[int] = []
    read_object = json_body.read_object

    def noted(*arguments: Any) -> Any:
        reserved.append(app.state.admission.in_flight_bytes)
        return read_object(*arguments)

    monkeypatch.setattr(json_body, "read_object", noted)
    for _ in range(2):
        await outcome(talk, call(BODY))
    assert len(reserved) == 2
    assert min(reserved) >= FOUND_PER_BYTE * len(BODY)
    assert app.state.admission.in_flight_bytes == 0


async def test_a_large_body_is_counted_while_it_arrives(talk: Talk, app: FastAPI) -> None:
    """Memory is reserved once its head is there, and free again when its caller leaves."""
    message = call(LARGE, media_type=TENSORS)
    await outcome(talk, message)
    await talk.send(message[:1000])
    await asyncio.sleep(0.05)
    assert app.state.admission.in_flight_bytes == len(LARGE)
    talk.writer.transport.abort()
    await asyncio.sleep(0.05)
    assert app.state.admission.in_flight_bytes == 0


async def test_a_large_body_without_room_is_refused(talk: Talk, app: FastAPI) -> None:
    """Where memory has no room for it, the problem is that of the long way."""
    message = call(LARGE, media_type=TENSORS)
    await outcome(talk, message)
    app.state.admission.reserve(app.state.admission._max_bytes)
    await talk.send(message[:1000])
    assert (await talk.answer())[0].startswith(b"http/1.1 503")


async def test_a_caller_that_leaves_has_its_line(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so of a body that does not arrive, with the path."""
    caplog.set_level(logging.INFO)
    message = call(LARGE, media_type=TENSORS)
    await outcome(talk, message)
    await talk.send(message[:1000])
    await asyncio.sleep(0.05)
    talk.writer.transport.abort()
    await asyncio.sleep(0.05)
    line = told(caplog)[-1]
    assert (line["outcome"], line["route"], line.get("status")) == ("client-left", "/gradient", None)


async def test_the_log_tells_of_a_repeat_what_it_tells_of_any_call(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    """Both lines have the same fields and the same values, but for the id and the time."""
    caplog.set_level(logging.INFO)
    for _ in range(2):
        await outcome(talk, call(BODY))
        await asyncio.sleep(0.01)
    first, again = told(caplog)
    own = {"request_id": "", "duration_ms": 0}
    assert first | own == again | own
    assert list(first) == list(again)


async def test_a_body_that_is_late_is_refused(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is that of any other body."""
    message = call(LARGE, media_type=TENSORS)
    await outcome(talk, message)
    monkeypatch.setattr(Receipt, "deadline", property(lambda receipt: receipt.since + 0.2))
    await talk.send(message[:1000])
    head, content = await talk.answer()
    assert head.startswith(b"http/1.1 408")
    assert json.loads(content)["type"] == "/problems/request-timeout"


async def test_an_idle_connection_is_closed(talk: Talk) -> None:
    """It is closed after its time, counted from the last reply."""
    await outcome(talk, call(BODY))
    await outcome(talk, call(BODY))
    begun = asyncio.get_running_loop().time()
    assert await asyncio.wait_for(talk.reader.read(), 10) == b""
    assert asyncio.get_running_loop().time() - begun > 4.0


async def test_a_service_that_ends_waits_for_no_body_that_nobody_reads(
    connect: Callable[[], Awaitable[Talk]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection on which one still arrives when the service ends is closed behind it."""
    monkeypatch.setattr(keeping, "IDLE_SECONDS", 0.05)
    with patch.object(
        GuardedProtocol, "connection_made", autospec=True, side_effect=GuardedProtocol.connection_made
    ) as made:
        talk = await connect()
        message = call(BODY, path=b"/nowhere")
        assert (await outcome(talk, message[:-5]))[0][0][9:12] == b"404"
    made.call_args.args[0].shutdown()
    await asyncio.sleep(0.2)
    await talk.send(message[-5:])
    assert await asyncio.wait_for(talk.reader.read(), 2) == b""


def test_heads_are_few() -> None:
    """The oldest gives way to a new one."""
    heads = KnownHeads()
    settled = SimpleNamespace(exchange=SimpleNamespace(hasty_bytes=0, max_bytes=0))
    given = [Head(0, 0, 0, {}, b"%d" % number) for number in range(MAX_HEADS + 1)]
    for head in given:
        heads.keep(head, settled, is_last=False)  # type: ignore[arg-type]  # it has what is asked for
    assert [heads.find(head) is not None for head in given] == [False] + [True] * MAX_HEADS


def test_the_length_is_no_part_of_a_head() -> None:
    """Heads that differ in nothing but the length of the body are the same, whatever the case of its name."""
    first, other = (head_of(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\nX: y\r\n\r\nbody" % line) for line in LENGTHS)
    assert first is not None
    assert other is not None
    assert first.shared == other.shared
    assert (first.body_bytes, other.body_bytes) == (12, 7)


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3333333333\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: Content-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\nContent-Length: 3\r\n\r\n",
    ],
)
def test_a_head_without_a_plain_length_is_none(head: bytes) -> None:
    """Nothing behind the end of a head, nothing unfinished, and no other way to write a length counts as one."""
    assert head_of(head) is None


async def test_a_second_length_is_refused_as_ever(talk: Talk) -> None:
    """One length more than a known head has is none of the parts that a known head leaves out."""
    await outcome(talk, call(BODY))
    twice = call(BODY).replace(b"Content-Length", b"Content-Length: 35\r\nContent-Length")
    assert (await outcome(talk, twice))[0][0].startswith(b"http/1.1 400")


async def test_another_length_is_the_same_head(talk: Talk, asked: list[Scope]) -> None:
    """A longer body under the same fields takes the short way too, and ends where its own length says."""
    longer = BODY.replace(b" ", b"   ")
    first = await outcome(talk, call(BODY))
    await talk.send(call(longer))
    assert (await talk.answer())[1] == first[1]
    assert len(asked) == 1


async def test_calls_of_many_connections_are_answered_together(
    connect: Callable[[], Awaitable[Talk]], sizes: list[int]
) -> None:
    """Calls that arrive at the same time are computed as one, and one that is refused leaves the others as they are."""
    talks = [await connect() for _ in range(5)]
    first = await outcome(talks[0], call(BODY))
    other = await outcome(talks[0], call(OTHER))
    bodies = [BODY, OTHER, BROKEN, BODY, b"{" + b" " * 34]
    for talk, body in zip(talks, bodies, strict=True):
        talk.writer.write(call(body))
    answers = [await talk.answer() for talk in talks]
    assert [answers[place][1] for place in (0, 1, 3)] == [first[1], other[1], first[1]]
    assert [answers[place][0][9:12] for place in (2, 4)] == [b"422", b"400"]
    assert max(sizes) > 1


async def test_a_turn_has_no_more_work_than_a_few_large_calls(
    connect: Callable[[], Awaitable[Talk]], asked: list[Scope], sizes: list[int]
) -> None:
    """Of short bodies with much work not all are computed together; the others have turns of their own."""
    talks = [await connect() for _ in range(12)]
    message = call(json.dumps({"logits": [[0] * 200] * 2, "labels": [0, 1], "include": ["jacobian"]}).encode())
    first = await outcome(talks[0], message)
    for talk in talks:
        talk.writer.write(message)
    answers = [await talk.answer() for talk in talks]
    assert [content for _, content in answers] == [first[1]] * len(talks)
    assert 1 < max(sizes) <= WORK_TOGETHER // (2 * 200 * 200 * 25)
    assert len(asked) > 1


@pytest.mark.parametrize(("is_binary", "most"), [([False] * 4, 4), ([True, False, False, True], 2)])
async def test_replies_of_other_forms_have_bounds_of_their_own(
    connect: Callable[[], Awaitable[Talk]], sizes: list[int], is_binary: list[bool], most: int
) -> None:
    """A number takes 8 bytes in binary and 25 in JSON: calls that ask for either are not computed together."""
    tensor = {"name": "logits", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}
    texts = [json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": each}}) for each in is_binary]
    messages = [call(text.encode(), path=b"/v2/models/softmax/infer") for text in texts]
    talks = [await connect() for _ in messages]
    for talk, message in zip(talks, messages, strict=True):
        await outcome(talk, message)
    sizes.clear()
    for talk, message in zip(talks, messages, strict=True):
        talk.writer.write(message)
    for talk in talks:
        assert (await talk.answer())[0][9:12] == b"200"
    assert 1 < max(sizes) <= most


async def test_models_count_the_calls_that_are_answered_again(talk: Talk) -> None:
    """The statistics of a model have each of its calls, whichever way it took."""
    tensor = {"name": "logits", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}
    message = call(json.dumps({"inputs": [tensor]}).encode(), path=b"/v2/models/softmax/infer")
    for _ in range(3):
        await outcome(talk, message)
    await talk.send(b"GET /v2/models/softmax/stats HTTP/1.1\r\nHost: localhost\r\n\r\n")
    (counted,) = json.loads((await talk.answer())[1])["model_stats"]
    told_of = counted["inference_stats"]
    assert [told_of[name]["count"] for name in ("success", "compute_infer", "fail")] == [3, 3, 0]


async def test_models_are_counted_from_the_start(talk: Talk) -> None:
    """What counts them is there before the first call, which so needs no descriptor for it."""
    await talk.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    _, counted = await talk.answer()
    for model in (b"softmax", b"loss", b"gradient"):
        assert b'gradient_service_model_last_inference_seconds{model="%b"} 0.0' % model in counted
        assert b'gradient_service_model_duration_seconds_count{model="%b",part="success"} 0.0' % model in counted


@pytest.mark.parametrize(("hasty_bytes", "max_bytes"), [(10, 100), (100, 10)])
def test_a_body_beyond_either_limit_has_no_short_way(hasty_bytes: int, max_bytes: int) -> None:
    """A head is known for bodies of any length, but they stay within what is read, and what is read at once."""
    exchange = SimpleNamespace(hasty_bytes=hasty_bytes, max_bytes=max_bytes)
    assert Settled("/loss", "/loss", None, exchange).most_bytes == 10  # type: ignore[arg-type]  # it has what is asked for


async def test_a_small_limit_holds_under_a_known_head(small: FastAPI, connect: Callable[[], Awaitable[Talk]]) -> None:
    """A longer body than may be sent is refused, whatever was answered before it."""
    assert small.state.lifecycle.is_started
    talk = await connect()
    assert (await outcome(talk, call(BODY)))[0][0][9:12] == b"200"
    assert (await outcome(talk, call(BODY.replace(b" ", b" " * 10))))[0][0][9:12] == b"413"


@pytest.mark.parametrize("field", [b"Connection: close", b"Connection: keep-alive, close", b"Proxy-Connection: close"])
async def test_the_last_call_of_a_connection_is_answered_and_ends_it(
    connect: Callable[[], Awaitable[Talk]], asked: list[Scope], field: bytes
) -> None:
    """As proxies and simple clients call: each has a connection of its own, and knows the head of the one before."""
    outcomes = []
    for _ in range(3):
        talk = await connect()
        outcomes.append(await outcome(talk, call(BODY, field)))
        assert await asyncio.wait_for(talk.reader.read(), 0.5) == b""
    assert b"connection: close" in outcomes[0][0]
    assert sorted(outcomes[0][0]) == sorted(outcomes[1][0]) == sorted(outcomes[2][0])
    assert outcomes[0][1] == outcomes[1][1]
    assert len(asked) == 1


@pytest.mark.parametrize("fields", [[], [b"Connection: keep-alive"]])
async def test_an_older_version_ends_its_connection(
    connect: Callable[[], Awaitable[Talk]], asked: list[Scope], fields: list[bytes]
) -> None:
    """HTTP/1.0 knows no other end of a reply, and the server keeps none open for it."""
    message = call(BODY, *fields).replace(b"HTTP/1.1", b"HTTP/1.0")
    for _ in range(2):
        talk = await connect()
        assert b"connection: close" in (await outcome(talk, message))[0]
        assert await asyncio.wait_for(talk.reader.read(), 0.5) == b""
    assert len(asked) == 1


async def test_a_refused_call_that_is_the_last_ends_its_connection(
    connect: Callable[[], Awaitable[Talk]], app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the caller asked for holds for a refusal as well."""
    await outcome(await connect(), call(BODY, b"Connection: close"))
    monkeypatch.setattr(type(app.state.readiness), "refuses", lambda *_: True)
    old = [call(BODY, *fields).replace(b"HTTP/1.1", b"HTTP/1.0") for fields in ([], [b"Connection: keep-alive"])]
    for message in (call(BODY, b"Connection: close"), *old):
        talk = await connect()
        lines, _ = await outcome(talk, message)
        assert lines[0].startswith(b"http/1.1 503")
        assert b"connection: close" in lines
        assert await asyncio.wait_for(talk.reader.read(), 0.5) == b""
