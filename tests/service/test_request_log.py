"""The log of requests: one record each, which tells how it ended and nothing that it held."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from errno import EMFILE
from time import perf_counter
from typing import Any

import httpx
import pytest
from anyio import sleep
from anyio.lowlevel import checkpoint
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import Message

from gradient_service.app import create_app
from gradient_service.http.request_log import TOGETHER_SECONDS, Fields, Passage, RequestLog, Told
from gradient_service.http.trace_context import context_in
from gradient_service.schemas.problem import Slug
from gradient_service.settings import Settings

from .conftest import client_of, post

pytestmark = pytest.mark.anyio
LOGGER = "gradient_service.requests"
BODY = b'{"logits": [[1, 2]]}'
INFER = {"inputs": [{"name": "logits", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log, with all that is told of requests."""
    caplog.set_level(logging.INFO, LOGGER)
    return caplog


class Counted:
    """Counts that only remember what they are told."""

    def __init__(self) -> None:
        self.told: list[Sequence[Told]] = []
        self.refused: list[Sequence[float]] = []

    def count(self, told: Sequence[Told]) -> None:
        """Remember it, unless it is nothing."""
        if told:
            self.told.append(told)

    def count_refused(self, milliseconds: Sequence[float]) -> None:
        """Remember it."""
        self.refused.append(milliseconds)


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that gave out a key."""
    async with client_of(create_app(Settings.model_construct(api_keys=SecretStr("secret-key")))) as client:
        yield client


def the_record(told: pytest.LogCaptureFixture) -> logging.LogRecord:
    """The record of the only request."""
    (record,) = (record for record in told.records if record.name == LOGGER)
    return record


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    """The only line of a record."""
    lines: list[dict[str, Any]] = record.msg  # type: ignore[assignment]  # a record's message may be anything
    (line,) = lines
    return line


def fields(told: pytest.LogCaptureFixture) -> dict[str, Any]:
    """What was told of the only request."""
    return line_of(the_record(told))


async def call(app: FastAPI, messages: list[Message]) -> list[Message]:
    """What a softmax call sends when these messages arrive."""
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"a"), (b"content-type", b"application/json"), (b"content-length", b"20")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/softmax", "raw_path": b"/softmax"}
    await app({**scope, "query_string": b"", "headers": headers, "root_path": ""}, receive, send)
    return sent


async def test_a_call_is_told(http: httpx.AsyncClient, told: pytest.LogCaptureFixture) -> None:
    """One record says what was asked, how it ended, how long it took, and how much came and went."""
    reply = await post(http, "/softmax", BODY)
    record = fields(told)
    assert record.pop("duration_ms") > 0
    assert record == {
        "method": "POST",
        "route": "/softmax",
        "status": 200,
        "outcome": "answered",
        "bytes_in": len(BODY),
        "bytes_out": len(reply.content),
        "request_id": reply.headers["x-request-id"],
    }


async def test_a_problem_is_told_by_its_slug(http: httpx.AsyncClient, told: pytest.LogCaptureFixture) -> None:
    """A refusal is told with its slug, under the id that the caller got."""
    reply = await post(http, "/softmax", {})
    record = fields(told)
    assert (record["status"], record["problem"], record["outcome"]) == (422, "missing-field", "answered")
    assert record["request_id"] == reply.json()["request_id"]


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v2/models/softmax/infer", "/v2/models/{model}/infer"),
        ("POST", "/v2/models/none/versions/7/infer", "/v2/models/{model}/versions/{version}/infer"),
        ("GET", "/examples/none", "/examples/{name}"),
        ("GET", "/assets/pages.css", "/assets"),
        ("GET", "/assets/none", "/assets"),
        ("GET", "/openapi.json", "/openapi.json"),
        ("DELETE", "/softmax", "/softmax"),
        ("GET", "/", "/"),
    ],
)
async def test_routes_are_told_as_templates(
    http: httpx.AsyncClient, told: pytest.LogCaptureFixture, method: str, path: str, route: str
) -> None:
    """What the caller wrote into a path is not told, so that there are as many names as there are routes."""
    await http.request(method, path, json=INFER if method == "POST" else None)
    assert fields(told)["route"] == route
    assert "path" not in fields(told)


@pytest.mark.parametrize("path", ["/none?key=secret", "/%1b%5b31m%0a", "/" + "x" * 30_000, "/%ed%a0%80%ff"])
async def test_paths_without_a_route_are_told_bounded(
    http: httpx.AsyncClient, told: pytest.LogCaptureFixture, path: str
) -> None:
    """Only where there is no route, the path is: at most 200 printable characters, and no query."""
    await http.get(path)
    record = fields(told)
    assert "route" not in record
    assert 0 < len(record["path"]) <= 200
    assert record["path"].isprintable()
    assert "secret" not in record["path"]


async def test_a_head_has_no_body(http: httpx.AsyncClient, told: pytest.LogCaptureFixture) -> None:
    """Of an answer to HEAD no bytes of a body are counted."""
    await http.head("/livez")
    assert (fields(told)["method"], fields(told)["bytes_out"]) == ("HEAD", 0)


@pytest.mark.parametrize("key", ["secret-key", "secret-wrong"])
async def test_nothing_of_a_body_or_a_key_is_told(
    guarded: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    """Keys, bodies, queries and other header fields leave no trace in any record, whether or not they are right."""
    with caplog.at_level(logging.DEBUG):
        for body in ({"secret": 1}, b'{"logits": [["secret"]]}', b"secret", BODY):
            await post(guarded, "/softmax?secret", body, Authorization=f"Bearer {key}", X_Other="secret")
    records = [record for record in caplog.records if record.name == LOGGER]
    assert len(records) == 4
    assert "secret" not in " ".join(str(vars(record)) for record in records)


@pytest.mark.parametrize("value", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01-what-else"])
async def test_a_trace_is_continued(http: httpx.AsyncClient, told: pytest.LogCaptureFixture, value: str) -> None:
    """The record has the caller's trace, its span as the parent, and a span of its own."""
    await http.get("/livez", headers={"Traceparent": value})
    record = fields(told)
    assert (record["trace_id"], record["parent_id"]) == (TRACE, SPAN)
    assert len(record["span_id"]) == 16
    assert record["span_id"] != SPAN


