"""How a message is refused that the application does not see, or not to its end, and how its connection ends.

Gently: a reply under way is let finish, and a caller still sending gets to read why it was refused.
"""

from asyncio import Transport
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gradient_service.http.admission import TOO_MANY, overloaded
from gradient_service.http.body import declared_length
from gradient_service.http.health import Readiness
from gradient_service.http.problems import HttpProblemError
from gradient_service.http.request_id import new_request_id, request_id_of
from gradient_service.http.request_log import Passage, RequestLog
from gradient_service.http.trace_context import context_of
from gradient_service.schemas.problem import Slug
from gradient_service.server.closing import ClosingTransport
from gradient_service.server.holding import HoldingFlow
from gradient_service.server.messages import MessageProtocol
from gradient_service.server.refusals import last_refusal, overload_refusal
from gradient_service.server.resting import Resting
from gradient_service.wire.json_body import MEMORY_PER_BYTE

DISCARDED_BYTES = 8 * 1024 * 1024
"""So much of a body that there is no room for is passed over, which nobody copies; a new connection would cost more."""
READ_SECONDS = 0.1
"""What was sent while a connection rested is read this soon after it."""
NO_MERE_JSON = frozenset({b"content-encoding", b"inference-header-content-length"})
"""Fields of bodies that are compressed, or tensors for the most part, whatever their type says."""
UNORDINARY = frozenset({b"expect", b"origin"})
"""Fields of calls that only the application knows to answer: their callers wait to be asked, or are web pages."""


