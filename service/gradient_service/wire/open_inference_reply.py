"""A reply to Open Inference bytes: a JSON part, and behind it the arrays that are wanted as they lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.schemas.fields import Body
from gradient_service.wire import json_body
from gradient_service.wire.checkpoint import Checkpoint, without_pause
from gradient_service.wire.json_writer import dump, dump_in_parts
from gradient_service.wire.open_inference_types import WRITTEN_NAMES
from gradient_service.wire.tensor_codec import Buffer, encode_tensor

VERSION = "1"
BYTES_PER_BINARY_NUMBER = 8
ALIGNMENT = 8
"""Where the first array begins, and those behind it that no bytes precede: JavaScript's can be views of the reply."""


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """How a reply is wanted."""

    id: str | None = None
    """The caller's name for it, echoed."""
    is_binary: bool = False
    """Whether outputs are binary of which nothing is said."""
    is_binary_by_name: Mapping[str, bool] = field(default_factory=dict)
    """The same of each output that was named."""

    def wants_binary(self, name: str) -> bool:
        """Return whether an output is wanted as it lies, not as JSON."""
        return self.is_binary_by_name.get(name, self.is_binary)

    @property
    def bytes_per_number(self) -> int:
        """What a number of the reply takes at the most."""
        wanted = self.is_binary_by_name.values() or [self.is_binary]
        return BYTES_PER_BINARY_NUMBER if all(wanted) else json_body.BYTES_PER_NUMBER


@dataclass(frozen=True, slots=True)
class EncodedReply:
    """The bytes of a reply, and how many of them are JSON; None where all are."""

    parts: Sequence[Buffer]
    json_bytes: int | None


def encode(reply: Body, model: str, form: ReplyForm, checkpoint: Checkpoint = without_pause) -> EncodedReply:
    """Write the outputs of a reply in the form wanted; a scalar has shape [1], and objects are JSON strings."""
    arrays, objects = _sorted(reply.given())
    binary = {name: encode_tensor(array) for name, array in arrays.items() if form.wants_binary(name)}
    document: dict[str, Any] = {"model_name": model, "model_version": VERSION}
    if form.id is not None:
        document["id"] = form.id
    document["parameters"] = {name: dump(value).decode() for name, value in objects.items()}
    document["outputs"] = [_output(name, array, binary.get(name)) for name, array in arrays.items()]
    texts = dump_in_parts(document, checkpoint)
    if not binary:
        return EncodedReply(texts, None)
    texts[-1] += b" " * (-sum(map(len, texts)) % ALIGNMENT)
    return EncodedReply([*texts, *binary.values()], sum(map(len, texts)))


def _sorted(fields: Mapping[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays, scalars among them, and the objects."""
    objects = {name: value for name, value in fields.items() if isinstance(value, Body)}
    arrays = {name: np.atleast_1d(value) for name, value in fields.items() if name not in objects}
    return arrays, objects


def _output(name: str, array: NDArray[Any], content: Buffer | None) -> dict[str, Any]:
    output: dict[str, Any] = {"name": name, "datatype": WRITTEN_NAMES[array.dtype], "shape": array.shape}
    if content is None:
        return output | {"data": np.ascontiguousarray(array).reshape(-1)}
    return output | {"parameters": {"binary_data_size": len(content)}}
