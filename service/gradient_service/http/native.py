"""The dialects of the native endpoints, chosen by `Content-Type` and `Accept`."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

from fastapi import Request
from starlette.datastructures import Headers

from gradient_service.http.admission import INLINE_BINARY_BYTES, INLINE_TEXT_BYTES
from gradient_service.http.body import check_declared_length
from gradient_service.http.catalogue import Operation
from gradient_service.http.codings import reply_coding, request_coding
from gradient_service.http.exchange import Reading, Written
from gradient_service.http.headers import Field
from gradient_service.http.negotiation import reply_media_type, request_media_type
from gradient_service.operations import CallRequest
from gradient_service.schemas.fields import Body
from gradient_service.settings import Settings
from gradient_service.wire import json_body
from gradient_service.wire.apart import APART_BYTES, decode_text
from gradient_service.wire.checkpoint import Checkpoint
from gradient_service.wire.decoded import Decoded
from gradient_service.wire.dialects import DIALECTS, JSON, ONLY_JSON, Dialect
from gradient_service.wire.tensor_codec import Buffer

READ_BY = frozenset({b"content-type"})
WRITTEN_BY = frozenset({b"accept", b"accept-encoding"})
VARY = (b"vary", b"Accept")


@dataclass(frozen=True)
class NativeExchange:
    """One dialect to read, and one to write, for many calls: what follows from them is found once."""

    model: type[CallRequest]
    settings: Settings
    reader: Dialect
    reply_type: str

    @cached_property
    def max_bytes(self) -> int:
        """The largest body."""
        return max_body_bytes(self.reader, self.settings)

    @cached_property
    def inline_bytes(self) -> int:
        """The largest body that is decoded on the event loop."""
        return INLINE_BINARY_BYTES if self.is_binary else INLINE_TEXT_BYTES

    @cached_property
    def hasty_bytes(self) -> int:
        """The largest body that is read there hastily: a longer text has a process of its own."""
        return INLINE_BINARY_BYTES if self.is_binary else APART_BYTES

    @cached_property
    def is_binary(self) -> bool:
        """Whether arrays stay in the body's buffer."""
        return self.reader.is_binary

    def memory_bytes(self, body_bytes: int) -> int:
        """Return what a body of this length takes in memory until it is decoded, as a rule."""
        return body_bytes * self.reader.memory_per_byte

    def content(self, body: Buffer, checkpoint: Checkpoint) -> Buffer:
        """Return a body as it is."""
        return body

    def decoding_bytes(self, content: Buffer) -> int:
        """Return what a body takes in memory until it is decoded, itself included, at the most."""
        return len(content) if self.is_binary else json_body.memory_bytes(content)

    def hasty_decoding_bytes(self, content: Buffer) -> int:
        """Return the same of one that is read hastily."""
        return len(content) if self.is_binary else json_body.HASTY_MEMORY_PER_BYTE * len(content)

    def read(self, content: Buffer, checkpoint: Checkpoint) -> Reading:
        """Decode a body."""
        decoded = decode_text(self._decode, content, 0 if self.is_binary else len(content), checkpoint)
        return self._reading(decoded, checkpoint)

    def read_hastily(self, content: Buffer, checkpoint: Checkpoint) -> Reading:
        """Decode a body, a text only where nothing is wrong with it."""
        decoded = self._decode(content) if self.is_binary else self._decode(content, hastily=True)
        return self._reading(decoded, checkpoint)

    @cached_property
    def _decode(self) -> Callable[..., Decoded[CallRequest]]:
        return partial(self.reader.decode, model=self.model, max_nesting=self.settings.max_nesting)

    def _reading(self, decoded: Decoded[CallRequest], checkpoint: Checkpoint) -> Reading:
        return Reading(decoded, partial(self._write, checkpoint), DIALECTS[self.reply_type].bytes_per_number)

    def _write(self, checkpoint: Checkpoint, reply: Body) -> Written:
        parts = DIALECTS[self.reply_type].encode(reply, checkpoint)
        return Written.of(parts, self.reply_type, VARY)


def max_body_bytes(reader: Dialect, settings: Settings) -> int:
    """Return the largest body that is read in a dialect."""
    return settings.max_binary_body_bytes if reader.is_binary else settings.max_json_body_bytes


def negotiate(request: Request, operation: Operation, settings: Settings) -> NativeExchange:
    """Return how a request is read and its reply written.

    Raises:
        HttpProblemError: `unsupported-media-type`, `unsupported-content-encoding`, `body-too-large`, `not-acceptable`.
    """
    reader = _reader(_fields(request, READ_BY))
    check_declared_length(request, max_body_bytes(reader, settings))
    request_coding(request.headers, spoken=())
    spoken = DIALECTS if operation.answers_tensors else ONLY_JSON
    preferred = reader.media_type if reader.media_type in spoken else JSON.media_type
    reply_type = _reply_type(_fields(request, WRITTEN_BY), tuple(spoken), preferred)
    return NativeExchange(operation.request, settings, reader, reply_type)


def _fields(request: Request, names: Collection[bytes]) -> tuple[Field, ...]:
    return tuple(field for field in request.scope["headers"] if field[0] in names)


# Callers send the same few fields again and again.
@lru_cache(maxsize=256)
def _reader(fields: tuple[Field, ...]) -> Dialect:
    """Return how the body is read."""
    return DIALECTS[request_media_type(Headers(raw=list(fields)), tuple(DIALECTS))]


@lru_cache(maxsize=256)
def _reply_type(fields: tuple[Field, ...], spoken: tuple[str, ...], preferred: str) -> str:
    """Return the type of the reply, which has no coding."""
    headers = Headers(raw=list(fields))
    reply_coding(headers, spoken=())
    return reply_media_type(headers, spoken, preferred)
