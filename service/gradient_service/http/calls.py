"""One call from bytes to bytes: negotiate, read, decode, compute, encode, answer."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from anyio import to_thread
from fastapi import Request, Response

from gradient_service import operations
from gradient_service.core.errors import InvalidInputError
from gradient_service.core.execution import Execution
from gradient_service.core.limits import WorkLimits
from gradient_service.http.body import PartsResponse, check_declared_length, read_body, read_body_in_place
from gradient_service.http.negotiation import reply_media_type, request_media_type
from gradient_service.operations import CallRequest, Work
from gradient_service.schemas.fields import Body
from gradient_service.schemas.replies import GradientReply, LossReply, SoftmaxReply
from gradient_service.schemas.requests import GradientRequest, LossRequest, SoftmaxRequest
from gradient_service.settings import Settings
from gradient_service.wire.decoded import Decoded
from gradient_service.wire.dialects import DIALECTS, Dialect
from gradient_service.wire.tensor_codec import Buffer

INLINE_BYTES = 16 * 1024
"""A larger body is decoded in a thread, so that the event loop goes on serving others."""
INLINE_ELEMENTS = 16 * 1024
"""A larger computation is done in a thread."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A path and what it does."""

    name: str
    request: type[CallRequest]
    reply: type[Body]
    perform: Callable[[Any, Work], Body]
    summary: str
    description: str


OPERATIONS = (
    Operation(
        "softmax",
        SoftmaxRequest,
        SoftmaxReply,
        operations.softmax,
        "Scores to probabilities and decisions",
        "p_j = exp(s_j) / Σ_k exp(s_k) with s = logits / T, and the class of the largest logit.",
    ),
    Operation(
        "loss",
        LossRequest,
        LossReply,
        operations.loss,
        "Cross-entropy and its mergeable summary",
        "E = −Σ_j w_j c_j log p_j of each row in nats, and over rows the sum, or the sum over a named denominator.",
    ),
    Operation(
        "gradient",
        GradientRequest,
        GradientReply,
        operations.gradient,
        "Loss and ∂loss/∂logits in one pass",
        "∂E/∂s_i = Σ_j (∂E/∂p_j)(∂p_j/∂s_i), ending at **p − c** for the default objective; on request every factor of "
        "the chain rule, the factors multiplied out, and what the Jacobian's diagonal alone would give.",
    ),
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """How one request is read and its reply written, and how long that takes."""

    reader: Dialect
    writer: Dialect
    reply_type: str
    timing: "StageTiming"


class Call:
    """Answers the requests of one operation."""

    def __init__(self, operation: Operation, settings: Settings) -> None:
        self._operation = operation
        self._settings = settings
        self._execution = Execution(threads=settings.threads)

    async def answer(self, request: Request) -> Response:
        """Answer a request; what it breaks is raised, and `problems` tells it."""
        timing = StageTiming()
        exchange = self._negotiate(request, timing)
        read = read_body_in_place if exchange.reader.is_binary else read_body
        body = await read(request, self._max_bytes(exchange.reader))
        timing.end("read")
        if len(body) > INLINE_BYTES:
            return await to_thread.run_sync(self._answer, body, exchange)
        decoded = self._decode(body, exchange)
        if operations.num_elements(decoded.request) > INLINE_ELEMENTS:
            return await to_thread.run_sync(self._perform, decoded, exchange)
        return self._perform(decoded, exchange)

    def _negotiate(self, request: Request, timing: "StageTiming") -> Exchange:
        check_declared_length(request, max(self._max_bytes(dialect) for dialect in DIALECTS.values()))
        received = request_media_type(request.headers, tuple(DIALECTS))
        reader = DIALECTS[received]
        wanted = reply_media_type(request.headers, tuple(DIALECTS), reader.media_type)
        check_declared_length(request, self._max_bytes(reader))
        return Exchange(reader, DIALECTS[wanted], wanted, timing)

    def _max_bytes(self, dialect: Dialect) -> int:
        return self._settings.max_binary_body_bytes if dialect.is_binary else self._settings.max_json_body_bytes

    def _answer(self, body: Buffer, exchange: Exchange) -> Response:
        return self._perform(self._decode(body, exchange), exchange)

    def _decode(self, body: Buffer, exchange: Exchange) -> Decoded[CallRequest]:
        model, max_nesting = self._operation.request, self._settings.max_nesting
        decoded: Decoded[CallRequest] = exchange.reader.decode(body, model, max_nesting=max_nesting)
        exchange.timing.end("parse")
        return decoded

    def _perform(self, decoded: Decoded[CallRequest], exchange: Exchange) -> Response:
        limits = WorkLimits(
            max_elements=self._settings.max_elements,
            max_jacobian_elements=self._settings.max_jacobian_elements,
            max_reply_bytes=self._settings.max_reply_bytes,
            bytes_per_number=exchange.writer.bytes_per_number,
        )
        try:
            reply = self._operation.perform(decoded.request, Work(limits, self._execution))
        except InvalidInputError as error:
            raise error.in_order_of(decoded.field_order) from None
        exchange.timing.end("compute")
        parts = exchange.writer.encode(reply)
        exchange.timing.end("encode")
        headers = {"Vary": "Accept", "Server-Timing": exchange.timing.header}
        return PartsResponse(parts, headers=headers, media_type=exchange.reply_type)


class StageTiming:
    """How long each stage of a call took, as `Server-Timing` tells it."""

    def __init__(self) -> None:
        self._last = perf_counter()
        self._stages: list[str] = []

    def end(self, stage: str) -> None:
        """Note that a stage has just ended."""
        now = perf_counter()
        self._stages.append(f"{stage};dur={(now - self._last) * 1000:.3f}")
        self._last = now

    @property
    def header(self) -> str:
        """The stages so far, in milliseconds."""
        return ", ".join(self._stages)
