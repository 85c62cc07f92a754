"""From an answer of 400 or more to the error that is raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from ._printable import printable
from ._records import Fault
from ._retry import parse_retry_after
from ._transport import HttpReply
from .errors import (
    RateLimitedError,
    RejectedInputError,
    ServiceError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedWireError,
)

# Four times what the service writes at most; whatever is longer was not written by it.
_MAX_PROBLEM_BYTES = 64 * 1024

_CLASSES: Mapping[int, type[ServiceError]] = {
    400: RejectedInputError,
    401: UnauthenticatedError,
    406: UnsupportedWireError,
    413: TooLargeError,
    415: UnsupportedWireError,
    422: RejectedInputError,
    429: RateLimitedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def build_error(reply: HttpReply, *, request_id: str, now: float) -> ServiceError:
    """The error for a reply, whoever wrote it: the status picks the class, the body only adds facts.

    Args:
        reply: an answer with a status of 400 or more; a proxy's HTML will do.
        request_id: the id that was sent, used when the answer names none.
        now: the time, in seconds since the epoch, against which a Retry-After date is read.

    Returns:
        The error, without its attempts.
    """
    problem = _problem(reply)
    slug = _text(problem, "type").rstrip("/").rpartition("/")[2] or None
    detail = _text(problem, "detail") or _text(problem, "title")
    faults = _faults(problem)
    pointer = faults[0].pointer if faults else None
    known_id = _text(problem, "request_id") or printable(reply.header("X-Request-ID") or request_id)
    return _CLASSES.get(reply.status, ServiceError)(
        _sentence(reply.status, slug, pointer, detail, known_id),
        status=reply.status,
        slug=slug,
        detail=detail,
        pointer=pointer,
        faults=faults,
        request_id=known_id,
        retry_after=parse_retry_after(reply.header("Retry-After"), now=now),
    )


def _problem(reply: HttpReply) -> Mapping[str, Any]:
    """The problem document, or nothing if the body is anything else."""
    media_type = (reply.header("Content-Type") or "").partition(";")[0].strip().lower()
    if media_type not in {"application/problem+json", "application/json"} or len(reply.body) > _MAX_PROBLEM_BYTES:
        return {}
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}


def _text(problem: Mapping[str, Any], name: str) -> str:
    value = problem.get(name)
    return printable(value) if isinstance(value, str) else ""


def _faults(problem: Mapping[str, Any]) -> tuple[Fault, ...]:
    """What is listed as wrong; a proxy's document may hold anything under this name, and is no list of faults then."""
    entries = problem.get("errors")
    if not isinstance(entries, list):
        return ()
    listed = [cast("dict[str, Any]", each) for each in cast("list[object]", entries) if isinstance(each, dict)]
    return tuple(Fault(_text(each, "pointer"), _text(each, "code"), _text(each, "detail")) for each in listed)


def _sentence(status: int, slug: str | None, pointer: str | None, detail: str, request_id: str) -> str:
    """For example: 422 label-out-of-range at /labels/3: … (request 5f0c…)."""
    phrase = slug or (HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown status")
    place = f" at {pointer}" if pointer else ""
    said = f": {detail}" if detail else ""
    return f"{status} {phrase}{place}{said} (request {request_id})"