@pytest.mark.parametrize(
    "value",
    [
        "",
        "hello",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0G",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
    ],
)
async def test_a_malformed_trace_is_ignored(
    http: httpx.AsyncClient, told: pytest.LogCaptureFixture, value: str
) -> None:
    """What is no `traceparent` changes no answer and is not told."""
    assert (await http.get("/livez", headers={"Traceparent": value})).status_code == 200
    assert not {"trace_id", "parent_id", "span_id"} & set(fields(told))


async def test_a_doubled_trace_is_ignored(http: httpx.AsyncClient, told: pytest.LogCaptureFixture) -> None:
    """Two fields do not say which trace it is."""
    await http.get("/livez", headers=[("Traceparent", f"00-{TRACE}-{SPAN}-01")] * 2)
    assert "trace_id" not in fields(told)


async def test_a_client_that_leaves_is_told(app: FastAPI, told: pytest.LogCaptureFixture) -> None:
    """Where the caller leaves within its body, there is no status, and the outcome says so."""
    await call(app, [{"type": "http.request", "body": BODY[:5], "more_body": True}, {"type": "http.disconnect"}])
    record = fields(told)
    assert (record["outcome"], record["bytes_in"], record["bytes_out"]) == ("client-left", 5, 0)
    assert "status" not in record


async def test_a_deadline_is_told(told: pytest.LogCaptureFixture, http: httpx.AsyncClient) -> None:
    """A call that was given up at its deadline is a warning with its slug."""
    rows = {"logits": [[1.0] * 100] * 5000}
    await post(http, "/softmax", rows, X_Request_Deadline_Ms="1")
    assert (fields(told)["status"], fields(told)["problem"]) == (504, "deadline-exceeded")
    assert the_record(told).levelno == logging.WARNING


async def test_a_refusal_for_lack_of_room_is_a_warning(told: pytest.LogCaptureFixture) -> None:
    """What an operator should look at is more than information: here a service that has not started."""
    async with client_of(create_app(Settings.model_construct())) as http:
        await http.get("/readyz")
    assert (fields(told)["problem"], the_record(told).levelno) == ("shutting-down", logging.WARNING)


