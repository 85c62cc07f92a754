"""Spans of calls, where the caller traces, and nothing where it does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gradient_client import GradientClient, InputError, RejectedInputError, Retry, TransportError

from .conftest import URL, Ask, Script, gradient_reply, problem, softmax_reply

LOGITS = [[0.0, 1.0], [1.0, 0.0]]


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What gets the spans of a caller that traces."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


@pytest.fixture
def caller(exporter: InMemorySpanExporter) -> Iterator[trace.Span]:
    """A span of the caller, around the calls."""
    with trace.get_tracer("caller").start_as_current_span("caller") as span:
        yield span
    assert [each.name for each in exporter.get_finished_spans()][-1] == "caller"


def told(span: ReadableSpan) -> Mapping[str, object]:
    """What a span says, but for the id, which differs."""
    attributes = dict(span.attributes or {})
    attributes.pop("gradient.request_id", None)
    return attributes


def parent(span: ReadableSpan) -> int | None:
    """The id of what is above."""
    return span.parent and span.parent.span_id


def own(span: ReadableSpan | trace.Span) -> trace.SpanContext:
    """Its ids."""
    context = span.get_span_context()
    assert context is not None
    return context


def test_a_call_is_a_span_with_its_attempts(ask: Ask, caller: trace.Span, exporter: InMemorySpanExporter) -> None:
    """Below the caller's span stands the call, and below that each attempt, by the conventions for HTTP clients."""
    script = Script([problem(503, "overloaded"), ConnectionResetError("gone"), softmax_reply()])
    ask(script, "softmax", LOGITS, options={"retry": Retry(2, 0.001, 0.001)})
    first, second, third, call = exporter.get_finished_spans()
    assert (call.name, parent(call), call.kind) == ("softmax", own(caller).span_id, SpanKind.INTERNAL)
    assert {parent(span) for span in (first, second, third)} == {own(call).span_id}
    assert {span.kind for span in (first, second, third)} == {SpanKind.CLIENT}
    same = {
        "http.request.method": "POST",
        "url.full": f"{URL}/softmax",
        "url.template": "/softmax",
        "server.address": "service.test",
        "server.port": 80,
    }
    assert told(first) == {**same, "http.response.status_code": 503, "error.type": "503"}
    assert told(second) == {**same, "http.request.resend_count": 1, "error.type": "ConnectionResetError"}
    assert told(third) == {**same, "http.request.resend_count": 2, "http.response.status_code": 200}
    codes = [span.status.status_code for span in (first, second, third, call)]
    assert codes == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET, StatusCode.UNSET]
    assert [event.name for event in call.events] == ["retry", "retry"]


def test_each_attempt_names_its_own_span(ask: Ask, caller: trace.Span, exporter: InMemorySpanExporter) -> None:
    """The service continues the trace below the attempt that reached it."""
    script = Script([problem(503, "overloaded"), softmax_reply()])
    ask(script, "softmax", LOGITS, options={"retry": Retry(1, 0.001, 0.001)})
    attempts = exporter.get_finished_spans()[:2]
    ids = [f"00-{own(caller).trace_id:032x}-{own(span).span_id:016x}-{own(span).trace_flags:02x}" for span in attempts]
    assert [request.headers["traceparent"] for request in script.requests] == ids


@pytest.mark.parametrize(
    ("outcome", "error"),
    [(problem(422, "missing-field"), RejectedInputError), (ConnectionRefusedError("nobody"), TransportError)],
)
def test_a_call_that_fails_is_an_error(
    ask: Ask, exporter: InMemorySpanExporter, outcome: object, error: type[Exception]
) -> None:
    """Its span names the exception that the caller gets."""
    with pytest.raises(error):
        ask(Script([outcome]), "softmax", LOGITS, options={"retry": Retry(0)})  # type: ignore[list-item]  # a table
    *_, call = exporter.get_finished_spans()
    assert (told(call), call.status.status_code) == ({"error.type": error.__name__}, StatusCode.ERROR)


def test_chunks_are_below_one_span(ask: Ask, caller: trace.Span, exporter: InMemorySpanExporter) -> None:
    """A call in chunks is one span, whichever threads or tasks they run in, and each chunk is one below it."""
    script = Script([gradient_reply()])
    ask(script, "gradient", [[0.0, 1.0]] * 4, [0] * 4, chunk_rows=2, include=["gradient"])
    *spans, whole = exporter.get_finished_spans()
    chunks = [span for span in spans if span.kind is SpanKind.INTERNAL]
    assert parent(whole) == own(caller).span_id
    assert [(span.name, parent(span)) for span in chunks] == [("gradient", own(whole).span_id)] * 2


def test_what_cannot_be_sent_is_no_span(ask: Ask, exporter: InMemorySpanExporter) -> None:
    """Where an argument is refused here, there was no call."""
    with pytest.raises(InputError):
        ask(Script([]), "softmax", [["a"]])
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_a_call_that_breaks_off_ends_its_spans(exporter: InMemorySpanExporter, failure: type[BaseException]) -> None:
    """What ends a call from outside ends its attempt, too."""

    def break_off(_: object) -> None:
        raise failure

    with GradientClient(URL, transport=break_off) as client, pytest.raises(failure):  # type: ignore[arg-type]  # it answers never
        client.softmax(LOGITS)
    attempt, call = exporter.get_finished_spans()
    assert [told(span)["error.type"] for span in (attempt, call)] == ["cancelled", "cancelled"]


def test_a_caller_that_does_not_trace_sends_nothing_of_it(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenTelemetry, or without a span, there is no header."""
    script = Script([softmax_reply()])
    ask(script, "softmax", LOGITS)
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    ask(script, "softmax", LOGITS)
    assert [set(request.headers) & {"traceparent", "tracestate"} for request in script.requests] == [set(), set()]


def test_a_call_loads_nothing() -> None:
    """A program that does not trace has nothing of OpenTelemetry after a call."""
    code = (
        "import sys; from gradient_client import GradientClient, HttpReply\n"
        "reply = HttpReply(200, {'Content-Type': 'application/json'}, b'{\"max_elements\": 64}')\n"
        "with GradientClient('http://a', transport=lambda _: reply) as client:\n"
        "    client.limits()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == (b"[]\n", b"")
