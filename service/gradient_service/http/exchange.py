"""What the headers of one call settle: how its body is read, and its reply written; dialects fill this in."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gradient_service import operations
from gradient_service.core.records import record
from gradient_service.http.headers import Field
from gradient_service.schemas.fields import Body
from gradient_service.wire.checkpoint import Checkpoint
from gradient_service.wire.decoded import Decoded
from gradient_service.wire.tensor_codec import Buffer

CODED = 4
"""The work on a coded reply, as a multiple."""


@record()
class Written:
    """A reply as bytes, and what HTTP says of them."""

    parts: Sequence[Buffer]
    fields: tuple[Field, ...]
    """Of its head, beside those that every reply has."""

    @classmethod
    def of(cls, parts: Sequence[Buffer], media_type: str, *fields: Field) -> "Written":
        """Return a reply with its length and its type, and further fields."""
        length = b"%d" % sum(map(len, parts))
        return cls(parts, (*fields, (b"content-length", length), (b"content-type", media_type.encode())))


@record()
class Reading:
    """A request read from bytes, and how its reply becomes bytes."""

    decoded: Decoded[Any]
    write: Callable[[Body], Written]
    bytes_per_number: int
    """What a number of the reply takes at the most."""

    is_coded: bool = False
    """Whether the reply is compressed."""

    @property
    def work(self) -> int:
        """How long it takes to compute and write the reply, about, as the bytes of a gradient that takes as long."""
        coded = CODED if self.is_coded else 1
        return operations.num_elements(self.decoded.request) * self.bytes_per_number * coded


class Exchange(Protocol):
    """What the headers of one request settled."""

    @property
    def max_bytes(self) -> int:
        """The largest body."""

    @property
    def inline_bytes(self) -> int:
        """The largest body that is decoded on the event loop, whatever it is."""

    @property
    def hasty_bytes(self) -> int:
        """The largest body that is read there hastily, when its turn comes."""

    @property
    def is_binary(self) -> bool:
        """Whether arrays stay in the body's buffer."""

    def memory_bytes(self, body_bytes: int) -> int:
        """Return what a body of this length takes in memory until it is decoded, as a rule."""

    def content(self, body: Buffer, checkpoint: Checkpoint) -> Buffer:
        """Return a body without its coding."""

    def decoding_bytes(self, content: Buffer) -> int:
        """Return what such a body takes in memory until it is decoded, itself included, at the most."""

    def hasty_decoding_bytes(self, content: Buffer) -> int:
        """Return the same of one that is read hastily."""

    def read(self, content: Buffer, checkpoint: Checkpoint) -> Reading:
        """Decode such a body; what the checkpoint raises ends that, and the writing of the reply."""

    def read_hastily(self, content: Buffer, checkpoint: Checkpoint) -> Reading:
        """Decode it where that takes no longer than a few milliseconds a megabyte; raise anything where it does."""


def dialect_of(exchange: Exchange) -> str:
    """Return the kind of the body that is read, as counts and traces tell it."""
    return "binary" if exchange.is_binary else "json"
