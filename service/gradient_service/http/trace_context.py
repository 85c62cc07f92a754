"""The trace that a request belongs to, as its caller says: `traceparent` and `tracestate` of W3C Trace Context."""

import re
from collections.abc import Sequence
from uuid import uuid4

from starlette.types import Scope

from gradient_service.core.records import record

HEADER, STATE = b"traceparent", b"tracestate"
# Version 00 has these four parts and no more, a later one may have others behind them, and ff is none. An id of zeros
# only is none either. W3C Trace Context, 3.2.2 and 4.3.
FIELD = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})(?:-.*)?"
)


@record()
class TraceContext:
    """What a caller says of its trace."""

    trace_id: str
    parent_id: str
    """Of the caller's span."""
    flags: int
    state: bytes
    """What the systems that the trace has passed add to it; as it came, so it may be malformed."""

    @property
    def ids(self) -> dict[str, str]:
        """The ids of the trace, of the caller's span, and of a new one for this request."""
        return {"trace_id": self.trace_id, "parent_id": self.parent_id, "span_id": uuid4().hex[16:]}


def context_of(scope: Scope) -> TraceContext | None:
    """Return what a request says of its trace.

    What is malformed, or told more than once, is as good as not told.
    """
    fields = scope["headers"]
    given = [value for name, value in fields if name == HEADER]
    return context_in(given, [value for name, value in fields if name == STATE]) if given else None


def context_in(given: Sequence[bytes], state: Sequence[bytes]) -> TraceContext | None:
    """Return the same of the fields themselves."""
    match = FIELD.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        return None
    ids = match["trace"].decode(), match["parent"].decode()
    return TraceContext(*ids, int(match["flags"], 16), b",".join(state))
