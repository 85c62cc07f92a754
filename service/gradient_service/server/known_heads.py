"""Heads of calls that were answered, and what they settle: the same bytes settle the same again.

The length of the body is no part of what is compared: the numbers of JSON are now longer, now shorter.
"""

import re
from collections.abc import Collection

from gradient_service.core.records import record
from gradient_service.http.calls import Repeatable
from gradient_service.http.patience import HEADER as DEADLINE
from gradient_service.http.request_id import FIELD as REQUEST_ID
from gradient_service.http.trace_context import HEADER as TRACE

END_OF_HEAD = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,9})(?=\r\n)", re.IGNORECASE)
MAX_HEAD_BYTES = 4096
MAX_HEADS = 256
OF_ONE_CALL = frozenset({REQUEST_ID, TRACE, DEADLINE.lower().encode()})
"""Fields that say something of one call and no other."""
OF_OTHER_WAYS = frozenset({b"expect", b"origin", b"transfer-encoding", b"upgrade"})
"""Fields of calls that are answered in more steps than one."""


@record()
class Head:
    """The head of a message, cut where its body begins."""

    size: int
    """Its length, the end included."""
    body_bytes: int
    rest: bytes
    """The head without the length of the body."""


class KnownHeads:
    """What the heads that one process knows have settled; those that it has known for longest give way to new ones."""

    def __init__(self) -> None:
        self._settled: dict[bytes, Repeatable] = {}

    def find(self, head: Head) -> Repeatable | None:
        """Return what a head settles, None where it is not known or its body is too long for the short way."""
        settled = self._settled.get(head.rest)
        return settled if settled is not None and head.body_bytes <= settled.max_bytes else None

    def keep(self, head: Head, settled: Repeatable) -> None:
        """Know a head from now on."""
        if len(self._settled) >= MAX_HEADS:
            del self._settled[next(iter(self._settled))]
        self._settled[head.rest] = settled


def head_of(message: bytes) -> Head | None:
    """Return the head that a message begins with; None where it is not there whole, is long, or tells no length."""
    end = message.find(END_OF_HEAD, 0, MAX_HEAD_BYTES)
    length = LENGTH.search(message, 0, end + len(b"\r\n")) if end >= 0 else None
    if length is None:
        return None
    rest = message[: length.start()] + message[length.end() : end]
    return Head(end + len(END_OF_HEAD), int(length[1]), rest)


def can_come_again(fields: Collection[bytes]) -> bool:
    """Return whether another call may have a head with fields of these names, and be answered at once."""
    return OF_ONE_CALL.isdisjoint(fields) and OF_OTHER_WAYS.isdisjoint(fields)