class RefusingProtocol(MessageProtocol):
    """A connection whose messages can be refused at any point of their way; how far they are, its subclasses note."""

    readiness: Readiness
    log: RequestLog
    resting: Resting
    """All are set by `repeating_protocol`."""

    flow: HoldingFlow
    _closing: ClosingTransport

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_refused = False
        """Whether the message that is arriving was refused before the application saw it."""
        self._running: RequestResponseCycle | None = None
        """The request that the application answers, or answered last: others may wait behind it."""
        self._put_off: tuple[str, str] | None = None
        """Slug and detail of the refusal behind the replies that are due, where what arrives is passed over."""
        self._is_resting = False
        self._rest_began_at = self._rest_ended_at = 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """Answer through a transport that ends gently."""
        super().connection_made(transport)
        self.flow = HoldingFlow(transport)
        self._closing = ClosingTransport(transport, self.flow, self.loop, self.note_departure)

    def connection_lost(self, exc: Exception | None) -> None:
        """Have nothing left behind."""
        self.note_departure()
        self._unset_keepalive_if_required()  # which uvicorn leaves where the connection broke
        super().connection_lost(exc)

    def note_departure(self) -> None:
        """Have a reply under way given up, whatever was asked for behind it, and the log say that nobody gets it."""
        running = self._running
        if running is not None and not running.response_complete:
            running.scope["state"]["has_left"] = True
            running.disconnected = True
            running.message_event.set()

    @property
    def _unanswered(self) -> RequestResponseCycle | None:
        """The request whose reply is under way, or waited for."""
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    @property
    def _is_answered(self) -> bool:
        """Whether the message that is arriving has its answer already."""
        cycle: RequestResponseCycle | None = self.cycle
        return self._is_refused or (cycle is not None and cycle.response_complete)

    @staticmethod
    def _is_under_way(cycle: RequestResponseCycle | None) -> bool:
        """Return whether a request has arrived whole, or its reply has begun."""
        return cycle is not None and (cycle.response_started or not cycle.more_body)

    def on_response_complete(self) -> None:
        """Go on with the request that waits behind the answered one, unless that was the last of the connection."""
        if self._closing.is_closing():
            self.pipeline.clear()
        is_followed = bool(self.pipeline)
        super().on_response_complete()
        if self._put_off is not None and not self.pipeline:
            self._refuse(*self._put_off)
        if not is_followed and self._receipt.phase == "idle":
            self._rest_if_told()

    def _rest_if_told(self) -> None:
        """Rest where the application refused a call for want of room, once its body has been passed over."""
        if self._running is None or self._running.scope["method"] != "POST":  # as with `/readyz`
            return
        scope = self._running.scope
        if scope["state"].get("problem") is Slug.OVERLOADED:
            self._rest(declared_length(Headers(raw=[*scope["headers"]])))

    def _has_no_room(self, fields: dict[bytes, bytes], declared: int | None) -> bool:
        """Return whether to refuse a call before anything is done for it: an ordinary one."""
        return (
            declared is not None
            and self.parser.get_method() == b"POST"
            and fields.keys().isdisjoint(UNORDINARY)
            and self._unanswered is None
            and not self.flow.write_paused
            and self.readiness.refuses(declared, self._waited_seconds, _memory_per_byte(fields))  # which is remembered
        )

    def _refuse_call(self, body_bytes: int) -> None:
        """Refuse a call; its connection goes on behind its body, if the caller wants that and the body is not long."""
        self._is_refused = True
        scope = dict(self.scope)
        request_id = request_id_of(scope)
        self._closing.flush()
        if body_bytes <= DISCARDED_BYTES and not self._is_last:
            self.transport.write(overload_refusal(self.url, request_id))
        else:
            self.transport.write(last_refusal(overloaded(TOO_MANY), self.url, request_id))
            self._closing.close()
        self.log.tell_refused(request_id, Passage(perf_counter(), context_of(scope)))

    def _rest(self, body_bytes: int) -> None:
        """Read a caller who was refused, and whose connection goes on, later again."""
        if self._can_rest:
            self.resting.begin(self, body_bytes)

    def _give_way(self, body_bytes: int) -> None:
        """Read a caller who was answered behind those who wait to be read."""
        if self._can_rest:
            self.resting.give_way(self, body_bytes)

    @property
    def _can_rest(self) -> bool:
        rests = self._is_resting  # for a call before
        return not (rests or self._closing.is_closing() or self.readiness.lifecycle.is_draining)

    def pause(self) -> None:
        """Read nothing, as the connection rests."""
        self._is_resting = True
        self._rest_began_at = self.loop.time()
        self.flow.hold()

    def resume(self) -> None:
        """Note that the rest is over."""
        self._is_resting = False
        self._rest_ended_at = self.loop.time()

    @property
    def _waited_seconds(self) -> float:
        """How long what is read now may have been there while the connection rested."""
        is_read_late = self.loop.time() - self._rest_ended_at < READ_SECONDS
        return self._rest_ended_at - self._rest_began_at if is_read_late else 0.0

    def _keep_alive_for(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _refuse(self, slug: str, detail: str) -> None:
        """Answer with a problem and end the connection, behind the replies to what has arrived whole."""
        if self._closing.is_closing():
            return
        if self._receipt.phase == "body" and self._is_answered:
            self.transport.close()
            return
        cycle = self._unanswered
        if self._running is not None and (self.pipeline or self._is_under_way(cycle)):
            self._put_off = self._put_off or (slug, detail)
            return
        error = HttpProblemError(slug, detail)
        request_id = self._tell_unread(Slug(slug)) if cycle is None else self._give_up(cycle, Slug(slug))
        self._closing.flush()
        is_begun = self._receipt.phase != "idle" and self.url  # or the method is that of the message before
        is_content_due = not is_begun or self.parser.get_method() != b"HEAD"
        self.transport.write(last_refusal(error, self.url, request_id, is_content_due=is_content_due))
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
        request_id = new_request_id()
        start = perf_counter() - (self.loop.time() - self._receipt.since)
        self.log.tell_unread(slug, request_id, Passage(start))
        return request_id


def _memory_per_byte(fields: dict[bytes, bytes]) -> int:
    """Return what is reserved for each byte of a body at the least, more for one that is JSON and nothing else."""
    is_json = fields.get(b"content-type", b"").lower().startswith(b"application/json")
    return MEMORY_PER_BYTE if is_json and fields.keys().isdisjoint(NO_MERE_JSON) else 1
