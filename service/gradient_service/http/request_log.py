"""One line in the log for each request: how it ended and what it cost, and nothing of what it held."""

import logging
from asyncio import get_running_loop
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from time import monotonic, perf_counter
from typing import Any, NamedTuple, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gradient_service.core.records import record
from gradient_service.http import request_id
from gradient_service.http.problem_types import PROBLEM_TYPES
from gradient_service.http.problems import MAX_INSTANCE_LENGTH, printable
from gradient_service.http.request_id import request_id_of
from gradient_service.http.timing import StageTiming
from gradient_service.http.trace_context import TraceContext, context_of
from gradient_service.schemas.problem import Slug

MAX_METHOD_LENGTH = 20
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
"""Beside every reply: a browser takes it for what its type says."""
TOGETHER_SECONDS = 0.01
"""What the server tells waits this long for more: to tell many takes little longer than to tell one.

Beside threads that compute most of all, which leave the caches empty for whoever comes next.
"""
ANSWERED, CLIENT_LEFT, CUT_OFF = "answered", "client-left", "cut-off"
LEVELS: dict[int, int] = {
    HTTPStatus.INTERNAL_SERVER_ERROR: logging.ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE: logging.WARNING,
    HTTPStatus.GATEWAY_TIMEOUT: logging.WARNING,
}
"""Of the answers that an operator should look at; what callers do wrong is not among them."""

logger = logging.getLogger("gradient_service.requests")


@record()
class Passage:
    """What the trace of a request needs beside its line in the log."""

    start: float
    """When it began, as `perf_counter` says."""
    context: TraceContext | None = None
    """The trace that its caller tells."""
    path: str | None = None
    timing: StageTiming | None = None
    """Of a call."""

    @property
    def milliseconds(self) -> float:
        """How long it has taken until now."""
        return round((perf_counter() - self.start) * 1000, 3)


def began_at(arrived_at: float) -> float:
    """Return as `perf_counter` says when something began, as `monotonic` says."""
    return perf_counter() - (monotonic() - arrived_at)


Fields = dict[str, Any]
"""What the line of a request says."""


class Told(NamedTuple):
    """What is told of a request that has ended."""

    fields: Fields
    timing: StageTiming | None
    """Of a call."""


class Counts(Protocol):
    """What counts the requests that are told."""

    def count(self, told: Sequence[Told]) -> None:
        """Count each of some requests."""

    def count_refused(self, milliseconds: Sequence[float]) -> None:
        """Count some calls that there was no room for, by how long each took."""


Trace = Callable[[Mapping[str, Any], Passage], dict[str, str]]
"""Told of a request when it has ended, and answers the ids of its trace and its span, and its caller's."""


def caller_ids(_: Mapping[str, Any], passage: Passage) -> dict[str, str]:
    """Return the ids of a request that no span is made of, none where its caller tells of no trace."""
    return {} if passage.context is None else passage.context.ids


class RequestLog:
    """What is told of each request: a line, and the same to who counts.

    Args:
        counts: told what the lines say.
        trace: told what one says, and when it was.
    """

    def __init__(self, counts: Counts, trace: Trace = caller_ids) -> None:
        self._counts = counts
        self._trace = trace
        self._untold: list[Told] = []
        self._refused: list[tuple[float, str]] = []
        """Calls that there was no room for and of which no trace is told: how long each took, and its id."""

    def tell(self, fields: Fields, passage: Passage) -> None:
        """Tell what is known of a request."""
        self._tell([self._told(fields, passage)])

    def _tell_soon(self, fields: Fields, passage: Passage) -> None:
        self._wait_for_more()
        self._untold.append(self._told(fields, passage))

    def _wait_for_more(self) -> None:
        if not self._untold and not self._refused:
            get_running_loop().call_later(TOGETHER_SECONDS, self.tell_untold)

    def _told(self, fields: Fields, passage: Passage) -> Told:
        fields.update(self._trace(fields, passage))
        return Told(fields, passage.timing)

    def tell_untold(self) -> None:
        """Tell what waits to be told together."""
        told, self._untold = self._untold, []
        refused, self._refused = self._refused, []
        if refused:
            _log(logging.WARNING, [{**REFUSED, "duration_ms": took, "request_id": name} for took, name in refused])
        self._tell(told)
        if refused:
            self._counts.count_refused([took for took, _ in refused])

    def _tell(self, told: Sequence[Told]) -> None:
        for level, alike in groupby((each.fields for each in told), _level):
            _log(level, [*alike])
        self._counts.count(told)  # last: a worker's first count opens a file, and where no descriptor is left it fails

    def tell_repeated(self, route: str, num_bytes: tuple[int, int | None], request_id: str, passage: Passage) -> None:
        """Tell of a call that was answered without the application.

        Args:
            route: its path.
            num_bytes: of its body, as far as it has arrived, and of its reply; None where the caller had left.
            request_id: its id.
            passage: when it was, and for whom.
        """
        bytes_in, bytes_out = num_bytes
        self._tell_soon(
            {
                "method": "POST",
                "route": route,
                **({"outcome": CLIENT_LEFT} if bytes_out is None else {"status": 200, "outcome": ANSWERED}),
                "duration_ms": passage.milliseconds,
                "bytes_in": bytes_in,
                "bytes_out": bytes_out or 0,
                "request_id": request_id,
            },
            passage,
        )

    def tell_unread(self, slug: Slug, request_id: str, passage: Passage) -> None:
        """Tell of a message that was refused before it could be read as a request."""
        self._tell_soon({**_refused(slug), "duration_ms": passage.milliseconds, "request_id": request_id}, passage)

    def tell_refused(self, request_id: str, passage: Passage) -> None:
        """Tell the same of a call that there was no room for: of thousands, less is made for each."""
        if self._trace is not caller_ids or passage.context is not None:
            self.tell_unread(Slug.OVERLOADED, request_id, passage)
            return
        self._wait_for_more()
        self._refused.append((passage.milliseconds, request_id))


