"""The body of every answer from 400 up: RFC 9457 problem details."""

from gradient_service.schemas.fields import Body


class ProblemError(Body):
    """One fault."""

    pointer: str
    """RFC 6901 pointer into the JSON form of the request."""
    code: str
    """The slug of the problem."""
    detail: str


class Problem(Body):
    """RFC 9457 problem details."""

    type: str
    """`/problems/<slug>`."""
    title: str
    status: int
    detail: str
    instance: str
    """The path that was asked for."""
    request_id: str
    errors: list[ProblemError]
    """At most 20, in document order; the first one's code is the type's slug."""
    error: str
    """The detail again, where Open Inference clients read it."""
