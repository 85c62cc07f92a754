"""How one inference request is read and its reply written, by the headers that the protocol adds to HTTP's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request

from gradient_service.http.admission import INLINE_BINARY_BYTES, INLINE_TEXT_BYTES
from gradient_service.http.body import check_declared_length, declared_length
from gradient_service.http.catalogue import Operation
from gradient_service.http.codings import compress, inflate, inflated_bytes, reply_coding, request_coding
from gradient_service.http.exchange import Reading, Written
from gradient_service.http.headers import whole_number
from gradient_service.http.problems import HttpProblemError
from gradient_service.schemas.fields import Body
from gradient_service.settings import Settings
from gradient_service.wire import json_body, open_inference
from gradient_service.wire.apart import decode_text
from gradient_service.wire.checkpoint import Checkpoint
from gradient_service.wire.open_inference_reply import ReplyForm, encode
from gradient_service.wire.tensor_codec import Buffer

JSON_BYTES = "Inference-Header-Content-Length"
BINARY_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class InferenceExchange:
    """How long the JSON part is, and the codings of both bodies."""

    operation: Operation
    settings: Settings
    json_bytes: int | None
    """None where it is the whole body."""
    request_coding: str | None
    reply_coding: str | None

    @property
    def max_bytes(self) -> int:
        """The largest body, coded or not."""
        return max_body_bytes(self.json_bytes, self.settings)

    @property
    def inline_bytes(self) -> int:
        """The largest body that is decoded on the event loop; of a coded one nobody knows what it becomes."""
        if self.request_coding is not None:
            return 0
        has_short_text = self.json_bytes is not None and self.json_bytes <= INLINE_TEXT_BYTES
        return INLINE_BINARY_BYTES if has_short_text else INLINE_TEXT_BYTES

    @property
    def hasty_bytes(self) -> int:
        """The same: nothing here is read hastily."""
        return self.inline_bytes

    @property
    def is_binary(self) -> bool:
        """Whether arrays stay in the body's buffer."""
        return self.json_bytes is not None and self.request_coding is None

    def memory_bytes(self, body_bytes: int) -> int:
        """Return what a body of this length takes in memory until it is decoded, as a rule."""
        content = body_bytes
        if self.request_coding is not None:
            content = inflated_bytes(body_bytes, self.max_bytes) if body_bytes else 0
        of_json = content if self.json_bytes is None else min(content, self.json_bytes)
        return body_bytes + content + of_json * json_body.MEMORY_PER_BYTE

    def content(self, body: Buffer, checkpoint: Checkpoint) -> Buffer:
        """Return a body without its coding."""
        if self.request_coding is None:
            return body
        return inflate(body, self.request_coding, self.max_bytes, checkpoint)

    def decoding_bytes(self, content: Buffer) -> int:
        """Return what a body without its coding takes in memory until it is decoded, itself included, at the most."""
        return len(content) + json_body.memory_bytes(memoryview(content)[: self.json_bytes])

    def hasty_decoding_bytes(self, content: Buffer) -> int:
        """Return the same: nothing here is read hastily."""
        return self.decoding_bytes(content)

    def read(self, content: Buffer, checkpoint: Checkpoint) -> Reading:
        """Decode a body without its coding; only its JSON part is read in another process."""

        def read(decode: Callable[..., Any], text: Buffer) -> Any:
            return decode_text(decode, text, len(text), checkpoint)

        model, max_nesting = self.operation.request, self.settings.max_nesting
        inference = open_inference.decode(content, self.json_bytes, model, max_nesting=max_nesting, read=read)
        inference.check_addressee(self.operation.name)
        write = partial(self._write, inference.form, checkpoint)
        return Reading(inference.decoded, write, inference.form.bytes_per_number, self.reply_coding is not None)

    def read_hastily(self, content: Buffer, checkpoint: Checkpoint) -> Reading:
        """Decode it as ever."""
        return self.read(content, checkpoint)

    def _write(self, form: ReplyForm, checkpoint: Checkpoint, reply: Body) -> Written:
        encoded = encode(reply, self.operation.name, form, checkpoint)
        parts, fields = encoded.parts, [(b"vary", b"Accept-Encoding")]
        if encoded.json_bytes is not None:
            fields.append((JSON_BYTES.lower().encode(), b"%d" % encoded.json_bytes))
        if self.reply_coding is not None:
            parts = compress(parts, self.reply_coding, checkpoint)
            fields.append((b"content-encoding", self.reply_coding.encode()))
        return Written.of(parts, json_body.MEDIA_TYPE if encoded.json_bytes is None else BINARY_TYPE, *fields)


def max_body_bytes(json_bytes: int | None, settings: Settings) -> int:
    """Return the largest body, which may hold tensors where the length of its JSON part is said."""
    return settings.max_json_body_bytes if json_bytes is None else settings.max_binary_body_bytes


def negotiate(request: Request, operation: Operation, settings: Settings) -> InferenceExchange:
    """Return how a request is read and its reply written; its `Content-Type` says nothing here, clients send none.

    Raises:
        HttpProblemError: `malformed-http`, `body-too-large`, `unsupported-content-encoding`, `not-acceptable`.
    """
    json_bytes = whole_number(request.headers, JSON_BYTES)
    declared = declared_length(request.headers)
    if json_bytes is not None and declared and json_bytes > declared and request_coding(request.headers) is None:
        raise HttpProblemError("malformed-http", f"{JSON_BYTES} is more than the body has.")
    if json_bytes is not None and json_bytes > settings.max_json_body_bytes:
        detail = f"The limit of the JSON part is {settings.max_json_body_bytes} bytes."
        raise HttpProblemError("body-too-large", detail, {"Connection": "close"})
    check_declared_length(request, max_body_bytes(json_bytes, settings))
    codings = request_coding(request.headers), reply_coding(request.headers)
    return InferenceExchange(operation, settings, json_bytes, *codings)
