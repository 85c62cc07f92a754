"""The trace that a request belongs to, as its caller says: `traceparent` of W3C Trace Context."""

import re
from collections.abc import Sequence
from uuid import uuid4

from starlette.types import Scope

HEADER = b"traceparent"
# Version 00 has these four parts and no more, a later one may have others behind them, and ff is none. An id of zeros
# only is none either. W3C Trace Context, 3.2.2 and 4.3.
FIELD = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)


def trace_of(scope: Scope) -> dict[str, str]:
    """Return the ids of the trace, of the caller's span and of a new one for this request; none where none is told.

    What is malformed, or told more than once, is as good as not told.
    """
    return trace_in([value for name, value in scope["headers"] if name == HEADER])


def trace_in(given: Sequence[bytes]) -> dict[str, str]:
    """Return the same of the fields themselves."""
    match = FIELD.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        return {}
    return {"trace_id": match["trace"].decode(), "parent_id": match["parent"].decode(), "span_id": uuid4().hex[16:]}
