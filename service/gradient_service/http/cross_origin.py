"""Calls from web pages of other origins, as far as the operator listed them."""

from http import HTTPStatus

from fastapi import Response
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gradient_service.settings import Settings

METHODS = ("GET", "HEAD", "POST")
REQUEST_HEADERS = (
    "Authorization",
    "Content-Encoding",
    "Inference-Header-Content-Length",
    "Traceparent",
    "Tracestate",
    "X-Request-Deadline-Ms",
    "X-Request-ID",
)
REPLY_HEADERS = (
    "Content-Encoding",
    "Inference-Header-Content-Length",
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    "X-Request-ID",
)


class CrossOriginMiddleware(CORSMiddleware):
    """Starlette's, with one answer to all questions: what is not listed is not allowed, which browsers see to."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer which methods and header fields a page may use, to listed origins only."""
        answer = super().preflight_response(request_headers)
        told = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=told)


def admitting(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return the application open to pages of the listed origins; without any it stays as it is, open to none.

    Credentials that a browser keeps, such as cookies, are none here: a page sends its key itself.
    """
    if not settings.cors_origins:
        return app
    return CrossOriginMiddleware(
        app,
        allow_origins=settings.cors_origins,
        allow_methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=REPLY_HEADERS,
    )
