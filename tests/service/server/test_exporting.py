"""Traces that leave the process: when they do, from which process, and what happens when nobody takes them."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gradient_service.app import create_app
from gradient_service.http.traces import Traces
from gradient_service.server.exporting import exporting
from gradient_service.settings import Settings

from .collector import attributes, collecting
from .conftest import Talk, running

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
BODY = b'{"logits": [[1, 2]], "labels": [0]}'
CALLER = b"traceparent: 00-%032x-00f067aa0ba902b7-01"
STAGES = {"read", "parse", "compute", "encode"}
OF_THE_SDK = "[name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))]"


def call(*fields: bytes, body: bytes = BODY) -> bytes:
    """A call as bytes."""
    lines = [b"POST /gradient HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", *fields]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body


def last_call(number: int) -> bytes:
    """A call of a trace with this number, the last one of its connection."""
    return call(CALLER % number, b"Connection: close")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "mine"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_TRACES_EXPORTER": "none", **ENDPOINT},
        {"OTEL_SDK_DISABLED": "True", **ENDPOINT},
    ],
)
def test_traces_are_sent_when_asked_for(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """Where no variable asks for them, or one says not to, none are made, and there is nothing to say of it."""
    assert exporting(environ) is None
    assert caplog.records == []


@pytest.mark.parametrize(
    "environ",
    [
        ENDPOINT,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_TRACES_EXPORTER": "otlp"},
        {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", **ENDPOINT},
    ],
)
def test_an_endpoint_asks_for_traces(environ: dict[str, str]) -> None:
    """Each of the variables that point at a collector is enough."""
    assert exporting(environ) is not None


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is otlp or none here"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **ENDPOINT}, "OTEL_EXPORTER_OTLP_PROTOCOL is http/protobuf here"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told(
    environ: dict[str, str], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The service goes on without traces, with a warning."""
    assert exporting(environ) is None
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"no traces are sent: {told}")
    ]


def test_the_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the SDK is not installed, the warning says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert exporting(ENDPOINT) is None
    assert "gradient-service[traces] is not installed" in caplog.text


def test_variables_that_the_sdk_refuses_cost_no_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A queue shorter than a batch once kept each worker from its start."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "256")
    make = exporting(ENDPOINT)
    assert make is not None
    assert make() is None
    assert "no traces are sent: max_export_batch_size must be" in caplog.text


def test_nothing_is_loaded_unasked() -> None:
    """Without a variable that asks for traces, neither the SDK nor an exporter is imported."""
    code = f"import sys; from gradient_service import cli; cli.create_app(); print({OF_THE_SDK})"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"[]\n"


@pytest.fixture
def app(traces: Traces) -> FastAPI:
    """A started application that is traced."""
    app = create_app(Settings.model_construct(), traces)
    app.state.lifecycle.is_started = True
    return app


@pytest.mark.anyio
async def test_calls_with_a_known_head_are_traced(talk: Talk, exporter: InMemorySpanExporter) -> None:
    """The short way makes the same spans as the long one, each in the trace and with the state of its own caller."""
    for number in (1, 2, 3):
        await talk.send(call(CALLER % number, b"tracestate: a=%d" % number))
        await talk.answer()
    spans = exporter.get_finished_spans()
    requests = [span for span in spans if span.parent is not None and span.parent.is_remote]
    assert [span.context and span.context.trace_id for span in requests] == [1, 2, 3]
    assert [span.context and span.context.trace_state.get("a") for span in requests] == ["1", "2", "3"]
    known = {"gradient.request_id", "http.response.body.size"}
    first, *others = ({k: v for k, v in (span.attributes or {}).items() if k not in known} for span in requests)
    assert all(other == first for other in others)
    assert [span.name for span in spans] == [*("read", "parse", "compute", "encode", "POST /gradient")] * 3


@pytest.mark.anyio
async def test_a_fault_with_a_known_head_is_one_span(talk: Talk, exporter: InMemorySpanExporter) -> None:
    """A call that has to go the long way after all is told once."""
    for body in (BODY, b'{"logits": [[1, 2]], "labels": [7]}'):
        await talk.send(call(body=body))
        await talk.answer()
    requests = [span for span in exporter.get_finished_spans() if span.name == "POST /gradient"]
    problems = [(span.attributes or {}).get("gradient.problem") for span in requests]
    assert problems == [None, "label-out-of-range"]


