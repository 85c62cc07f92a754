"""A call whose head is known, while its body arrives and while it waits for its turn."""

from dataclasses import dataclass

from gradient_service.http.calls import Settled
from gradient_service.http.trace_context import HEADER as TRACE
from gradient_service.http.trace_context import trace_in
from gradient_service.server.known_heads import Head


@dataclass(slots=True)
class Repeat:
    """One such call."""

    settled: Settled
    """What its head settles."""
    head: Head
    head_bytes: bytes
    body: bytes | memoryview
    """As far as it has arrived, and room for the rest."""
    arrived: int
    """How much of the body has."""
    behind: bytes = b""
    """What arrived after its end."""

    @classmethod
    def begun(cls, settled: Settled, head: Head, message: bytes) -> "Repeat":
        """Return the call that a message begins."""
        part = message[head.size :]
        if len(part) == head.body_bytes:
            return cls(settled, head, message[: head.size], part, len(part))
        body = memoryview(bytearray(head.body_bytes))
        body[: len(part)] = part
        return cls(settled, head, message[: head.size], body, len(part))

    @property
    def trace(self) -> dict[str, str]:
        """The trace that it belongs to."""
        return trace_in([self.head.own[TRACE]]) if TRACE in self.head.own else {}

    @property
    def is_whole(self) -> bool:
        """Whether the body has arrived."""
        return self.arrived == len(self.body)

    @property
    def reserved_bytes(self) -> int:
        """How much memory is reserved for a body that comes in parts."""
        return 0 if isinstance(self.body, bytes) else len(self.body)

    @property
    def place(self) -> memoryview | None:
        """Where the rest of the body belongs; None when it has arrived."""
        return None if self.is_whole or isinstance(self.body, bytes) else self.body[self.arrived :]

    @property
    def message(self) -> bytes:
        """All that has arrived."""
        return b"".join([self.head_bytes, self.body[: self.arrived], self.behind])
