"""The wire dialects of the native endpoints: a table from media type to how bodies are read and written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradient_service.schemas.fields import Body
from gradient_service.wire import json_body, safetensors_body
from gradient_service.wire.checkpoint import Checkpoint
from gradient_service.wire.decoded import Decoded
from gradient_service.wire.tensor_codec import Buffer


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to write requests and replies as bytes."""

    media_type: str
    decode: Callable[..., Decoded[Any]]
    encode: Callable[[Body, Checkpoint], Sequence[Buffer]]
    bytes_per_number: int
    """What a number of a reply takes at the most."""
    is_binary: bool
    memory_per_byte: int
    """What a byte of a request takes in memory until it is decoded, itself included, as a rule."""


JSON = Dialect(
    json_body.MEDIA_TYPE,
    json_body.decode,
    json_body.encode,
    json_body.BYTES_PER_NUMBER,
    is_binary=False,
    memory_per_byte=json_body.MEMORY_PER_BYTE,
)
SAFETENSORS = Dialect(
    safetensors_body.MEDIA_TYPE,
    safetensors_body.decode,
    lambda reply, _: safetensors_body.encode(reply),  # which copies nothing
    safetensors_body.BYTES_PER_NUMBER,
    is_binary=True,
    memory_per_byte=1,
)
DIALECTS = {
    JSON.media_type: JSON,
    SAFETENSORS.media_type: SAFETENSORS,
    "application/octet-stream": SAFETENSORS,
}
ONLY_JSON = {JSON.media_type: JSON}
"""For replies that are no tensors."""
