"""Spans of calls, for a caller that traces with OpenTelemetry.

A program that traces has imported OpenTelemetry by the time it calls. So this looks whether it is there, and nothing
more: it is no dependency, nothing here loads it first, and where it is not, a call pays for a look into a dictionary.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ._transport import HttpReply, HttpRequest
from ._version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind

_PORTS = {"http": 80, "https": 443}


def current_context() -> Context | None:
    """Where the caller stands in its trace; None for one that does not trace."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry.context import get_current  # noqa: PLC0415 - the caller's

    return get_current()


class CallSpan:
    """The span of a call, and below it one of each attempt.

    Args:
        operation: the method's name.
        request_id: the id that the service logs.
        above: where the caller stands.
    """

    def __init__(self, operation: str, request_id: str, above: Context) -> None:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - the caller's

        self._kinds = SpanKind
        self._span = _begin(operation, above, SpanKind.INTERNAL, {"gradient.request_id": request_id})
        self.context = _below(self._span, above)
        """Where what the call does stands."""
        self._attempt: Span | None = None

    def begin_attempt(self, request: HttpRequest, path: str, resends: int) -> dict[str, str]:
        """Begin an attempt; returned are the headers by which the service continues the trace.

        Args:
            request: what is sent.
            path: below the service's address.
            resends: how many attempts there were before.
        """
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - the caller's
            TraceContextTextMapPropagator,
        )

        address = urlsplit(request.url)
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "url.full": request.url,
            "url.template": path,
            "server.address": address.hostname or "",
            "server.port": address.port or _PORTS[address.scheme],
        }
        if resends:
            attributes["http.request.resend_count"] = resends
        self._attempt = _begin(f"{request.method} {path}", self.context, self._kinds.CLIENT, attributes)
        headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(headers, _below(self._attempt, self.context))
        return headers

    def end_attempt(self, outcome: HttpReply | OSError | None) -> None:
        """End the attempt with the reply, or with what took its place."""
        span, self._attempt = self._attempt, None
        if span is None:
            return
        if not isinstance(outcome, HttpReply):
            _fail(span, type(outcome).__name__)
        else:
            span.set_attribute("http.response.status_code", outcome.status)
            if outcome.is_error:
                _fail(span, str(outcome.status))
        span.end()

    def tell_wait(self, seconds: float) -> None:
        """Note that the call waits before its next attempt."""
        self._span.add_event("retry", {"gradient.wait_seconds": seconds})

    def end(self, error: str | None) -> None:
        """End the call, and an attempt that was given up with it.

        Args:
            error: kind of what went wrong, None if nothing did.
        """
        if self._attempt is not None:
            _fail(self._attempt, "cancelled")
            self._attempt.end()
        if error is not None:
            _fail(self._span, error)
        self._span.end()


@contextmanager
def spanning(operation: str, request_id: str, above: Context | None) -> Generator[Context | None]:
    """One span around several calls; given is where they stand, None for a caller that does not trace."""
    if above is None:
        yield None
        return
    span = CallSpan(operation, request_id, above)
    error: str | None = "cancelled"
    try:
        yield span.context
        error = None
    except Exception as failure:
        error = type(failure).__name__
        raise
    finally:
        span.end(error)


def _begin(name: str, above: Context, kind: SpanKind, attributes: dict[str, str | int]) -> Span:
    from opentelemetry import trace  # noqa: PLC0415 - the caller's

    return trace.get_tracer("gradient_client", __version__).start_span(name, above, kind, attributes)


def _below(span: Span, above: Context) -> Context:
    from opentelemetry import trace  # noqa: PLC0415 - the caller's

    return trace.set_span_in_context(span, above)


def _fail(span: Span, kind: str) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - the caller's

    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
