"""The error tree: classes, facts, pickling."""

from __future__ import annotations

import copy
import inspect
import json
import pickle

import pytest

from gradient_client import HttpReply, errors
from gradient_client._problems import build_error
from gradient_client.results import Attempt

from .conftest import problem

CLASSES = [getattr(errors, name) for name in errors.__all__]
ATTEMPT = Attempt(number=1, status=503, failure=None, started_after_seconds=0.0, elapsed_seconds=0.1)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - our own object
def test_errors_survive_copying(kind: type[errors.GradientClientError], clone: object) -> None:
    """Message and every documented attribute survive pickle, copy and deepcopy."""
    values: dict[str, object] = {"attempts": (ATTEMPT,), "status": 503, "retry_after": 2.0, "index": (1, 2)}
    facts = {name: value for name, value in values.items() if hasattr(kind, name)}
    error = kind("what happened", **facts)
    twin = clone(error)  # type: ignore[operator] # a parameter holds functions
    assert (type(twin), str(twin), vars(twin)) == (kind, "what happened", facts)


@pytest.mark.parametrize("character", ["\x1b", "\n", "\r", "\x00", "\x9b", "\u202e", "\u2028"])
def test_what_is_said_elsewhere_cannot_move_the_cursor(character: str) -> None:
    """No control, line break or mark of direction of an answer is in what is raised."""
    said = f"a{character}b"
    document = {"type": said, "detail": said, "request_id": said, "errors": [{"pointer": said, "detail": said}]}
    reply = HttpReply(422, {"content-type": "application/json"}, json.dumps(document).encode())
    error = build_error(reply, request_id="", now=0)
    assert character not in "".join([str(error), *map(str, vars(error).values())])
    assert character not in str(errors.ResponseError(said))


def test_unknown_fact_is_refused() -> None:
    """A misspelt attribute is a programming mistake."""
    with pytest.raises(TypeError, match="slog"):
        errors.ServiceError("x", slog="y")


def test_tree_is_documented() -> None:
    """The drawing in the module's docstring shows every class."""
    assert all(name in (errors.__doc__ or "") for name in errors.__all__)
    assert all(inspect.getdoc(kind) for kind in CLASSES)


STATUSES = {
    400: errors.RejectedInputError,
    401: errors.UnauthenticatedError,
    404: errors.ServiceError,
    406: errors.UnsupportedWireError,
    413: errors.TooLargeError,
    415: errors.UnsupportedWireError,
    422: errors.RejectedInputError,
    429: errors.RateLimitedError,
    500: errors.ServiceError,
    502: errors.UnavailableError,
    503: errors.UnavailableError,
    504: errors.UnavailableError,
    599: errors.ServiceError,
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", b"[1]", b'{"type": 3, "errors": [7]}', b"{"])
def test_status_picks_class(status: int, kind: type[errors.ServiceError], body: bytes) -> None:
    """A proxy's page and a broken document still give the class of their status."""
    error = build_error(HttpReply(status, {"content-type": "application/problem+json"}, body), request_id="sent", now=0)
    assert type(error) is kind
    assert (error.status, error.slug, error.request_id) == (status, None, "sent")


@pytest.mark.parametrize(
    ("pointer", "row"),
    [
        ("/labels/3", 3),
        ("/labels/" + "9" * 5000, None),
        ("/logits/12/1", 12),
        ("/temperature", None),
        ("/class_weights/1", None),
        ("", None),
    ],
)
def test_row(pointer: str, row: int | None) -> None:
    """The row is the number after the name of a field that has a value, or several, for each row."""
    assert build_error(problem(422, "out-of-range", pointer), request_id="", now=0).row == row


def test_every_fault_is_kept() -> None:
    """The error lists all that was found wrong, in order, and not only the first."""
    faults = [{"pointer": f"/labels/{row}", "code": "label-out-of-range", "detail": "too large"} for row in (3, 7)]
    body = json.dumps({"type": "/problems/label-out-of-range", "errors": [*faults, "nothing"]}).encode()
    error = build_error(HttpReply(422, {"content-type": "application/json"}, body), request_id="", now=0)
    assert [(fault.row, fault.code, fault.detail) for fault in error.faults] == [
        (3, "label-out-of-range", "too large"),
        (7, "label-out-of-range", "too large"),
    ]
    assert (error.pointer, error.row) == ("/labels/3", 3)


def test_a_page_as_long_as_no_problem_is_not_read() -> None:
    """A document longer than any of the service's gives no facts."""
    body = json.dumps({"type": "/problems/overloaded", "detail": "x" * 100_000}).encode()
    error = build_error(HttpReply(503, {"content-type": "application/json"}, body), request_id="", now=0)
    assert (error.slug, error.detail) == (None, "")


def test_facts_of_a_problem() -> None:
    """Slug, detail, request id and Retry-After come from the answer."""
    error = build_error(problem(429, "too-many-requests", Retry_After="7"), request_id="", now=0)
    facts = (error.slug, error.detail, error.request_id, error.retry_after)
    assert facts == ("too-many-requests", "what is wrong", "from-the-service", 7.0)
