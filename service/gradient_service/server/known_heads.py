"""Heads of calls that were answered, and what they settle: the same bytes settle the same again."""

from collections.abc import Collection
from dataclasses import dataclass

from gradient_service.core.records import record
from gradient_service.http.calls import AnswerAgain
from gradient_service.http.patience import HEADER as DEADLINE
from gradient_service.http.request_id import FIELD as REQUEST_ID
from gradient_service.http.trace_context import HEADER as TRACE

END_OF_HEAD = b"\r\n\r\n"
MAX_HEAD_BYTES = 4096
MAX_HEADS = 256
OF_ONE_CALL = frozenset({REQUEST_ID, TRACE, DEADLINE.lower().encode()})
"""Fields that say something of one call and no other."""
OF_OTHER_WAYS = frozenset({b"expect", b"origin", b"transfer-encoding", b"upgrade"})
"""Fields of calls that are answered in more steps than one."""


@record()
class KnownHead:
    """What the head of a call settles."""

    head: bytes
    body_bytes: int
    route: str
    answer: AnswerAgain

    @property
    def size(self) -> int:
        """Return the length of the head."""
        return len(self.head)


class KnownHeads:
    """The heads that one process knows; those that have been known for longest give way to new ones."""

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}

    def find(self, head: bytes) -> KnownHead | None:
        """Return what a head settles, None for one that is not known."""
        return self._heads.get(head)

    def keep(self, head: bytes, body_bytes: int, answer: AnswerAgain, route: str) -> None:
        """Know a head from now on."""
        if len(self._heads) >= MAX_HEADS:
            del self._heads[next(iter(self._heads))]
        self._heads[head] = KnownHead(head, body_bytes, route, answer)


def head_of(message: bytes) -> bytes:
    """Return the head that a message begins with, its end included; nothing where it is not there whole, or is long."""
    end = message.find(END_OF_HEAD, 0, MAX_HEAD_BYTES)
    return b"" if end < 0 else message[: end + len(END_OF_HEAD)]


def can_come_again(fields: Collection[bytes]) -> bool:
    """Return whether another call may have a head with fields of these names, and be answered at once."""
    return b"content-length" in fields and OF_ONE_CALL.isdisjoint(fields) and OF_OTHER_WAYS.isdisjoint(fields)


@dataclass(slots=True)
class Repeat:
    """A call whose head is known, on its short way."""

    known: KnownHead
    body: bytes | memoryview
    """As far as it has arrived, and room for the rest."""
    arrived: int
    was_reserved: bool
    """Whether memory was reserved for it."""
    behind: bytes = b""
    """What arrived after its end."""

    @classmethod
    def begun(cls, known: KnownHead, part: bytes) -> "Repeat":
        """Return a call of which this much of the body has arrived."""
        if len(part) == known.body_bytes:
            return cls(known, part, len(part), was_reserved=False)
        body = memoryview(bytearray(known.body_bytes))
        body[: len(part)] = part
        return cls(known, body, len(part), was_reserved=True)

    @property
    def is_whole(self) -> bool:
        """Whether the body has arrived."""
        return self.arrived == self.known.body_bytes

    @property
    def place(self) -> memoryview | None:
        """Where the rest of the body belongs; None when it has arrived."""
        return None if self.is_whole or isinstance(self.body, bytes) else self.body[self.arrived :]

    @property
    def message(self) -> bytes:
        """All that has arrived."""
        return b"".join([self.known.head, self.body[: self.arrived], self.behind])