@pytest.mark.anyio
async def test_unreadable_messages_are_spans(
    connect: Callable[[], Awaitable[Talk]], exporter: InMemorySpanExporter
) -> None:
    """What the protocol refuses before there is a request is answered as ever, and is a span with its slug."""
    talk = await connect()
    await talk.send(b"\x16\x03\x01\r\n\r\n")
    assert (await talk.answer())[0].startswith(b"http/1.1 400")
    (span,) = exporter.get_finished_spans()
    assert (span.name, (span.attributes or {})["gradient.problem"]) == ("HTTP", "malformed-http")


@pytest.mark.anyio
async def test_refusals_for_lack_of_room_are_in_their_trace(
    app: FastAPI, talk: Talk, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 that the application never sees is a span of its caller's trace, with a known head and without one."""
    await talk.send(call(CALLER % 1))
    await talk.answer()
    monkeypatch.setattr(type(app.state.readiness), "refuses", lambda *_: True)
    for number, fields in ((2, ()), (3, (b"Authorization: 1",))):
        await talk.send(call(CALLER % number, *fields))
        assert (await talk.answer())[0].startswith(b"http/1.1 503")
    *_, known, unknown = exporter.get_finished_spans()
    assert [span.context and span.context.trace_id for span in (known, unknown)] == [2, 3]
    assert {(span.attributes or {})["error.type"] for span in (known, unknown)} == {"overloaded"}


def test_workers_send_what_they_have_before_they_end() -> None:
    """Each worker sends its own spans, those of its last calls at the end, with the resource of the variables."""
    with collecting() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "mine"}
        with running("--workers", "2", OTEL_BSP_SCHEDULE_DELAY="60000", **environ) as process:
            for number in range(1, 41):
                assert process.send(last_call(number)).startswith(b"HTTP/1.1 200")
        assert process.parent.returncode == 0
        requests = [span for span in collector.spans if span.name == "POST /gradient"]
        assert {int.from_bytes(span.trace_id) for span in requests} == set(range(1, 41))
        assert all(attributes(span)["http.response.status_code"] == 200 for span in requests)
        for request in requests:
            children = [span for span in collector.spans if span.parent_span_id == request.span_id]
            assert {span.name for span in children} == STAGES
            assert {span.trace_id for span in children} == {request.trace_id}
    assert collector.services == {"mine"}
    lines = [json.loads(line) for line in process.log]
    told = {line["trace_id"]: line["span_id"] for line in lines if line.get("route") == "/gradient"}
    assert told == {span.trace_id.hex(): span.span_id.hex() for span in requests}


@pytest.mark.full
def test_a_worker_that_took_the_place_of_another_sends() -> None:
    """A worker that is started later has an exporter of its own."""
    with collecting() as collector, running(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as process:
        (first,) = process.workers()
        time.sleep(0.6)  # a worker that ends at once after its start is replaced with care
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while not process.is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send(last_call(7))
        collector.wait_for(lambda spans: 7 in {int.from_bytes(span.trace_id) for span in spans})
    assert collector.services == {"gradient-service"}


def test_a_collector_that_is_away_delays_nobody() -> None:
    """Calls are answered and the service ends within a bound, with 0, where nobody listens at the endpoint."""
    with running(OTEL_BSP_SCHEDULE_DELAY="100", **ENDPOINT) as process:
        for number in range(1, 30):
            assert process.send(last_call(number)).startswith(b"HTTP/1.1 200")
        time.sleep(0.3)
        asked = time.monotonic()
        process.parent.send_signal(signal.SIGTERM)
        assert process.parent.wait(timeout=20) == 0
    assert time.monotonic() - asked < 15


@pytest.mark.full
def test_a_collector_that_hangs_delays_nobody() -> None:
    """The same where it takes the connection and never answers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        running(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}") as process,
    ):
        assert process.send(last_call(1)).startswith(b"HTTP/1.1 200")
        asked = time.monotonic()
        process.parent.send_signal(signal.SIGTERM)
        assert process.parent.wait(timeout=20) == 0
    assert time.monotonic() - asked < 15
