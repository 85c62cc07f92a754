"""Spans of requests and of their stages, as an exporter in memory gets them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from safetensors.numpy import save

from gradient_service.app import create_app
from gradient_service.http.request_log import Passage
from gradient_service.http.traces import CLOSE_SECONDS, Traces
from gradient_service.settings import Settings

from .conftest import client_of, post

pytestmark = pytest.mark.anyio
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{SPAN}-01"
BODY = {"logits": [[1, 2, 3]], "labels": [0]}
STAGES = ["read", "parse", "compute", "encode"]
INFER = {
    "inputs": [
        {"name": "logits", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]},
        {"name": "labels", "shape": [1], "datatype": "INT64", "data": [0]},
    ]
}
DIALECTS = {
    "json": ("/gradient", json.dumps(BODY).encode(), "application/json", "json"),
    "safetensors": (
        "/gradient",
        save({"logits": np.ones((1, 3)), "labels": np.zeros(1, int)}),
        "application/x-safetensors",
        "binary",
    ),
    "open inference": ("/v2/models/gradient/infer", json.dumps(INFER).encode(), "application/json", "json"),
}


@pytest.fixture
def app(traces: Traces) -> FastAPI:
    """An application that is traced."""
    return create_app(Settings.model_construct(), traces)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with client_of(app) as client:
        yield client


def request_span(exporter: InMemorySpanExporter) -> ReadableSpan:
    """The only one of a request."""
    (span,) = spans_of_requests(exporter)
    return span


def spans_of_requests(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    """Those of all requests, without those of their stages."""
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """What it says."""
    return dict(span.attributes or {})


def context(span: ReadableSpan) -> SpanContext:
    """Its ids and those of its trace."""
    found = span.get_span_context()
    assert found is not None
    return found


def times(span: ReadableSpan) -> tuple[int, int]:
    """When it began and ended."""
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


async def test_a_call_is_a_span(http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    """It has the names of OpenTelemetry's conventions for HTTP, and says what the log says, the shape, and no more."""
    reply = await post(http, "/gradient?secret", BODY, X_Request_ID="mine")
    span = request_span(exporter)
    assert (span.name, span.status.status_code) == ("POST /gradient", StatusCode.UNSET)
    assert attributes(span) == {
        "http.request.method": "POST",
        "http.route": "/gradient",
        "url.path": "/gradient",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "http.request.body.size": len(json.dumps(BODY)),
        "http.response.body.size": len(reply.content),
        "gradient.request_id": "mine",
        "gradient.outcome": "answered",
        "gradient.dialect": "json",
        "gradient.batch_size": 1,
        "gradient.num_classes": 3,
    }


@pytest.mark.parametrize("sent", DIALECTS.values(), ids=DIALECTS)
async def test_stages_are_spans_within(
    http: httpx.AsyncClient, exporter: InMemorySpanExporter, sent: tuple[str, bytes, str, str]
) -> None:
    """In each dialect the stages stand one behind the other within the span of their request, and are its children."""
    path, body, media_type, dialect = sent
    await post(http, path, body, Content_Type=media_type)
    *stages, request = exporter.get_finished_spans()
    assert [stage.name for stage in stages] == STAGES
    assert {stage.parent and stage.parent.span_id for stage in stages} == {context(request).span_id}
    borders = [times(stage) for stage in stages]
    assert [end for _, end in borders[:-1]] == [start for start, _ in borders[1:]]
    start, end = times(request)
    assert start <= borders[0][0] <= borders[-1][1] <= end
    assert attributes(request)["gradient.dialect"] == dialect


