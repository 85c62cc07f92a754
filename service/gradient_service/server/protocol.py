"""What stands between a socket and the HTTP parser: bounds on time and bytes, and problems for what cannot be parsed.

uvicorn reads and answers; this watches how long and how much a message takes to arrive, and ends connections gently:
a caller still sending gets to read why it was refused.
"""

from asyncio import TimerHandle, Transport
from typing import Any
from uuid import uuid4

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gradient_service.http import problems, request_log
from gradient_service.http.message_rules import SWALLOWED_BYTES
from gradient_service.http.request_id import request_id_of
from gradient_service.schemas.problem import Problem, Slug
from gradient_service.server.receipt import Receipt

LINGER_SECONDS = 1.0
"""A connection that is being closed is read this long, so that what was sent last is not lost to a reset."""

IDLE_SECONDS = 1.0
"""When the listener has closed, an idle connection is kept this long: a request may be on its way."""
VERSIONS = frozenset({"1.0", "1.1"})


class GuardedProtocol(HttpToolsProtocol):
    """One connection: uvicorn's protocol with receipt deadlines, bounded heads, and gentle ends."""

    max_header_bytes = 32 * 1024
    """As in the settings; `guarded_protocol` sets it."""

    _closing: "ClosingTransport"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._receipt = Receipt()
        self._timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """Start to wait for the first message."""
        super().connection_made(transport)
        self._closing = ClosingTransport(self, transport)
        self._receipt = Receipt(since=self.loop.time())
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._unwatch()
        self.note_departure()
        super().connection_lost(exc)

    def note_departure(self) -> None:
        """Have the log say of a reply that is under way that nobody gets it."""
        if self._unanswered is not None:
            self._unanswered.scope["state"]["has_left"] = True

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, or pass over it where the connection is being closed."""
        if self._closing.swallows(data):
            return
        self._unset_keepalive_if_required()
        if self._receipt.phase == "idle":
            self._receipt = Receipt(since=self.loop.time())
        try:
            self._feed(data)
        except HttpParserError:
            self._refuse("malformed-http", "This is no HTTP/1.1 message.")
            return
        if self._receipt.phase == "head":
            self._receipt.head_bytes += len(data)
            self._check_head()
        self._watch()

    def _feed(self, data: bytes) -> None:
        """Parse; where the message asks for another protocol, parse it again as one that does not.

        The parser would leave the body unread. HTTP clients of Java ask for HTTP/2 in every first message.
        """
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if self.parser.get_method() == b"CONNECT":  # which asks for a tunnel, and names no path
                raise HttpParserError from None
            head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
            for name, value in self.headers:
                head += [name, b": ", value, b"\r\n"] if name != b"upgrade" else []
            self.parser = HttpRequestParser(self)
            self.parser.feed_data(b"".join([*head, b"\r\n", data[upgrade.args[0] :]]))

    def eof_received(self) -> None:
        """End a connection that was only kept to be read."""
        if self._closing.is_closing():
            self.transport.close()

    def on_message_begin(self) -> None:
        """Note that a head arrives."""
        super().on_message_begin()
        self._receipt = Receipt("head", self._receipt.since or self.loop.time())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field without the blanks around its value, which are none of it."""
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """Note that the body is to arrive, and answer through a transport that ends gently."""
        if self.parser.should_upgrade():
            return
        self._check_target()
        super().on_headers_complete()
        lengths = [value for name, value in self.headers if name == b"content-length"]
        is_chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
        declared = None if is_chunked else int(lengths[0]) if lengths else 0
        self._receipt = Receipt("body", self.loop.time(), declared_bytes=declared)
        self.cycle.transport = self._closing  # type: ignore[assignment]  # it has what a reply needs

    def on_body(self, body: bytes) -> None:
        """Count the body; end the connection when nobody reads it and too much of it comes."""
        self._receipt.body_bytes += len(body)
        super().on_body(body)
        if self.cycle.response_complete and self._receipt.body_bytes > SWALLOWED_BYTES:
            self.transport.close()

    def on_message_complete(self) -> None:
        """Note that nothing is waited for."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._receipt = Receipt()

    def shutdown(self) -> None:
        """End the connection with the reply that is under way, or with that to a request which is on its way."""
        if self._unanswered is None:
            self.loop.call_later(IDLE_SECONDS, self._end_if_idle)
        else:
            super().shutdown()

    @property
    def _unanswered(self) -> RequestResponseCycle | None:
        """The request whose reply is under way, or waited for."""
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _end_if_idle(self) -> None:
        if self._receipt.phase == "idle":
            super().shutdown()

    def _check_target(self) -> None:
        """Raise unless the version is spoken, and the target is a path, `*`, or names the host that Host does."""
        if self.parser.get_http_version() not in VERSIONS:
            raise HttpParserError
        if self.url.startswith(b"/") or self.url == b"*":
            return
        authority = self.url.partition(b"://")[2].partition(b"/")[0]
        if [authority] != [value for name, value in self.headers if name == b"host"]:
            raise HttpParserError

    def _check_head(self) -> None:
        if self._receipt.head_bytes <= self.max_header_bytes:
            return
        slug = "uri-too-long" if len(self.url) > self.max_header_bytes else "headers-too-large"
        self._refuse(slug, f"The limit is {self.max_header_bytes} bytes.")

    def _watch(self) -> None:
        """Have a timer run where something is waited for, and none elsewhere."""
        is_used = self.cycle is not None  # uvicorn itself ends used connections that are idle
        if self._receipt.phase == "idle" and is_used:
            self._unwatch()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_at(self._receipt.deadline, self._look_at_the_clock)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self.loop.time() < self._receipt.deadline:
            self._watch()
        elif self._receipt.phase == "idle":
            self.transport.close()
        else:
            self._refuse("request-timeout", f"The {self._receipt.phase} of the message did not arrive in time.")

    def _refuse(self, slug: str, detail: str) -> None:
        """Answer with a problem and end the connection; a reply under way is let finish, and is the last one."""
        self._unwatch()
        if self.pipeline:
            self.transport.close()
            return
        cycle = self._unanswered
        if cycle is not None and (cycle.response_started or not cycle.more_body):
            cycle.keep_alive = False
            return
        error = problems.problem_error(slug, detail)
        request_id = self._tell_unread(error.code) if cycle is None else self._give_up(cycle, error.code)
        self.transport.write(_reply(problems.problem_of([error], self.url.decode("latin-1"), request_id)))
        self._closing.close()

    def _give_up(self, cycle: RequestResponseCycle, slug: Slug) -> str:
        """End the reading of a request, and return its id; its own line in the log tells why."""
        scope: Scope = dict(cycle.scope)
        scope["state"]["problem"] = slug
        cycle.disconnected = True
        cycle.message_event.set()
        return request_id_of(scope)

    def _tell_unread(self, slug: Slug) -> str:
        """Log a message that never became a request, and return an id for it."""
        request_id = uuid4().hex
        request_log.tell_unread(slug, self.loop.time() - self._receipt.since, request_id)
        return request_id


def _reply(problem: Problem) -> bytes:
    content = problems.problem_bytes(problem)
    fields = {
        "content-type": problems.MEDIA_TYPE,
        "content-length": str(len(content)),
        "connection": "close",
        "x-content-type-options": "nosniff",
        "x-request-id": problem.request_id,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    return STATUS_LINE[problem.status] + head + b"\r\n" + content


class ClosingTransport:
    """A connection's transport whose `close` first lets the other side read what was sent, and swallows the rest."""

    def __init__(self, protocol: GuardedProtocol, transport: Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self._swallowed: int | None = None

    def write(self, data: bytes) -> None:
        """Send; after the other side has gone, to nobody, which the connection itself learns only later."""
        if self._transport.is_closing():
            self._protocol.note_departure()
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Return whether nothing will be sent any more."""
        return self._swallowed is not None or self._transport.is_closing()

    def close(self) -> None:
        """End the sending side; the connection ends with the other side's end, or after a while."""
        if self.is_closing():
            return
        self._swallowed = 0
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._protocol.flow.resume_reading()
        self._protocol.loop.call_later(LINGER_SECONDS, self._transport.close)

    def swallows(self, data: bytes) -> bool:
        """Return whether the connection is being closed and these bytes are passed over; beyond some, none is read."""
        if self._swallowed is None:
            return False
        self._swallowed += len(data)
        if self._swallowed > SWALLOWED_BYTES:
            self._transport.pause_reading()
        return True


def guarded_protocol(max_header_bytes: int) -> type[GuardedProtocol]:
    """Return the protocol with the bounds of a service's settings."""
    return type("GuardedProtocol", (GuardedProtocol,), {"max_header_bytes": max_header_bytes})
