"""Traces as OpenTelemetry has them: a span for each request, made once it has ended, and below it one for each stage.

They say what the line in the log says, with the same ids and by the names of OpenTelemetry's conventions for HTTP.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from threading import Thread
from time import perf_counter_ns, time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from gradient_service.http.request_log import CUT_OFF, Passage
from gradient_service.http.timing import StageTiming
from gradient_service.http.trace_context import TraceContext

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER_METHOD = "_OTHER"
ATTRIBUTES = {
    "route": "http.route",
    "status": "http.response.status_code",
    "bytes_in": "http.request.body.size",
    "bytes_out": "http.response.body.size",
    "request_id": "gradient.request_id",
    "problem": "gradient.problem",
    "outcome": "gradient.outcome",
}
"""What the log tells, by its name there."""
CLOSE_SECONDS = 3.0
"""So long what is left may take to be sent at the end. A pod has five seconds beyond its drain."""

# W3C Trace Context, 3.3.1. What is malformed is left out here: the library would quote it in the log.
MEMBER = (
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
STATE = re.compile(rf"[ \t]*{MEMBER}[ \t]*(?:,[ \t]*{MEMBER}[ \t]*){{0,31}}")


class Traces:
    """Makes the spans of requests.

    Args:
        tracer: makes spans, and decides which are kept.
        close: sends what is left; told once, at the end.
    """

    def __init__(self, tracer: Tracer, close: Callable[[], None] = lambda: None) -> None:
        self._tracer = tracer
        self._close = close

    def trace(self, fields: Mapping[str, Any], passage: Passage) -> dict[str, str]:
        """Make the spans of a request that has ended, and return their ids for the log.

        Args:
            fields: what the log says of it.
            passage: when it was, and for whom.
        """
        now = time_ns()
        to_wall = now - perf_counter_ns()
        error = _error(fields)
        caller = Context() if passage.context is None else set_span_in_context(_caller(passage.context), Context())
        span = self._tracer.start_span(
            _name(fields),
            caller,
            SpanKind.SERVER,
            attributes=dict(_attributes(fields, passage, error)),
            start_time=to_wall + int(passage.start * 1e9),
        )
        if span.is_recording():
            if passage.timing is not None:
                self._trace_stages(passage.timing, set_span_in_context(span, Context()), to_wall)
            if error is not None:
                span.set_status(StatusCode.ERROR)
            span.end(now)
        return _ids(span.get_span_context(), passage.context)

    def _trace_stages(self, timing: StageTiming, above: Context, to_wall: int) -> None:
        begun = to_wall + timing.start
        for stage, nanoseconds in timing.stages.items():
            ended = begun + nanoseconds
            self._tracer.start_span(stage, above, start_time=begun).end(ended)
            begun = ended

    def close(self) -> None:
        """Send what is left, for some seconds at the most: the collector may be away."""
        closing = Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def _caller(context: TraceContext) -> NonRecordingSpan:
    """Return what stands for the caller's span."""
    state = context.state.decode("latin-1")
    return NonRecordingSpan(
        SpanContext(
            int(context.trace_id, 16),
            int(context.parent_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(context.flags),
            trace_state=TraceState.from_header([state]) if STATE.fullmatch(state) else None,
        )
    )


def _name(fields: Mapping[str, Any]) -> str:
    method = _method(fields)
    name = "HTTP" if method == OTHER_METHOD else method
    return f"{name} {fields['route']}" if "route" in fields else name


def _method(fields: Mapping[str, Any]) -> str:
    """Return the method; of one that HTTP has not, and of what was refused unread, only that it is another."""
    method: str = fields.get("method", "")
    return method if method in METHODS else OTHER_METHOD


def _error(fields: Mapping[str, Any]) -> str | None:
    """Return what failed by the service's own doing; None where nothing did, as where the caller was refused."""
    if fields["outcome"] == CUT_OFF:
        return CUT_OFF
    is_ours = fields.get("status", 0) >= HTTPStatus.INTERNAL_SERVER_ERROR
    return str(fields.get("problem", fields["status"])) if is_ours else None


def _attributes(fields: Mapping[str, Any], passage: Passage, error: str | None) -> Iterator[tuple[str, str | int]]:
    yield "http.request.method", _method(fields)
    yield "url.scheme", "http"
    if passage.path is not None:
        yield "url.path", passage.path
    if error is not None:
        yield "error.type", error
    for name, attribute in ATTRIBUTES.items():
        if name in fields:
            yield attribute, fields[name]
    timing = passage.timing
    if timing is not None and timing.dialect:
        yield "gradient.dialect", timing.dialect
        yield from zip(("gradient.batch_size", "gradient.num_classes"), timing.shape, strict=False)


def _ids(span: SpanContext, caller: TraceContext | None) -> dict[str, str]:
    parent = {} if caller is None else {"parent_id": caller.parent_id}
    return {"trace_id": format_trace_id(span.trace_id), **parent, "span_id": format_span_id(span.span_id)}