async def test_a_fault_is_told_twice(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of our own is one record with the error, and the request's, both errors under the request's id."""
    app = create_app(Settings.model_construct())

    def fail() -> None:
        raise ZeroDivisionError

    app.add_api_route("/fail", fail)
    async with client_of(app) as http:
        await http.get("/fail", headers={"X-Request-ID": "mine"})
    fault, request = caplog.records
    assert fault.exc_info is not None
    assert isinstance(fault.exc_info[1], ZeroDivisionError)
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert isinstance(fault.msg, dict)
    line = line_of(request)
    assert fault.msg["request_id"] == line["request_id"] == "mine"
    assert (line["status"], line["problem"]) == (500, "internal-error")


async def test_a_reply_that_breaks_off_is_told(app: FastAPI, told: pytest.LogCaptureFixture) -> None:
    """A reply that could not be sent to its end is an error, with the status that it began with."""
    sent = 0

    async def send(message: Message) -> None:
        nonlocal sent
        sent += 1
        if message["type"] == "http.response.body":
            raise ValueError

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/livez", "raw_path": b"/livez"}
    with pytest.raises(RuntimeError):
        await app({**scope, "query_string": b"", "headers": [(b"host", b"a")], "root_path": ""}, receive, send)
    assert sent == 2
    assert (fields(told)["status"], fields(told)["outcome"]) == (200, "cut-off")
    assert the_record(told).levelno == logging.ERROR


async def test_nothing_is_told_below_the_level(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Where only warnings are wanted, a request that went well is not one."""
    with caplog.at_level(logging.WARNING, LOGGER):
        await post(http, "/softmax", BODY)
    assert caplog.records == []


async def test_requests_that_end_soon_after_each_other_are_told_together(told: pytest.LogCaptureFixture) -> None:
    """Each has its line and is counted, in their order, those of one level in one record; later ones are told anew."""
    counts = Counted()
    log = RequestLog(counts)
    passage = Passage(perf_counter())
    for name in ("first", "second"):
        log.tell_repeated("/loss", (1, 2), name, passage)
    await checkpoint()
    log.tell_unread(Slug.OVERLOADED, "refused", passage)
    await sleep(2 * TOGETHER_SECONDS)
    log.tell_repeated("/loss", (1, None), "left", passage)
    await sleep(2 * TOGETHER_SECONDS)
    lines: list[list[Fields]] = [record.msg for record in told.records]  # type: ignore[misc]  # they are no texts
    assert [[line["request_id"] for line in each] for each in lines] == [["first", "second"], ["refused"], ["left"]]
    assert [record.levelno for record in told.records] == [logging.INFO, logging.WARNING, logging.INFO]
    assert [[each.fields for each in together] for together in counts.told] == [[*lines[0], *lines[1]], lines[2]]


async def test_calls_without_room_are_told_as_what_is_refused_unread(told: pytest.LogCaptureFixture) -> None:
    """In the same words, with their own ids, and counted; of a trace as well, where the caller tells of one."""
    counts = Counted()
    log = RequestLog(counts)
    start = perf_counter()
    log.tell_refused("first", Passage(start))
    log.tell_refused("traced", Passage(start, context_in([f"00-{TRACE}-{SPAN}-01".encode()], [])))
    log.tell_refused("second", Passage(start))
    log.tell_unread(Slug.OVERLOADED, "unread", Passage(start))
    await sleep(2 * TOGETHER_SECONDS)
    lines: dict[str, Fields] = {line["request_id"]: line for record in told.records for line in record.msg}  # type: ignore[index,misc]  # no texts
    assert [*lines] == ["first", "second", "traced", "unread"]
    assert lines["traced"]["trace_id"] == TRACE
    for name in ("first", "second"):
        assert lines[name] == {**lines["unread"], "request_id": name, "duration_ms": lines[name]["duration_ms"]}
    assert counts.refused == [[lines[name]["duration_ms"] for name in ("first", "second")]]
    assert [[each.fields for each in together] for together in counts.told] == [[lines["traced"], lines["unread"]]]


def test_what_cannot_be_counted_is_told(told: pytest.LogCaptureFixture) -> None:
    """Where no descriptor is left for the file of the counts, the line is there."""

    class Failing(Counted):
        def count(self, _: Sequence[Told]) -> None:
            raise OSError(EMFILE, "no descriptor")

    with pytest.raises(OSError, match="no descriptor"):
        RequestLog(Failing()).tell({"request_id": "told", "outcome": "answered"}, Passage(perf_counter()))
    assert fields(told)["request_id"] == "told"


async def test_what_waits_to_be_told_is_told_at_the_end(told: pytest.LogCaptureFixture) -> None:
    """An application that ends right behind an answer loses no line of it."""
    app = create_app(Settings.model_construct())
    async with app.router.lifespan_context(app):
        app.state.request_log.tell_repeated("/loss", (1, 2), "last", Passage(perf_counter()))
    assert [line["request_id"] for record in told.records for line in record.msg] == ["last"]  # type: ignore[index]  # no text
