"""Every request has an id: the caller's, or one made here, told in the reply's header, in problems, and in the log."""

import re
from random import getrandbits

from starlette.types import Scope

HEADER = "x-request-id"
FIELD = HEADER.encode()
VISIBLE_ASCII = re.compile(rb"[\x21-\x7e]{1,128}")


def request_id_of(scope: Scope) -> str:
    """Return the id of a request, settled when it is first asked for and kept in the request's state."""
    state: dict[str, str] = scope.setdefault("state", {})
    if "request_id" not in state:
        given = next((value for name, value in scope["headers"] if name == FIELD), b"")
        state["request_id"] = usable_request_id(given)
    return state["request_id"]


def usable_request_id(given: bytes) -> str:
    """Return the caller's id, a new one where that is none."""
    return given.decode() if given and VISIBLE_ASCII.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    """Return an id that no other request has had.

    It need not be a secret. The system's own randomness is asked for without the interpreter lock, for which the event
    loop would then queue behind every thread that computes.
    """
    return f"{getrandbits(128):032x}"
