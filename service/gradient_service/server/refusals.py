"""Problems as whole HTTP messages, for what is refused before the application sees it."""

import json
from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gradient_service.http import problems
from gradient_service.http.admission import overloaded
from gradient_service.http.problems import HttpProblemError
from gradient_service.schemas.problem import Problem

KEPT_ID = "0" * 32
"""Stands for the request's id in a problem that is kept."""
KEPT_MEMBER = b'"request_id":"' + KEPT_ID.encode() + b'"'


def last_refusal(error: HttpProblemError, target: bytes, request_id: str) -> bytes:
    """Return the refusal that ends a connection."""
    problem = _problem(error, target, request_id)
    last = HttpProblemError(error.slug, error.detail, {"connection": "close"})
    return _message(last, problem.status, problems.problem_bytes(problem), request_id)


def overload_refusal(target: bytes, request_id: str) -> bytes:
    """Return the refusal of a call that there is no room for; its connection goes on.

    The time that it takes is taken from the calls that are answered, so its problem is written once for each target.
    """
    error, status, before, after = _kept_overload(target)
    content = b'%b"request_id":%b%b' % (before, json.dumps(request_id).encode(), after)
    return _message(error, status, content, request_id)


@lru_cache(maxsize=64)
def _kept_overload(target: bytes) -> tuple[HttpProblemError, int, bytes, bytes]:
    error = overloaded("Too many calls wait to be computed.")
    problem = _problem(error, target, KEPT_ID)
    before, _, after = problems.problem_bytes(problem).partition(KEPT_MEMBER)
    return error, problem.status, before, after


def _problem(error: HttpProblemError, target: bytes, request_id: str) -> Problem:
    path = target.partition(b"?")[0].decode("latin-1")
    return problems.problem_of([problems.problem_error(error.slug, error.detail)], path, request_id)


def _message(error: HttpProblemError, status: int, content: bytes, request_id: str) -> bytes:
    fields = {
        "content-type": problems.MEDIA_TYPE,
        "content-length": str(len(content)),
        "x-content-type-options": "nosniff",
        "x-request-id": request_id,
        **error.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    return STATUS_LINE[status] + head + b"\r\n" + content
