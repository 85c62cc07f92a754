"""A call whose head is known, while its body arrives and while it waits for its turn."""

from asyncio import TimerHandle
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any

from gradient_service.http.calls import Settled
from gradient_service.http.request_log import Passage, began_at
from gradient_service.http.timing import StageTiming
from gradient_service.server.arriving import ArrivingBody
from gradient_service.server.known_heads import Head, Known


@dataclass(slots=True)
class Repeat:
    """One such call."""

    known: Known
    head: Head
    head_bytes: bytes
    body: ArrivingBody
    since: float
    """When it began, as `monotonic` says."""
    behind: bytes = b""
    """What arrived after its end."""
    overdue: TimerHandle | None = None
    """Runs while the body arrives, where the caller has a deadline."""

    @classmethod
    def begun(cls, known: Known, head: Head, message: bytes) -> "Repeat":
        """Return the call that a message begins."""
        body = ArrivingBody(head.body_bytes, message[head.size :])
        return cls(known, head, message[: head.size], body, monotonic())

    @property
    def settled(self) -> Settled:
        """What its head settles."""
        return self.known.settled

    def passage(self, timing: StageTiming | None = None) -> Passage:
        """Return since when it was, and for whom."""
        return Passage(began_at(self.since), self.head.trace, self.settled.path, timing)

    @property
    def known_state(self) -> dict[str, Any]:
        """What the application is to know of it, where it answers."""
        return {"arrived_at": self.since, "arrived_bytes": self.body.arrived}

    @property
    def reserved_bytes(self) -> int:
        """How much memory is reserved for a body that comes in parts."""
        return 0 if isinstance(self.body.content, bytes) else len(self.body.content)

    @property
    def seconds_left(self) -> float:
        """How long the caller will still wait."""
        milliseconds = self.head.deadline_ms
        return inf if milliseconds is None else milliseconds / 1000 - (monotonic() - self.since)

    @property
    def message(self) -> bytes:
        """All that has arrived."""
        return b"".join([self.head_bytes, self.body.content[: self.body.arrived], self.behind])
