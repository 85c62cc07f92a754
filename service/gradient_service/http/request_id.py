"""Every request has an id: the caller's, or one made here, told in the reply's header, in problems, and in the log."""

import re
from uuid import uuid4

from starlette.types import Scope

HEADER = "x-request-id"
FIELD = HEADER.encode()
VISIBLE_ASCII = re.compile(rb"[\x21-\x7e]{1,128}")


def request_id_of(scope: Scope) -> str:
    """Return the id of a request, settled when it is first asked for and kept in the request's state."""
    state: dict[str, str] = scope.setdefault("state", {})
    if "request_id" not in state:
        given = next((value for name, value in scope["headers"] if name == FIELD), b"")
        state["request_id"] = given.decode() if VISIBLE_ASCII.fullmatch(given) else uuid4().hex
    return state["request_id"]
