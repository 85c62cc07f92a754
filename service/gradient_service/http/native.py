"""The dialects of the native endpoints, chosen by `Content-Type` and `Accept`."""

from dataclasses import dataclass
from functools import lru_cache

from fastapi import Request
from starlette.datastructures import Headers

from gradient_service.http.admission import INLINE_BINARY_BYTES, INLINE_TEXT_BYTES
from gradient_service.http.calls import Reading, Written
from gradient_service.http.catalogue import Operation
from gradient_service.http.negotiation import reply_media_type, request_media_type
from gradient_service.operations import CallRequest
from gradient_service.schemas.fields import Body
from gradient_service.settings import Settings
from gradient_service.wire.dialects import DIALECTS, Dialect
from gradient_service.wire.tensor_codec import Buffer

NEGOTIATED = frozenset({b"accept", b"content-encoding", b"content-type"})


@dataclass(frozen=True, slots=True)
class NativeExchange:
    """One dialect to read, and one to write."""

    model: type[CallRequest]
    settings: Settings
    reader: Dialect
    reply_type: str

    @property
    def max_bytes(self) -> int:
        """The largest body."""
        return self.settings.max_binary_body_bytes if self.is_binary else self.settings.max_json_body_bytes

    @property
    def inline_bytes(self) -> int:
        """The largest body that is decoded on the event loop."""
        return INLINE_BINARY_BYTES if self.is_binary else INLINE_TEXT_BYTES

    @property
    def is_binary(self) -> bool:
        """Whether arrays stay in the body's buffer."""
        return self.reader.is_binary

    def memory_bytes(self, body_bytes: int) -> int:
        """Return what a body of this length takes in memory until it is decoded, at the most."""
        return body_bytes * self.reader.memory_per_byte

    def read(self, body: Buffer) -> Reading:
        """Decode a body."""
        decoded = self.reader.decode(body, self.model, max_nesting=self.settings.max_nesting)
        return Reading(decoded, self._write, DIALECTS[self.reply_type].bytes_per_number)

    def _write(self, reply: Body) -> Written:
        return Written(DIALECTS[self.reply_type].encode(reply), self.reply_type, {"Vary": "Accept"})


def negotiate(request: Request, operation: Operation, settings: Settings) -> NativeExchange:
    """Return how a request is read and its reply written.

    Raises:
        HttpProblemError: `unsupported-media-type`, `unsupported-content-encoding`, `not-acceptable`.
    """
    reader, reply_type = _media_types(tuple(field for field in request.scope["headers"] if field[0] in NEGOTIATED))
    return NativeExchange(operation.request, settings, reader, reply_type)


@lru_cache(maxsize=256)
def _media_types(fields: tuple[tuple[bytes, bytes], ...]) -> tuple[Dialect, str]:
    """Return how the body is read, and the type of the reply; callers send the same few fields again and again."""
    headers = Headers(raw=list(fields))
    reader = DIALECTS[request_media_type(headers, tuple(DIALECTS))]
    return reader, reply_media_type(headers, tuple(DIALECTS), reader.media_type)