async def test_stages_are_those_of_the_reply(http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    """Spans last as long as `Server-Timing` tells."""
    reply = await post(http, "/gradient", BODY)
    *stages, _ = exporter.get_finished_spans()
    told = ", ".join(f"{stage.name};dur={(times(stage)[1] - times(stage)[0]) / 1e6:.3f}" for stage in stages)
    assert told == reply.headers["server-timing"]


async def test_a_large_call_waits_in_a_stage_of_its_own(
    http: httpx.AsyncClient, exporter: InMemorySpanExporter
) -> None:
    """Between two stages of a call that is computed in a thread stands the time that it waited for one."""
    await post(http, "/softmax", {"logits": [[1] * 1000] * 70})
    *stages, _ = exporter.get_finished_spans()
    assert [stage.name for stage in stages] == ["read", "queue", *STAGES[1:]]


async def test_a_trace_is_continued(http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    """The caller's span is the parent, in its trace, with what other systems added to that."""
    await http.get("/livez", headers=[("traceparent", CALLER), ("tracestate", "a=1, b@c=2"), ("tracestate", "d=3")])
    span = request_span(exporter)
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}", span.parent.is_remote) == (TRACE, SPAN, True)
    assert context(span).trace_id == span.parent.trace_id
    assert dict(context(span).trace_state) == {"a": "1", "b@c": "2", "d": "3"}


@pytest.mark.parametrize("state", ["Secret=1", "secret", "a=secret=1", ",".join(f"secret{i}=1" for i in range(33))])
async def test_a_malformed_state_is_ignored(
    http: httpx.AsyncClient, exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    """It is not passed on and no log quotes it, and the trace is continued all the same."""
    with caplog.at_level(logging.DEBUG):
        await http.get("/livez", headers={"traceparent": CALLER, "tracestate": state})
    span = request_span(exporter)
    assert (f"{context(span).trace_id:032x}", len(context(span).trace_state)) == (TRACE, 0)
    ours = [record for record in caplog.records if not record.name.startswith("http")]
    assert "secret" not in " ".join(str(vars(record)) for record in ours).lower()


@pytest.mark.parametrize("headers", [{}, {"traceparent": CALLER}, {"traceparent": CALLER[:-1] + "0"}])
async def test_the_log_has_the_ids_of_the_span(
    http: httpx.AsyncClient,
    exporter: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
) -> None:
    """A line leads to its trace, with a caller's trace or without; one that the caller does not keep is told only."""
    with caplog.at_level(logging.INFO, "gradient_service.requests"):
        await http.get("/livez", headers=headers)
    (record,) = caplog.records
    lines: list[dict[str, Any]] = record.msg  # type: ignore[assignment]  # a record's message may be anything
    (told,) = lines
    assert (told.get("parent_id") == SPAN) is bool(headers)
    if headers.get("traceparent", CALLER) != CALLER:
        assert (told["trace_id"], len(told["span_id"]), exporter.get_finished_spans()) == (TRACE, 16, ())
    else:
        made = context(request_span(exporter))
        assert (told["trace_id"], told["span_id"]) == (f"{made.trace_id:032x}", f"{made.span_id:016x}")


@pytest.mark.parametrize(
    ("body", "status", "slug"), [(b"{", 400, "malformed-json"), ({"logits": [[1, 2]]}, 422, "missing-field")]
)
async def test_a_refusal_is_no_error(
    http: httpx.AsyncClient, exporter: InMemorySpanExporter, body: object, status: int, slug: str
) -> None:
    """By the conventions what a caller does wrong leaves a server's span without an error; its slug is told."""
    await post(http, "/gradient", body)
    span = request_span(exporter)
    told = attributes(span)
    assert (told["http.response.status_code"], told["gradient.problem"], "error.type" in told) == (status, slug, False)
    assert span.status.status_code is StatusCode.UNSET


async def test_lack_of_room_is_an_error(http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    """A 503, here of a service that has not started, is an error by its slug."""
    await http.get("/readyz")
    span = request_span(exporter)
    assert (attributes(span)["error.type"], attributes(span)["gradient.problem"]) == ("shutting-down", "shutting-down")
    assert span.status.status_code is StatusCode.ERROR


async def test_methods_and_paths_make_no_names(http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    """What a caller makes up names no span."""
    await http.request("SECRET", "/secret")
    await http.get("/secret")
    assert [span.name for span in exporter.get_finished_spans()] == ["HTTP", "GET"]
    assert attributes(exporter.get_finished_spans()[0])["http.request.method"] == "_OTHER"


async def test_a_message_that_cannot_be_read_is_a_span(traces: Traces, exporter: InMemorySpanExporter) -> None:
    """What is refused before it is a request has a span without a method and a route."""
    fields = {"status": 400, "problem": "malformed-http", "outcome": "answered", "duration_ms": 0.1, "request_id": "a"}
    traces.trace(fields, Passage(0.0))
    span = request_span(exporter)
    assert (span.name, attributes(span)["gradient.problem"]) == ("HTTP", "malformed-http")


async def test_nothing_of_a_body_or_a_key_is_told(http: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    """Keys, bodies, queries and header fields are in no span, whether they are right or not."""
    for body in ({"secret": 1}, b"secret", {**BODY, "include": ["secret"]}, BODY):
        await post(http, "/gradient?secret", body, Authorization="Bearer secret", X_Other="secret", User_Agent="secret")
    spans = exporter.get_finished_spans()
    assert len(spans_of_requests(exporter)) == 4
    assert "secret" not in " ".join(span.to_json() for span in spans)


async def test_a_collector_that_is_away_holds_nobody() -> None:
    """The end waits for what is left no longer than some seconds."""
    begun = time.monotonic()
    Traces(TracerProvider(shutdown_on_exit=False).get_tracer("a"), lambda: time.sleep(60)).close()
    assert time.monotonic() - begun < 2 * CLOSE_SECONDS
