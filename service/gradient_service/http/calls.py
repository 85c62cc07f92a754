"""One call from bytes to bytes: negotiate, read, decode, compute, encode, answer. What differs by dialect is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from anyio import to_thread
from fastapi import Request, Response

from gradient_service import operations
from gradient_service.core.errors import InvalidInputError
from gradient_service.core.execution import Execution
from gradient_service.core.limits import WorkLimits
from gradient_service.http.body import PartsResponse, check_declared_length, read_body, read_body_in_place
from gradient_service.http.catalogue import Operation
from gradient_service.http.timing import StageTiming
from gradient_service.operations import CallRequest, Work
from gradient_service.schemas.fields import Body
from gradient_service.settings import Settings
from gradient_service.wire.decoded import Decoded
from gradient_service.wire.tensor_codec import Buffer

INLINE_TEXT_BYTES = 16 * 1024
INLINE_BINARY_BYTES = 256 * 1024
"""A larger body is decoded in a thread, so that the event loop serves others; these take about a millisecond."""
INLINE_ELEMENTS = 64 * 1024
"""A larger computation is done in a thread."""


@dataclass(frozen=True, slots=True)
class Written:
    """A reply as bytes, and what HTTP says of them."""

    parts: Sequence[Buffer]
    media_type: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """A request read from bytes, and how its reply becomes bytes."""

    decoded: Decoded[Any]
    write: Callable[[Body], Written]
    bytes_per_number: int
    """What a number of the reply takes at the most."""


class Exchange(Protocol):
    """What the headers of one request settled."""

    @property
    def max_bytes(self) -> int:
        """The largest body."""

    @property
    def inline_bytes(self) -> int:
        """The largest body that is decoded on the event loop."""

    @property
    def is_binary(self) -> bool:
        """Whether arrays stay in the body's buffer."""

    def read(self, body: Buffer) -> Reading:
        """Decode a body."""


Negotiate = Callable[[Request, Operation, Settings], Exchange]


class Call:
    """Answers the requests of one operation in one family of dialects."""

    def __init__(self, operation: Operation, settings: Settings, negotiate: Negotiate) -> None:
        self._operation = operation
        self._settings = settings
        self._negotiate = negotiate
        self._execution = Execution(threads=settings.threads)

    async def answer(self, request: Request) -> Response:
        """Answer a request; what it breaks is raised, and `problems` tells it."""
        return await self.answer_timed(request, StageTiming())

    async def answer_timed(self, request: Request, timing: StageTiming) -> Response:
        """Answer a request, each stage noted as it ends."""
        settings = self._settings
        check_declared_length(request, max(settings.max_json_body_bytes, settings.max_binary_body_bytes))
        exchange = self._negotiate(request, self._operation, settings)
        check_declared_length(request, exchange.max_bytes)
        read = read_body_in_place if exchange.is_binary else read_body
        body = await read(request, exchange.max_bytes)
        timing.end("read")
        if len(body) > exchange.inline_bytes:
            return await to_thread.run_sync(self._answer, body, exchange, timing)
        reading = self._read(body, exchange, timing)
        if operations.num_elements(reading.decoded.request) > INLINE_ELEMENTS:
            return await to_thread.run_sync(self._perform, reading, timing)
        return self._perform(reading, timing)

    def _answer(self, body: Buffer, exchange: Exchange, timing: StageTiming) -> Response:
        timing.end("queue")
        return self._perform(self._read(body, exchange, timing), timing)

    def _read(self, body: Buffer, exchange: Exchange, timing: StageTiming) -> Reading:
        reading = exchange.read(body)
        timing.end("parse")
        return reading

    def _perform(self, reading: Reading, timing: StageTiming) -> Response:
        reply = self._compute(reading.decoded, reading.bytes_per_number)
        timing.end("compute")
        written = reading.write(reply)
        timing.end("encode")
        headers = {**written.headers, "Server-Timing": timing.header}
        return PartsResponse(written.parts, headers=headers, media_type=written.media_type)

    def _compute(self, decoded: Decoded[CallRequest], bytes_per_number: int) -> Body:
        limits = WorkLimits(
            max_elements=self._settings.max_elements,
            max_jacobian_elements=self._settings.max_jacobian_elements,
            max_reply_bytes=self._settings.max_reply_bytes,
            bytes_per_number=bytes_per_number,
        )
        try:
            return self._operation.perform(decoded.request, Work(limits, self._execution))
        except InvalidInputError as error:
            raise error.in_order_of(decoded.field_order) from None
