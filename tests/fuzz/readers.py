"""What the fuzzer feeds: arbitrary bytes as a body of a binary dialect, decoded and, if that succeeds, computed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gradient_service.core.errors import InvalidInputError
from gradient_service.core.limits import WorkLimits
from gradient_service.http.catalogue import MODELS, OPERATIONS, Operation
from gradient_service.operations import Work
from gradient_service.wire import open_inference, open_inference_reply, safetensors_body
from gradient_service.wire.errors import MalformedBodyError

MAX_NESTING = 8
LENGTH_BYTES = 2
NO_LENGTH = 2 ** (8 * LENGTH_BYTES) - 1
LIMITS = WorkLimits(max_elements=4096, max_jacobian_elements=4096, max_reply_bytes=2**20, bytes_per_number=25)


def read_safetensors(content: bytes) -> None:
    """Read a body; its first byte says of which operation."""
    operation, body = OPERATIONS[sum(content[:1]) % len(OPERATIONS)], content[1:]
    with suppress(MalformedBodyError, InvalidInputError):
        decoded = safetensors_body.decode(memoryview(body), operation.request, max_nesting=MAX_NESTING)
        safetensors_body.encode(_reply(operation, decoded.request))


def read_open_inference(content: bytes) -> None:
    """Read a body; the three bytes before it say of which operation, and how long its JSON part is."""
    operation, body = MODELS[sum(content[:1]) % len(MODELS)], content[1 + LENGTH_BYTES :]
    length = int.from_bytes(content[1 : 1 + LENGTH_BYTES], "little")
    with suppress(MalformedBodyError, InvalidInputError):
        json_bytes = None if length == NO_LENGTH else length
        inference = open_inference.decode(body, json_bytes, operation.request, max_nesting=MAX_NESTING)
        reply = _reply(operation, inference.decoded.request)
        open_inference_reply.encode(reply, operation.name, inference.form)


READERS: dict[str, Callable[[bytes], None]] = {
    "safetensors": read_safetensors,
    "open_inference": read_open_inference,
}


def _reply(operation: Operation, request: Any) -> Any:
    return operation.perform([request], Work(LIMITS))[0]
