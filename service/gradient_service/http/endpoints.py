"""How an endpoint becomes a path of the application and of its OpenAPI document."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gradient_service.http import openapi
from gradient_service.http.keys import Endpoint, Keys


class Told(BaseRoute):
    """A route that says which one it is, for the log; the framework says so of its own kind only."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for this path."""
        scope["route"] = self
        await super().handle(scope, receive, send)


class ToldRoute(Told, Route):
    """A path."""


class ToldMount(Told, Mount):
    """A folder of files."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path, what answers it, and what the document says of it."""

    path: str
    operation_id: str
    endpoint: Endpoint
    document: dict[str, Any] | None
    """None where the document says nothing of it: what only refuses is no part of the API."""
    tag: str
    method: str = "GET"
    is_open: bool = False
    """Whether it answers without a key."""
    summary: str = ""
    """The first line of the endpoint's docstring, unless given."""
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """An endpoint as an ASGI application, which raises what the endpoint raises."""

    endpoint: Endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


class ShortWay:
    """Leads a request for a path that is written out to its route, and any other to the router, which tries them all.

    Args:
        router: what finds the others.
        routes: of the application.
    """

    def __init__(self, router: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._router = router
        self._routes: dict[tuple[str, str], ToldRoute] = {}
        for route in routes:
            if isinstance(route, ToldRoute) and not route.param_convertors:
                for method in route.methods or ():
                    self._routes.setdefault((method, route.path), route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._router(scope, receive, send)
        else:
            scope["route"] = route
            await route.app(scope, receive, send)


def add(app: FastAPI, path: Path, keys: Keys) -> None:
    """Add a path; one that answers GET answers HEAD too, as HTTP asks, and the document lists the GET.

    A plain route answers, the first that matches. The framework's own stands behind it and only describes: its layers
    read parameters and write models, which endpoints here do not leave to it, and cost a small call a good part of its
    time.
    """
    endpoint = path.endpoint if path.is_open else keys.guard(path.endpoint)
    app.router.routes.append(ToldRoute(path.path, Answering(endpoint), methods=[path.method], name=path.operation_id))
    if path.document is None:
        return
    app.add_api_route(
        path.path,
        endpoint,
        methods=[path.method],
        operation_id=path.operation_id,
        summary=path.summary or (path.endpoint.__doc__ or "").strip().splitlines()[0].rstrip("."),
        description=path.description,
        response_class=Response,
        openapi_extra=openapi.path_document(path.document, is_open=path.is_open),
        tags=[path.tag],
    )
