"""Problems as whole HTTP messages, for what is refused before the application sees it."""

from collections.abc import Mapping
from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gradient_service.http.admission import TOO_MANY, overloaded
from gradient_service.http.problems import MEDIA_TYPE, HttpProblemError, problem_bytes, problem_error, problem_of
from gradient_service.schemas.problem import Problem
from gradient_service.wire.json_writer import dump

KEPT_ID = "0" * 32
"""Stands for the request's id in a problem that is kept."""
MEMBER = b'"request_id":'
MESSAGE = b"%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n%b%b%b"
"""The head but for the last two fields, and the content in three parts."""


def last_refusal(error: HttpProblemError, target: bytes, request_id: str, *, is_content_due: bool = True) -> bytes:
    """Return the refusal that ends a connection, its head alone where no content is due, as to HEAD."""
    problem = _problem(error, target, request_id)
    head, content = _head(problem.status, {**error.headers, "connection": "close"}), problem_bytes(problem)
    return MESSAGE % (head, len(content), request_id.encode(), content if is_content_due else b"", b"", b"")


def overload_refusal(target: bytes, request_id: str) -> bytes:
    """Return the refusal of a call that there is no room for; its connection goes on.

    The time that it takes is taken from the calls that are answered, so its parts are written once for each target.
    """
    head, before, after = _kept_overload(target)
    quoted = dump(request_id)
    num_bytes = len(before) + len(quoted) + len(after)
    return MESSAGE % (head, num_bytes, request_id.encode(), before, quoted, after)


@lru_cache(maxsize=64)
def _kept_overload(target: bytes) -> tuple[bytes, bytes, bytes]:
    error = overloaded(TOO_MANY)
    problem = _problem(error, target, KEPT_ID)
    before, _, after = problem_bytes(problem).partition(MEMBER + dump(KEPT_ID))
    return _head(problem.status, error.headers), before + MEMBER, after


def _problem(error: HttpProblemError, target: bytes, request_id: str) -> Problem:
    path = target.partition(b"?")[0].decode("latin-1")
    return problem_of([problem_error(error.slug, error.detail)], path, request_id)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return what can be said before the content and the id are known."""
    fields = {"content-type": MEDIA_TYPE, "x-content-type-options": "nosniff", **headers}
    return STATUS_LINE[status] + "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