class RequestLogMiddleware:
    """Gives every reply the request's id, and the log its line once the reply has been sent, or cannot be."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self.app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell how it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = ToldExchange(scope, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        finally:
            passage = exchange.passage()
            self._log.tell(exchange.told(passage), passage)


class ToldExchange:
    """One request and its reply, counted on their way."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._request_id = request_id_of(scope)
        self._scope = scope
        self._state: dict[str, Any] = scope["state"]
        arrived_at = self._state.get("arrived_at")  # as the server says, which may have had it wait
        self._start = perf_counter() if arrived_at is None else began_at(arrived_at)
        self._receive = receive
        self._send = send
        self._status: int | None = None
        self._bytes_in = self._bytes_out = 0
        self._is_sent = False

    async def receive(self) -> Message:
        """Receive a part of the body, or the news that the caller has left."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes_in += len(message.get("body", b""))
        elif not self._is_sent:
            self._state["has_left"] = True
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the reply; what is sent to nobody is not counted."""
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (request_id.FIELD, self._request_id.encode()), NO_SNIFFING]
        await self._send(message)
        if "has_left" in self._state:
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
        else:
            self._bytes_out += len(message.get("body", b""))
            self._is_sent = not message.get("more_body", False)

    def passage(self) -> Passage:
        """When it was, and for whom."""
        scope = self._scope
        path = printable(scope["path"], MAX_INSTANCE_LENGTH)
        return Passage(self._start, context_of(scope), path, self._state.get("timing"))

    def told(self, passage: Passage) -> Fields:
        """What is known of it now."""
        scope = self._scope
        route = scope.get("route")
        return {
            "method": printable(scope["method"], MAX_METHOD_LENGTH),
            **({"path": passage.path} if route is None else {"route": route.path}),
            **self._ending(self._state.get("problem")),
            "duration_ms": passage.milliseconds,
            "bytes_in": max(self._bytes_in, self._state.get("arrived_bytes", 0)),
            "bytes_out": 0 if scope["method"] == "HEAD" else self._bytes_out,
            "request_id": self._request_id,
        }

    def _ending(self, slug: Slug | None) -> dict[str, Any]:
        if slug is not None:
            return _refused(slug)
        outcome = CLIENT_LEFT if "has_left" in self._state else ANSWERED if self._is_sent else CUT_OFF
        return {"outcome": outcome} if self._status is None else {"status": self._status, "outcome": outcome}


def _log(level: int, lines: list[Fields]) -> None:
    """Log as `logger.log` does, but for its search of the stack for the caller, which no line says."""
    if logger.isEnabledFor(level):
        logger.handle(logging.LogRecord(logger.name, level, "", 0, lines, None, None))


def _level(fields: Fields) -> int:
    return logging.ERROR if fields["outcome"] == CUT_OFF else LEVELS.get(fields.get("status", 0), logging.INFO)


def _refused(slug: Slug) -> dict[str, Any]:
    return {"status": PROBLEM_TYPES[slug].status, "problem": slug, "outcome": ANSWERED}


REFUSED = _refused(Slug.OVERLOADED)
