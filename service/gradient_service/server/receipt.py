"""How far the message that is arriving has arrived, and when the rest of it must have."""

from dataclasses import dataclass
from typing import Literal

HEAD_SECONDS = 10.0
"""A message's head must have arrived this long after its connection, or its first byte on a used one."""
BODY_SECONDS = 10.0
BODY_BYTES_PER_SECOND = 256_000.0
"""A body must have arrived this long after its head, and at this rate before: memory is kept for what is declared."""

Phase = Literal["idle", "head", "body"]


@dataclass(slots=True)
class Receipt:
    """How far the message that is arriving has arrived."""

    phase: Phase = "idle"
    since: float = 0.0
    """When the head, or the body, began to be waited for."""
    head_bytes: int = 0
    body_bytes: int = 0
    declared_bytes: int | None = None
    """What the head says of the body's length; None for a chunked one."""
    framing_bytes: int = 0
    """Of what came since the last of the body: how a chunk is told, and fields behind all of them."""

    @property
    def deadline(self) -> float:
        """When the rest must have arrived."""
        if self.phase != "body":
            return self.since + HEAD_SECONDS
        return self.since + BODY_SECONDS + self.body_bytes / BODY_BYTES_PER_SECOND
