"""One call from bytes to bytes: negotiate, read, decode, compute, encode, answer. What differs by dialect is given."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fastapi import Request, Response

from gradient_service import operations
from gradient_service.core.errors import InvalidInputError
from gradient_service.core.execution import Execution
from gradient_service.core.limits import WorkLimits
from gradient_service.core.records import record
from gradient_service.http.admission import TOO_MANY, Admission, Reservation, overloaded
from gradient_service.http.body import (
    PartsResponse,
    check_declared_length,
    declared_length,
    read_body,
    read_body_in_place,
)
from gradient_service.http.catalogue import Operation
from gradient_service.http.exchange import Exchange, Reading, Written, dialect_of
from gradient_service.http.patience import Patience
from gradient_service.http.timing import StageTiming
from gradient_service.operations import CallRequest, Work, begin
from gradient_service.schemas.fields import Body
from gradient_service.schemas.validation import OutOfRangeError
from gradient_service.settings import Settings
from gradient_service.wire.apart import APART_BYTES, ForkLostError
from gradient_service.wire.tensor_codec import Buffer

INLINE_REPLY_BYTES = 2 * 1024 * 1024
"""What is more work than that many bytes of a gradient is done in a thread: it takes more than some milliseconds.

A thread costs 2 ms, for it and the event loop take the interpreter from each other again and again.
"""
LEAST_BYTES_PER_NUMBER = 4
"""What a number takes in the shortest reply."""


@record()
class Progress:
    """How far one call has come, and what may end it before its end."""

    timing: StageTiming
    patience: Patience
    reservation: Reservation

    def end(self, stage: str) -> None:
        """Note that a stage has just ended, and go on only while the answer is waited for."""
        self.timing.end(stage)
        self.patience.check()

    def end_parsing(self, reading: Reading) -> None:
        """Note that the body has just been decoded, and what is asked for."""
        self.timing.shape = reading.decoded.request.logits.shape
        self.end("parse")


class Started(NamedTuple):
    """A call whose body has been read."""

    reading: Reading
    progress: Progress

    @property
    def request(self) -> CallRequest:
        """What it asks for."""
        request: CallRequest = self.reading.decoded.request
        return request


Succeeded = Callable[[StageTiming], None]

Negotiate = Callable[[Request, Operation, Settings], Exchange]


@dataclass(frozen=True)
class Settled:
    """What the headers of a call that was answered settled, for many calls."""

    route: str
    path: str
    call: "Call"
    exchange: Exchange

    @cached_property
    def most_bytes(self) -> int:
        """Of a body that is read at once, on the short way."""
        return min(self.exchange.hasty_bytes, self.exchange.max_bytes)


class Call:
    """Answers the requests of one operation in one family of dialects.

    Args:
        operation: what is asked for.
        settings: with the limits.
        negotiate: settles by the headers how to read and write.
        admission: knows what room there is.
        succeeded: told of each call that was answered how long its stages took, besides the log of requests.
    """

    def __init__(
        self,
        operation: Operation,
        settings: Settings,
        negotiate: Negotiate,
        admission: Admission,
        succeeded: Succeeded = lambda _: None,
    ) -> None:
        self._operation = operation
        self._settings = settings
        self._negotiate = negotiate
        self.admission = admission
        self.succeeded = succeeded

    async def answer(self, request: Request) -> Response:
        """Answer a request; what it breaks is raised, and `problems` tells it."""
        return await self.answer_timed(request, StageTiming())

    async def answer_timed(self, request: Request, timing: StageTiming) -> Response:
        """Answer a request, each stage noted as it ends; what is reserved for it is free once the reply is sent."""
        request.scope["state"]["timing"] = timing
        patience = Patience.of(request.headers, request.scope["state"].get("arrived_at"))
        settings = self._settings
        of_json, of_tensors = settings.max_json_body_bytes, settings.max_binary_body_bytes
        told = f"The limit is {of_json} bytes of JSON, and {of_tensors} of tensors."
        check_declared_length(request, max(of_json, of_tensors), told)
        if request.scope["state"].get("has_no_room"):  # as the server found, which leaves it to us to say so
            raise overloaded(TOO_MANY)
        patience.check()  # it may have waited for its turn
        exchange = self._negotiate(request, self._operation, settings)
        timing.dialect = dialect_of(exchange)
        with ExitStack() as held:
            progress = Progress(timing, patience, Reservation(self.admission))
            held.callback(progress.reservation.release)
            response = await self._answer(request, exchange, progress)
            self.succeeded(timing)
            response.held = held.pop_all()
        settled = Settled(request.scope["route"].path, request.scope["path"], self, exchange)
        keep = request.scope["state"].get("keep")
        if keep is not None:  # the server asks, for the next call with the same headers
            keep(settled)
        return response

    async def _answer(self, request: Request, exchange: Exchange, progress: Progress) -> PartsResponse:
        body = await self._receive(request, exchange, progress)
        if len(body) > exchange.inline_bytes:
            return await self._in_turn(
                request, progress, lambda: self._perform_one(self._read(body, exchange, progress), progress)
            )
        reading = self._read(body, exchange, progress)
        if _is_short(reading):
            return self._perform_one(reading, progress)
        return await self._in_turn(request, progress, lambda: self._perform_one(reading, progress))

    async def _receive(self, request: Request, exchange: Exchange, progress: Progress) -> Buffer:
        """Return the body, for which memory is reserved as it is declared, or as it arrives where it is not."""
        declared = declared_length(request.headers)

        def reserve(body_bytes: int) -> None:
            joined = 0 if declared else body_bytes  # parts without a common buffer are in memory twice when they join
            progress.reservation.hold(exchange.memory_bytes(body_bytes) + joined)

        is_text = not exchange.is_binary and declared <= APART_BYTES  # which is parsed here, and has to be bytes
        read = read_body if is_text else read_body_in_place
        with self.admission.place() if declared > exchange.inline_bytes else nullcontext():
            reserve(declared)
            with progress.patience.waiting():
                body = await read(request, exchange.max_bytes, reserve)
        progress.end("read")
        return body

    async def _in_turn(self, request: Request, progress: Progress, work: Callable[[], PartsResponse]) -> PartsResponse:
        """Return what the work returns, done in a thread while the caller is watched."""

        def begun() -> PartsResponse:
            progress.end("queue")
            return work()

        async with progress.patience.watching(request.receive):
            with progress.patience.waiting():
                return await self.admission.in_turn(begun)

    def _read(self, body: Buffer, exchange: Exchange, progress: Progress) -> Reading:
        content = exchange.content(body, progress.patience.check)
        coded = 0 if content is body else len(body)
        progress.reservation.hold(coded + exchange.decoding_bytes(content))
        try:
            reading = exchange.read(content, progress.patience.check)
        except ForkLostError:
            raise overloaded("The process that read this body was ended.") from None
        except OutOfRangeError as error:
            self._check_before_values(error)
            raise
        progress.end_parsing(reading)
        progress.reservation.shrink(len(body) + operations.num_array_bytes(reading.decoded.request))
        return reading

    def _check_before_values(self, error: OutOfRangeError) -> None:
        """Raise what is told before values are."""
        try:
            begin(self._operation.perform, error.request, self._limits(LEAST_BYTES_PER_NUMBER))
        except InvalidInputError as before:
            raise before.in_order_of(error.fields) from None

    def _perform_one(self, reading: Reading, progress: Progress) -> PartsResponse:
        (written,) = self.perform([Started(reading, progress)])
        return PartsResponse(written.parts, written.fields)

    def perform(self, alike: Sequence[Started]) -> list[Written]:
        """Return the replies to calls that are alike, computed together."""
        replies = self._compute(alike)
        return [_written(reply, *each) for reply, each in zip(replies, alike, strict=True)]

    def _compute(self, alike: Sequence[Started]) -> Sequence[Body]:
        reading, progress = alike[0]
        threads = 1 if _is_short(reading) else self._settings.threads
        execution = Execution(threads=threads, checkpoint=progress.patience.check)
        work = Work(self._limits(reading.bytes_per_number), execution, progress.reservation.add)
        try:
            replies = self._operation.perform([each.request for each in alike], work)
        except InvalidInputError as error:
            raise error.in_order_of(reading.decoded.field_order) from None
        for each in alike:
            each.progress.end("compute")
        return replies

    def _limits(self, bytes_per_number: int) -> WorkLimits:
        settings = self._settings
        return WorkLimits(
            max_elements=settings.max_elements,
            max_jacobian_elements=settings.max_jacobian_elements,
            max_reply_bytes=settings.max_reply_bytes,
            bytes_per_number=bytes_per_number,
        )


def _is_short(reading: Reading) -> bool:
    """Return whether the event loop computes and writes the reply."""
    return reading.work <= INLINE_REPLY_BYTES


def _written(reply: Body, reading: Reading, progress: Progress) -> Written:
    """Return a reply as bytes, and how long it took."""
    written = reading.write(reply)
    progress.end("encode")
    return Written(written.parts, (*written.fields, (b"server-timing", progress.timing.header.encode())))
