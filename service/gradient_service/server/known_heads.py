"""Heads of calls that were answered, and what they settle: the same target and fields that are read settle the same.

What each call says of itself is no part of what is compared: how long its body is, its id, its trace, its deadline. Nor
is what nobody here reads, of which clients, tracers and proxies send something else each time.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from gradient_service.core.records import record
from gradient_service.http.calls import Settled
from gradient_service.http.patience import HEADER as DEADLINE_HEADER
from gradient_service.http.request_id import FIELD as REQUEST_ID
from gradient_service.http.request_id import usable_request_id
from gradient_service.http.trace_context import HEADER as TRACE
from gradient_service.http.trace_context import STATE, TraceContext, context_in

LENGTH, DEADLINE = b"content-length", DEADLINE_HEADER.lower().encode()
OWN = frozenset({LENGTH, DEADLINE, REQUEST_ID, TRACE, STATE})
"""Fields that say something of one call."""
OF_OTHER_WAYS = frozenset({b"expect", b"origin", b"transfer-encoding", b"upgrade"})
"""Fields of calls that are answered in more steps than one."""
READ = OF_OTHER_WAYS | {
    b"accept",
    b"accept-encoding",
    b"authorization",
    b"connection",
    b"content-encoding",
    b"content-type",
    b"host",
    b"inference-header-content-length",
    b"proxy-connection",  # the parser takes it for `connection`
    b"range",
}
"""All other fields that anything here reads."""
FIELD = re.compile(rb"(?<=\n)([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)\r\n")
"""A field as the parser takes it, too; looked for where a line begins only, or bad lines would take long."""
NUMBER = re.compile(rb"[0-9]{1,9}")
END_OF_HEAD = b"\r\n\r\n"
MAX_HEAD_BYTES = 4096
MAX_HEADS = 256


@record()
class Head:
    """The head of a message, cut where its body begins."""

    size: int
    """Its length, the end included."""
    num_fields: int
    body_bytes: int
    own: Mapping[bytes, bytes]
    """The fields that say something of this call, by their names in small letters."""
    shared: bytes
    """Its first line, and the fields that are read of calls that are alike."""

    @property
    def target(self) -> bytes:
        """What the call is for."""
        return self.shared.split(b" ", 2)[1]

    @property
    def deadline_ms(self) -> int | None:
        """How long the caller waits, None where it does not say."""
        return int(self.own[DEADLINE]) if DEADLINE in self.own else None

    @property
    def trace(self) -> TraceContext | None:
        """What the caller says of its trace."""
        own = self.own
        return context_in([own[TRACE]], [own[STATE]] if STATE in own else []) if TRACE in own else None

    @property
    def request_id(self) -> str:
        """The caller's id of the call, or a new one."""
        return usable_request_id(self.own.get(REQUEST_ID, b""))


@record()
class Known:
    """What is known by a head."""

    settled: Settled
    is_last: bool
    """Whether the connection ends with the reply."""


class KnownHeads:
    """What the heads that one process knows have settled; those that it has known for longest give way to new ones."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}

    def find(self, head: Head) -> Known | None:
        """Return what is known by a head, None where it is not."""
        return self._known.get(head.shared)

    def keep(self, head: Head, settled: Settled, *, is_last: bool) -> None:
        """Know a head from now on."""
        if head.shared not in self._known and len(self._known) >= MAX_HEADS:
            del self._known[next(iter(self._known))]
        self._known[head.shared] = Known(settled, is_last)


def head_of(message: bytes) -> Head | None:
    """Return the head that a message begins with.

    None where it is not there whole, is long, tells no length, is malformed, or says something of itself twice.
    """
    end = message.find(END_OF_HEAD, 0, MAX_HEAD_BYTES)
    return None if end < 0 else _head(message[: end + len(END_OF_HEAD)])


# Callers that give their calls no ids send the same bytes again and again.
@lru_cache(maxsize=MAX_HEADS)
def _head(message: bytes) -> Head | None:
    line, _, _ = message.partition(b"\r\n")
    parts = FIELD.split(message[len(line) + len(b"\r") : -len(b"\r\n")])
    own: dict[bytes, bytes] = {}
    shared = [line]
    for name, value in zip(map(bytes.lower, parts[1::3]), parts[2::3], strict=True):
        if name in READ:
            shared.append(b"%b:%b" % (name, value.strip(b" \t")))
        elif name in OWN:
            if name in own:
                return None
            own[name] = value.strip(b" \t")
    numbers = [own[name] for name in (LENGTH, DEADLINE) if name in own]
    if parts[0] != b"\n" or any(parts[3::3]) or LENGTH not in own or not all(map(NUMBER.fullmatch, numbers)):
        return None
    if DEADLINE in own and not int(own[DEADLINE]):
        return None
    return Head(len(message), len(parts) // 3, int(own[LENGTH]), own, b"\r\n".join(shared))


def can_come_again(fields: Collection[bytes]) -> bool:
    """Return whether another call may have a head with fields of these names, and be answered at once."""
    return OF_OTHER_WAYS.isdisjoint(fields)
