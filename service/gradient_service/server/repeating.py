"""A connection on which the same head comes again and again, as clients send it.

The first call with a head takes the way through the parser, the framework and all checks. Where it was answered, what
its head settled is kept (`known_heads.py`), and the next one needs no more than its body read. Whatever is out of the
ordinary takes the long way after all: what is wrong is told there alone.
"""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gradient_service.http.body import LARGE_BYTES
from gradient_service.http.exchange import Written
from gradient_service.http.health import Readiness
from gradient_service.http.problems import HttpProblemError
from gradient_service.http.repeats import Answer, Repeated, answered
from gradient_service.http.request_id import FIELD as REQUEST_ID
from gradient_service.http.request_log import NO_SNIFFING, Passage, RequestLog
from gradient_service.server.keeping import KeptProtocol
from gradient_service.server.known_heads import Head, KnownHeads, can_come_again, head_of
from gradient_service.server.receipt import Receipt
from gradient_service.server.refusals import overload_refusal
from gradient_service.server.refusing import DISCARDED_BYTES
from gradient_service.server.repeat import Repeat
from gradient_service.server.resting import Resting
from gradient_service.settings import Settings

CLOSE = (b"connection", b"close")
LEAST_SHARE = 1 / 32
TOGETHER_BYTES = 1024 * 1024
"""Bodies that are worked on together: so many, and no more bytes than keep health waiting for some milliseconds.

Of JSON half as many bytes.
"""


