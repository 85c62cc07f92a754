"""Calls from web pages of other origins, as far as the operator listed them."""

from http import HTTPStatus

from fastapi import Response
from starlette.datastructures import Headers
from starlette.middleware.cors import SAFELISTED_HEADERS, CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gradient_service.settings import Settings

QUESTION = frozenset({"origin", "access-control-request-method"})
"""Fields of what a browser asks before it calls."""
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
ANSWER = {
    "Access-Control-Allow-Headers": ", ".join(sorted(SAFELISTED_HEADERS.union(REQUEST_HEADERS))),
    "Access-Control-Allow-Methods": ", ".join(METHODS),
    "Access-Control-Max-Age": "600",
}


class CrossOriginMiddleware(CORSMiddleware):
    """Starlette's, but that it answers nothing itself: whatever refuses a message, a listed page can read it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to the reply to a page whether it may read it."""
        if scope["type"] != "http" or "origin" not in (headers := Headers(scope=scope)):
            await self.app(scope, receive, send)
        else:
            await self.simple_response(scope, receive, send, request_headers=headers)


class PreflightMiddleware:
    """Answers all questions alike: what is not listed is not allowed, which browsers see to."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer which methods and header fields a page may use, and pass on what asks for something else."""
        may_ask = scope["type"] == "http" and scope["method"] == "OPTIONS"
        is_asked = may_ask and QUESTION.issubset(Headers(scope=scope).keys())
        app = Response(status_code=HTTPStatus.NO_CONTENT, headers=ANSWER) if is_asked else self.app
        await app(scope, receive, send)


def answering(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return the application with answers to what browsers ask before they call, where any origin is listed."""
    return PreflightMiddleware(app) if settings.cors_origins else app


def admitting(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return the application open to pages of the listed origins; without any it stays as it is, open to none.

    Credentials that a browser keeps, such as cookies, are none here: a page sends its key itself.
    """
    if not settings.cors_origins:
        return app
    return CrossOriginMiddleware(
        app,
        allow_origins=settings.cors_origins,
        expose_headers=REPLY_HEADERS,
    )
