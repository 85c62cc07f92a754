"""What stands between a socket and the HTTP parser: bounds on bytes, and a turn for what is parsed.

uvicorn reads and answers; this watches how much of a message arrives, and `timed.py` for how long. What the parser does
not see of a body goes by `bodies.py`.
"""

from asyncio import Transport
from functools import partial
from time import monotonic
from typing import Any

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gradient_service.http.admission import READ_AHEAD_BYTES
from gradient_service.http.message_rules import SWALLOWED_BYTES
from gradient_service.server.bodies import BodyProtocol
from gradient_service.server.receipt import Receipt
from gradient_service.server.resting import read_now
from gradient_service.server.unread import Unread

MAX_PIPELINED = 32
"""Where so many requests wait behind one of their connection, what follows stays bytes: parsed, the shortest take a
hundred times as many."""
NO_VERSION = "0.0"
"""What the parser says before it has read one."""
PARSED_BYTES = 1024
"""How much is parsed between two looks at that."""


class GuardedProtocol(BodyProtocol):
    """A connection whose messages have bounded heads and framing, and calls their turn."""

    max_header_bytes: int
    """Set by `repeating_protocol`."""

    _descriptor: int
    _unread: Unread

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._behind = b""
        """What arrived behind many requests that wait, or behind one that was refused where the connection rests."""
        self._is_due = False
        """Whether a call that begins has had its turn."""
        self._has_stood = False
        """Whether it has stood in the line, and so is turned away no more."""
        self._known: dict[str, Any] = {}
        """What is known of the message that is parsed next, which began before."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """Count what the other side does not read."""
        super().connection_made(transport)
        self._descriptor = transport.get_extra_info("socket").fileno()
        self._unread = Unread(transport, self.readiness.admission, self.loop)
        transport.set_write_buffer_limits(high=0)  # however little it is that the other side does not read, it is known

    def connection_lost(self, exc: Exception | None) -> None:
        """Have nothing left to be read."""
        self._unread.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Count what the other side has not read yet, and wait for it only so long."""
        super().pause_writing()
        self._unread.begin()

    def resume_writing(self) -> None:
        """Count it no more."""
        super().resume_writing()
        self._unread.end()

    def data_received(self, data: bytes | memoryview) -> None:
        """Parse what arrived, or pass over it where the connection is being closed."""
        if self._closing.swallows(data) or self._put_off is not None:
            return
        if self._unparsed is not None:
            data = self._take(self._unparsed, data)
        if self._behind:
            self._behind += data
        elif data:
            self._parse(data)
        self._watch()

    def _parse(self, data: bytes | memoryview) -> None:
        """Parse what arrived, and see to what is too much of it."""
        try:
            data = self._feed_some(data)
        except HttpParserError:
            self._refuse("malformed-http", "This is no HTTP/1.1 message.")
            return
        if self._receipt.phase == "head":
            self._check_head()
            self._check_version(data)
        elif self._receipt.phase == "body":
            self._check_framing()
            if self._is_answered:
                self._begin_discard()

    def _feed_some(self, data: bytes | memoryview) -> bytes | memoryview:
        """Parse until many requests wait, or the connection rests, and keep what follows; return what was parsed.

        Or until a body has too much around it, and drop what follows. A body that has begun is parsed to its end: what
        reads that past the parser knows nothing of what is kept.
        """
        for start in range(0, len(data), PARSED_BYTES):
            has_enough = self._is_resting or len(self.pipeline) >= MAX_PIPELINED
            if has_enough and self._receipt.phase != "body":
                self._behind = bytes(data[start:])
                self.flow.hold()
                return data[:start]
            receipt, before = self._receipt, self._receipt.body_bytes
            piece = data[start : start + PARSED_BYTES]
            self._feed(piece)
            if self._receipt is receipt and receipt.phase == "head":  # what it began in is more of messages before it
                receipt.head_bytes += len(piece)
            if self._receipt is receipt and receipt.phase == "body":
                receipt.framing_bytes = receipt.framing_bytes + len(piece) if receipt.body_bytes == before else 0
                if receipt.framing_bytes > self.max_header_bytes:
                    break
        return data

    def eof_received(self) -> None:
        """End a connection that was only kept to be read."""
        if self._closing.is_closing():
            self.transport.close()

    def on_message_begin(self) -> None:
        """Note that a head arrives."""
        self._unset_keepalive_if_required()
        super().on_message_begin()
        self._receipt = Receipt("head", self.loop.time() if self._is_used else self._receipt.since)

    def on_headers_complete(self) -> None:
        """Note that the body is to arrive, and answer through a transport that ends gently."""
        if self.parser.should_upgrade():
            return
        self._check_target()
        self.scope["state"].update({"arrived_at": monotonic(), **self._known})
        self._known = {}
        fields = dict(self.headers)
        declared = None if b"transfer-encoding" in fields else int(fields.get(b"content-length", 0))
        self._receipt = Receipt("body", self.loop.time(), declared_bytes=declared)
        if not self._has_stood and self._has_no_room(fields, declared):
            self._refuse_call(declared or 0)
        else:
            self.expect_100_continue &= self.parser.get_http_version() != "1.0"  # whose callers know no such answer
            super().on_headers_complete()
            self.cycle.transport = self._closing  # type: ignore[assignment]  # it has what a reply needs

    def on_body(self, body: bytes) -> None:
        """Count the body; end the connection when nobody reads it and too much of it comes."""
        self._receipt.body_bytes += len(body)
        if not self._is_answered:
            super().on_body(body)
        elif self._receipt.body_bytes > SWALLOWED_BYTES:
            self.transport.close()

    def on_message_complete(self) -> None:
        """Note that nothing is waited for."""
        if self.parser.should_upgrade():
            return
        if self._is_answered:
            self._keep_alive_for(self.timeout_keep_alive)
            if self._is_refused:
                self._is_refused = False
                self._rest(self._receipt.declared_bytes or 0)
            else:
                self._rest_if_told()
        else:
            super().on_message_complete()
        self._receipt = Receipt()
        self._is_used = True

    def on_response_complete(self) -> None:
        """Go on with what came behind the requests that wait."""
        super().on_response_complete()
        self._go_on()

    def resume(self) -> None:
        """Go on, unless what has arrived is refused, and has the connection rest again.

        That is read here where a message begins: to have the event loop begin to read and end again takes as long as to
        refuse what it reads. The rest of a body belongs in its place.
        """
        super().resume()
        is_between = self._receipt.phase == "idle" and not self._behind and not self._closing.is_closing()
        data = read_now(self._descriptor) if is_between else b""
        if not data:
            self._read_on()
            return
        self.data_received(data)
        if not self._is_resting:
            self.loop.call_soon(self._read_on)  # what was asked begins before the other side's end is read

    def _read_on(self) -> None:
        if not self._is_resting:
            self.flow.let_go()
            self._go_on()

    def _go_on(self) -> None:
        if self._is_resting or self._put_off is not None or self._closing.is_closing():
            return
        behind, self._behind = self._behind, b""
        if behind:
            self.flow.let_go()
            GuardedProtocol._parse(self, behind)
            self._watch()

    @property
    def wants_much(self) -> bool:
        """Whether a body arrives that is read."""
        return self._receipt.phase == "body" and not self._is_answered

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Have a call answered in its turn, and at once who asks for anything else, as for health."""
        admission = self.readiness.admission
        body_bytes = self._receipt.declared_bytes if cycle.more_body else len(cycle.body)
        is_worked_on = admission.expect(body_bytes)

        async def counted(scope: Any, _: Any, send: Any) -> None:
            is_worked_on()
            await app(scope, partial(self._receive, cycle), send)

        self._running = cycle
        begin = partial(super()._start_asgi_task, cycle, counted)
        if cycle.scope["method"] != "POST" or self._is_due:
            begin()
        elif not self._has_stood and admission.line.turns_away(self._waited_seconds):
            cycle.scope["state"]["has_no_room"] = True
            begin()
        else:
            num_bytes = min(body_bytes or 0, READ_AHEAD_BYTES)
            admission.line.join(lambda _: begin(), None, self.loop.call_soon, num_bytes=num_bytes)

    def _check_head(self) -> None:
        if self._receipt.head_bytes <= self.max_header_bytes:
            return
        slug = "uri-too-long" if len(self.url) > self.max_header_bytes else "headers-too-large"
        self._refuse(slug, f"The limit is {self.max_header_bytes} bytes.")

    def _check_version(self, data: bytes | memoryview) -> None:
        """Refuse a first line that ends behind its target, as of HTTP/0.9: the parser would wait for what follows."""
        if self.url and data[-1:] == b"\n" and self.parser.get_http_version() == NO_VERSION:
            self._refuse("malformed-http", "The first line names no version.")

    def _check_framing(self) -> None:
        if self._receipt.framing_bytes > self.max_header_bytes:
            self._refuse("headers-too-large", f"The limit is {self.max_header_bytes} bytes, behind a body too.")