class RepeatingProtocol(KeptProtocol):
    """The guarded protocol, with a short way for calls whose head is known."""

    max_header_fields: int
    heads: KnownHeads

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head: Head | None = None
        """Of the message that is parsed next, where it came in one piece."""
        self._repeat: Repeat | None = None
        """A call on its short way: its body arrives, or it waits for its turn."""
        self._is_refused_by_known_head = False
        """Whether the message that is arriving was refused by a head that no parser has seen."""

    @property
    def _has_call(self) -> bool:
        """Whether a call's body arrives, or it waits for its turn."""
        return self._repeat is not None

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up a call whose body will not arrive; one that waits is told in its turn."""
        repeat = self._repeat
        if repeat is not None and not repeat.body.is_whole:
            self._end(repeat)
            self._tell_left(repeat)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Have a call whose body still arrives go on the long way, which tells it where the service ends before it."""
        if self._repeat is not None and not self._repeat.body.is_whole:
            self._send_on(self._repeat)
        super().shutdown()

    def _parse(self, data: bytes | memoryview) -> None:
        """Parse what arrived, or keep it where it lies behind a call that waits for its turn."""
        if self._repeat is not None:
            self._repeat.behind += data
            self.flow.pause_reading()
            return
        if self._receipt.phase == "idle" and self._unanswered is None:
            message = bytes(data)
            self._head = head = head_of(message)
            if head is not None and self._is_begun(head, message):
                return
        super()._parse(data)

    def _is_begun(self, head: Head, message: bytes) -> bool:
        """Begin the short way of a call, unless there is none, or no room, or another call is close behind it."""
        known = self.heads.find(head)
        arrived = len(message) - head.size
        is_draining = self.readiness.lifecycle.is_draining  # what it cuts off is told so on the long way
        if known is None or arrived > head.body_bytes or is_draining or not self._is_within_bounds(head):
            return False
        if self.readiness.refuses(head.body_bytes, self._waited_seconds):
            return not known.is_last and self._is_refused_at_once(head, arrived)
        if head.body_bytes > known.settled.most_bytes:
            return False
        if arrived < head.body_bytes:
            try:
                self.readiness.admission.reserve(head.body_bytes)
            except HttpProblemError:
                return False
            self._receipt = Receipt("body", self.loop.time(), 0, arrived, head.body_bytes)
        self._is_used = True
        self._repeat = repeat = Repeat.begun(known, head, message)
        if repeat.body.is_whole:
            self._wait_for_turn(repeat)
            return True
        self._unparsed = repeat.body
        if head.deadline_ms is not None:
            repeat.overdue = self.loop.call_later(head.deadline_ms / 1000, self._send_on, repeat)
        return True

    def _is_within_bounds(self, head: Head) -> bool:
        """Return whether a head is, however its fields are counted; what is read of it is known to be right."""
        return head.size + head.num_fields <= self.max_header_bytes and head.num_fields <= self.max_header_fields

    def _is_refused_at_once(self, head: Head, arrived: int) -> bool:
        """Refuse a call, unless its body is too long to be passed over, or the caller does not read what it is told."""
        if head.body_bytes > DISCARDED_BYTES or self.flow.write_paused:
            return False
        request_id = head.request_id
        self._closing.flush()
        self.transport.write(overload_refusal(head.target, request_id))
        self.log.tell_refused(request_id, Passage(perf_counter(), head.trace))
        if arrived < head.body_bytes:
            self._is_refused = self._is_refused_by_known_head = True
            self._receipt = Receipt("body", self.loop.time(), 0, arrived, head.body_bytes)
            self._begin_discard()
        else:
            self._note_reply()
            self._rest(head.body_bytes)
        return True

    def _end_unparsed(self) -> None:
        """Have a call whose body has arrived wait for its turn, and expect the next message behind one refused."""
        if self._repeat is not None:
            self._receipt = Receipt()
            self._wait_for_turn(self._repeat)
        elif self._is_refused_by_known_head:
            self._is_refused = self._is_refused_by_known_head = False
            body_bytes, self._receipt = self._receipt.declared_bytes or 0, Receipt()
            self._note_reply()
            self._rest(body_bytes)
        else:
            super()._end_unparsed()

    def _wait_for_turn(self, repeat: Repeat) -> None:
        if repeat.overdue is not None:
            repeat.overdue.cancel()
        num_bytes = len(repeat.body.content)
        share = max(LEAST_SHARE, num_bytes * (1 if repeat.settled.exchange.is_binary else 2) / TOGETHER_BYTES)
        self.readiness.admission.line.join(answer_together, (self, repeat), self.loop.call_soon, share, num_bytes)

    def is_ordinary(self, repeat: Repeat) -> bool:
        """Return whether a call whose turn has come can be answered on its short way; send it on the other if not."""
        self._end(repeat)
        if self.transport.is_closing():
            self._tell_left(repeat)
        elif repeat.behind or self.flow.write_paused or self.readiness.lifecycle.is_draining:
            self.take_long_way(repeat)
        else:
            return True
        return False

    def _send_on(self, repeat: Repeat) -> None:
        """Have a call whose deadline has passed while its body arrives told so on the long way."""
        receipt = self._receipt
        self._end(repeat)
        self._known = repeat.known_state
        super()._parse(repeat.message)
        if self._receipt.phase == "body":  # and not refused and passed over by now
            self._receipt = receipt

    def take_long_way(self, repeat: Repeat) -> None:
        """Have a call answered as if its head were not known.

        A large one is at once, as its memory is reserved no more, and one whose deadline has passed.
        """
        self.flow.resume_reading()
        self._is_due = len(repeat.body.content) > LARGE_BYTES or repeat.seconds_left <= 0
        self._known = repeat.known_state
        self._has_stood = True
        super()._parse(repeat.message)
        self._is_due = self._has_stood = False
        self._watch()

    def _end(self, repeat: Repeat) -> None:
        """Have a call on its short way no more."""
        self._repeat = self._unparsed = None
        if repeat.overdue is not None:  # what is parsed now, or has left, waits no more
            repeat.overdue.cancel()
        if repeat.reserved_bytes:
            self.readiness.admission.release(repeat.reserved_bytes)

    def _tell_left(self, repeat: Repeat) -> None:
        num_bytes = repeat.body.arrived, None
        self.log.tell_repeated(repeat.settled.route, num_bytes, repeat.head.request_id, repeat.passage())

    def answer(self, repeat: Repeat, answer: Answer) -> None:
        """Send a reply as the long way does, and tell of it."""
        request_id = repeat.head.request_id
        num_bytes = len(repeat.body.content), self._send(answer.written, request_id, is_last=repeat.known.is_last)
        passage = repeat.passage(answer.timing)
        self.log.tell_repeated(repeat.settled.route, num_bytes, request_id, passage)
        self._give_way(len(repeat.body.content))

    def _send(self, written: Written, request_id: str, *, is_last: bool) -> int:
        fields = [*self.server_state.default_headers, *written.fields, (REQUEST_ID, request_id.encode()), NO_SNIFFING]
        if is_last:
            fields.append(CLOSE)
        head = b"".join([STATUS_LINE[HTTPStatus.OK], *[b"%b: %b\r\n" % field for field in fields], b"\r\n"])
        self._closing.flush()
        self.transport.writelines([head, *written.parts])
        self._note_reply()
        if is_last:
            self._closing.close()
        return sum(map(len, written.parts))

    def on_headers_complete(self) -> None:
        """Have the application say how to answer such a call again, where another may come."""
        head, self._head = self._head, None
        if head is not None and can_come_again({name for name, _ in self.headers}):
            self.scope["state"]["keep"] = partial(self.heads.keep, head, is_last=self._is_last)
        super().on_headers_complete()

    def _refuse_late(self) -> None:
        """Have a body that is late refused as any other."""
        if self._repeat is not None and not self._repeat.body.is_whole:
            self._send_on(self._repeat)
        super()._refuse_late()


def answer_together(waiting: Sequence[tuple[RepeatingProtocol, Repeat]]) -> None:
    """Answer calls whose turn has come, those with the same head together."""
    same: dict[int, list[tuple[RepeatingProtocol, Repeat]]] = {}
    for protocol, repeat in waiting:
        if protocol.is_ordinary(repeat):
            same.setdefault(id(repeat.settled), []).append((protocol, repeat))
    for calls in same.values():
        settled = calls[0][1].settled
        answers = answered(settled, [Repeated(repeat.body.content, repeat.seconds_left) for _, repeat in calls])
        for (protocol, repeat), answer in zip(calls, answers, strict=True):
            if answer is None:
                protocol.take_long_way(repeat)
            else:
                protocol.answer(repeat, answer)


def repeating_protocol(settings: Settings, readiness: Readiness, log: RequestLog) -> type[RepeatingProtocol]:
    """Return the protocol with the bounds of a service, what knows its room, and what tells of its requests."""
    given = {
        "max_header_bytes": settings.max_header_bytes,
        "max_header_fields": settings.max_header_fields,
        "readiness": readiness,
        "log": log,
        "resting": Resting(readiness.admission),
        "heads": KnownHeads(),
    }
    return type("RepeatingProtocol", (RepeatingProtocol,), given)
