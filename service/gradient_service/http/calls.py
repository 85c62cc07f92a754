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
from gradient_service.http.body import check_declared_length, read_body
from gradient_service.http.negotiation import reply_media_type, request_media_type
from gradient_service.operations import CallRequest, Work
from gradient_service.schemas.fields import Body
from gradient_service.schemas.replies import GradientReply, LossReply, SoftmaxReply
from gradient_service.schemas.requests import GradientRequest, LossRequest, SoftmaxRequest
from gradient_service.settings import Settings
from gradient_service.wire import json_body
from gradient_service.wire.decoded import Decoded

MEDIA_TYPES = (json_body.MEDIA_TYPE,)
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


class Call:
    """Answers the requests of one operation."""

    def __init__(self, operation: Operation, settings: Settings) -> None:
        self._operation = operation
        self._settings = settings
        limits = WorkLimits(
            max_elements=settings.max_elements,
            max_jacobian_elements=settings.max_jacobian_elements,
            max_reply_bytes=settings.max_reply_bytes,
            bytes_per_number=json_body.BYTES_PER_NUMBER,
        )
        self._work = Work(limits, Execution(threads=settings.threads))

    async def answer(self, request: Request) -> Response:
        """Answer a request; what it breaks is raised, and `problems` tells it."""
        timing = StageTiming()
        check_declared_length(request, self._settings.max_json_body_bytes)
        received = request_media_type(request.headers, MEDIA_TYPES)
        reply_media_type(request.headers, MEDIA_TYPES, received)
        body = await read_body(request, self._settings.max_json_body_bytes)
        timing.end("read")
        if len(body) > INLINE_BYTES:
            return await to_thread.run_sync(self._answer, body, timing)
        decoded = self._decode(body, timing)
        if operations.num_elements(decoded.request) > INLINE_ELEMENTS:
            return await to_thread.run_sync(self._perform, decoded, timing)
        return self._perform(decoded, timing)

    def _answer(self, body: bytes, timing: "StageTiming") -> Response:
        return self._perform(self._decode(body, timing), timing)

    def _decode(self, body: bytes, timing: "StageTiming") -> Decoded[CallRequest]:
        decoded: Decoded[CallRequest] = json_body.decode(
            body, self._operation.request, max_nesting=self._settings.max_nesting
        )
        timing.end("parse")
        return decoded

    def _perform(self, decoded: Decoded[CallRequest], timing: "StageTiming") -> Response:
        try:
            reply = self._operation.perform(decoded.request, self._work)
        except InvalidInputError as error:
            raise error.in_order_of(decoded.field_order) from None
        timing.end("compute")
        content = json_body.encode(reply)
        timing.end("encode")
        headers = {"Vary": "Accept", "Server-Timing": timing.header}
        return Response(content, headers=headers, media_type=json_body.MEDIA_TYPE)


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
