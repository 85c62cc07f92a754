"""One call under way: its message, its clock, what has happened so far, and how to report it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from platform import python_version
from typing import TYPE_CHECKING

from ._events import Event, EventHook, EventKind, announce
from ._outputs import ContractError
from ._printable import printable
from ._problems import build_error
from ._protocol import Message
from ._replies import parse_server_timing
from ._settings import ClientSettings
from ._spans import CallSpan, current_context
from ._steps import Outcome
from ._transport import HttpReply, HttpRequest
from ._version import __version__
from .errors import DeadlineExceededError, ServiceError, TransportError
from .results import Attempt, Meta

if TYPE_CHECKING:
    from opentelemetry.context import Context

_USER_AGENT = f"gradient-client/{__version__} python/{python_version()}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the calls of one client share."""

    settings: ClientSettings
    on_event: EventHook | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class CallStart:
    """What all requests of one call share, be they attempts or chunks."""

    at: float
    """By the clock."""
    request_id: str = field(default_factory=lambda: os.urandom(16).hex())
    """One for all, so that the service's log shows them as one call."""
    context: Context | None = field(default_factory=current_context)
    """Where the caller stands in its trace."""


class Call:
    """One call under way.

    Args:
        operation: the method's name, for messages and events.
        message: what to send on each attempt.
        surroundings: settings, hook and clock.
        start: when the call began; now, if left out.
        timeout: seconds for the whole call; None is without limit.
    """

    def __init__(
        self,
        operation: str,
        message: Message,
        surroundings: Surroundings,
        *,
        start: CallStart | None = None,
        timeout: float | None = None,
    ) -> None:
        self.operation = operation
        self.attempts: list[Attempt] = []
        self._message = message
        self._surroundings = surroundings
        self._timeout = timeout
        start = start or CallStart(surroundings.clock())
        self.request_id = start.request_id
        self._started_at = start.at
        self._context = start.context
        self._span: CallSpan | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self._surroundings.clock() - self._started_at

    @property
    def remaining(self) -> float:
        """Seconds left; infinity without a limit."""
        return math.inf if self._timeout is None else self._timeout - self.elapsed

    def build_request(self, *, at_most: float = math.inf) -> HttpRequest:
        """The message with the headers of this attempt and the time left for it, in seconds."""
        settings = self._surroundings.settings
        seconds = max(0.0, min(self.remaining, at_most))
        headers = {
            "Accept": self._message.accept,
            # Numbers hardly compress; inflating would cost more than the network does.
            "Accept-Encoding": "identity",
            "User-Agent": _USER_AGENT,
            "X-Request-ID": self.request_id,
        }
        if self._message.media_type is not None:
            headers["Content-Type"] = self._message.media_type
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {settings.api_key}"
        if math.isfinite(seconds):
            headers["X-Request-Deadline-Ms"] = str(max(1, int(seconds * 1000)))
        limit = seconds if math.isfinite(seconds) else None
        message = self._message
        url = settings.base_url + message.path
        request = HttpRequest(message.method, url, headers, message.body, limit, message.max_reply_bytes)
        if self._span is None:
            return request
        traced = self._span.begin_attempt(request, message.path, len(self.attempts))
        return replace(request, headers=headers | traced)

    def check_size(self, reply: HttpReply) -> None:
        """Refuse a reply that is longer than any answer to the message; its reading was broken off there."""
        if len(reply.body) > self._message.max_reply_bytes:
            raise ContractError(f"the body is longer than the {self._message.max_reply_bytes} bytes of any answer")

    def begin(self) -> None:
        """Announce that it begins."""
        if self._context is not None:
            self._span = CallSpan(self.operation, self.request_id, self._context)
        self._tell("started")

    def end(self, outcome: str, *, is_error: bool) -> None:
        """Announce how it ended."""
        if self._span is not None:
            self._span.end(outcome if is_error else None)
        self._tell("done", outcome, self.elapsed)

    def wait(self, seconds: float) -> None:
        """Announce the wait before the next attempt."""
        if self._span is not None:
            self._span.tell_wait(seconds)
        self._tell("retry", seconds=seconds)

    def record(self, outcome: Outcome, *, started_after: float) -> None:
        """Note how an attempt went."""
        reply = outcome if isinstance(outcome, HttpReply) else None
        attempt = Attempt(
            number=len(self.attempts) + 1,
            status=reply.status if reply else None,
            failure=None if reply else _reason(outcome),
            started_after_seconds=started_after,
            elapsed_seconds=self.elapsed - started_after,
        )
        self.attempts.append(attempt)
        if self._span is not None:
            self._span.end_attempt(outcome)
        self._tell("attempt", self.last_outcome, attempt.elapsed_seconds)

    @property
    def last_outcome(self) -> str:
        """The status or failure of the last attempt, as text."""
        if not self.attempts:
            return "nothing sent"
        return self.attempts[-1].failure or str(self.attempts[-1].status)

    def _tell(self, kind: EventKind, outcome: str | None = None, seconds: float = 0.0) -> None:
        """Announce a step."""
        event = Event(kind, self.operation, self.request_id, len(self.attempts), outcome, seconds)
        announce(event, self._surroundings.on_event)

    def meta(self, reply: HttpReply) -> Meta:
        """What the result will say about the call."""
        return Meta(
            request_id=reply.header("X-Request-ID") or self.request_id,
            attempts=tuple(self.attempts),
            server_timing=parse_server_timing(reply.header("Server-Timing")),
            request_bytes=len(self._message.body),
            reply_bytes=len(reply.body),
        )

    def build_error(self, outcome: Outcome) -> ServiceError | TransportError:
        """The error that the last outcome would be if it stayed the last."""
        if not isinstance(outcome, HttpReply):
            return self._transport_error(outcome)
        error = build_error(outcome, request_id=self.request_id, now=time.time())
        error.attempts = tuple(self.attempts)
        return error

    def _transport_error(self, failure: OSError | None) -> TransportError:
        timed_out = isinstance(failure, TimeoutError)
        kind = DeadlineExceededError if timed_out else TransportError
        limit = f" within {self._timeout:g} s" if timed_out and self._timeout is not None else ""
        tries = "1 attempt" if len(self.attempts) == 1 else f"{len(self.attempts)} attempts"
        address = self._surroundings.settings.base_url
        sentence = f"{self.operation}: no reply from {address}{limit} after {tries} ({_reason(failure)})"
        return kind(
            f"{sentence} (request {self.request_id})",
            request_id=self.request_id,
            attempts=tuple(self.attempts),
        )


def _reason(failure: object) -> str:
    """Kind and words of a failure; some have no words."""
    return printable(f"{type(failure).__name__}: {failure}".removesuffix(": "))
