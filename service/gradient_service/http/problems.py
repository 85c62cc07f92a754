"""The one door out for errors: the body that every answer from 400 up has."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from gradient_service.core.errors import MAX_FAULTS, Fault, InvalidInputError
from gradient_service.http import request_id
from gradient_service.http.problem_types import PROBLEM_TYPES, title_of
from gradient_service.http.request_id import request_id_of
from gradient_service.schemas.problem import Problem, ProblemError, Slug
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_grammar import pointer

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL_LENGTH = 400
MAX_INSTANCE_LENGTH = 200

SLUG_BY_STATUS = {HTTPStatus.NOT_FOUND: Slug.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED: Slug.METHOD_NOT_ALLOWED}

FILE_METHODS = ("GET", "HEAD")  # what mounted files answer; a mount does not say
FRAMEWORK_DETAILS = {
    Slug.NOT_FOUND: "There is nothing at this path.",
    Slug.METHOD_NOT_ALLOWED: "This path does not answer this method.",
    Slug.INTERNAL_ERROR: "The fault is the service's; it was logged.",
}

logger = logging.getLogger("gradient_service.problems")


class HttpProblemError(Exception):
    """Raised where a request is refused for what HTTP says of it, before its body is looked at."""

    def __init__(self, slug: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.headers = dict(headers or {})


def problem_response(
    request: Request, errors: Iterable[ProblemError], headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer for one or more errors; the first one names the type and the status, and is told in the log."""
    problem = problem_of(tuple(errors), request.scope["path"], request_id_of(request.scope))
    request.state.problem = problem.errors[0].code
    return Response(problem_bytes(problem), problem.status, headers, MEDIA_TYPE)


def refusal(request: Request, error: HttpProblemError) -> Response:
    """Return the answer to a request that is refused for what HTTP says of it."""
    return problem_response(request, [problem_error(error.slug, error.detail)], error.headers)


def problem_of(errors: Sequence[ProblemError], path: str, request_id: str) -> Problem:
    """Return the problem document of one or more errors at a path."""
    first = errors[0]
    return Problem(
        type=f"/problems/{first.code}",
        title=title_of(first.code),
        status=PROBLEM_TYPES[first.code].status,
        detail=first.detail,
        instance=printable(path, MAX_INSTANCE_LENGTH),
        request_id=request_id,
        errors=list(errors[:MAX_FAULTS]),
        error=first.detail,
    )


def problem_bytes(problem: Problem) -> bytes:
    """Return a problem as it is sent."""
    return orjson.dumps(problem.model_dump())


def problem_error(code: str, detail: str, place: str = "") -> ProblemError:
    """Return one error with its texts made safe to send."""
    return ProblemError(
        pointer=printable(place, MAX_INSTANCE_LENGTH),
        code=Slug(code),
        detail=printable(detail, MAX_DETAIL_LENGTH),
    )


def printable(text: str, length: int) -> str:
    """Return text that any encoder takes: no control characters, no halves of surrogate pairs, bounded."""
    text = text[:length]
    return text if text.isprintable() else "".join(part if part.isprintable() else "�" for part in text)


def _of_fault(fault: Fault) -> ProblemError:
    path = () if fault.field is None else (fault.field, *fault.index)
    return problem_error(fault.code, fault.detail, pointer(path))


def handlers(app: FastAPI) -> dict[type[Exception], Callable[..., Awaitable[Response]]]:
    """Return what makes a problem of every exception that the application or the framework can raise."""

    async def on_invalid_input(request: Request, error: InvalidInputError) -> Response:
        return problem_response(request, map(_of_fault, error.faults))

    async def on_malformed_body(request: Request, error: MalformedBodyError) -> Response:
        return problem_response(request, [problem_error(error.code, error.detail, error.pointer)])

    async def on_http_problem(request: Request, error: HttpProblemError) -> Response:
        return refusal(request, error)

    async def on_framework_error(request: Request, error: HTTPException) -> Response:
        slug = SLUG_BY_STATUS.get(HTTPStatus(error.status_code), Slug.INTERNAL_ERROR)
        return problem_response(request, [problem_error(slug, FRAMEWORK_DETAILS[slug])], _allow(app, request, slug))

    async def on_departure(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it

    return {
        InvalidInputError: on_invalid_input,
        MalformedBodyError: on_malformed_body,
        HttpProblemError: on_http_problem,
        HTTPException: on_framework_error,
        ClientDisconnect: on_departure,
        Exception: on_anything_else,
    }


async def on_anything_else(request: Request, error: Exception) -> Response:
    """Answer for what nobody foresaw, and log where it was raised."""
    logger.error({"message": "a request failed", "request_id": request_id_of(request.scope)}, exc_info=error)
    return problem_response(request, [problem_error(Slug.INTERNAL_ERROR, FRAMEWORK_DETAILS[Slug.INTERNAL_ERROR])])


async def on_fault_of_layer(request: Request, error: Exception) -> Response:
    """Answer for what a layer itself raised, outside of the one that adds the request's id."""
    response = await on_anything_else(request, error)
    response.headers[request_id.HEADER] = request_id_of(request.scope)
    return response


def _allow(app: FastAPI, request: Request, slug: str) -> dict[str, str]:
    """Return every method that some route answers at this path; the framework names those of the first route only."""
    if slug != Slug.METHOD_NOT_ALLOWED:
        return {}
    scope = dict(request.scope) | {"root_path": request.scope.get("app_root_path", request.scope["root_path"])}
    methods = {
        method
        for route in app.routes
        if route.matches(scope)[0] is not Match.NONE
        for method in getattr(route, "methods", None) or FILE_METHODS
    }
    return {"Allow": ", ".join(sorted(methods))}
