"""How an endpoint becomes a path of the application and of its OpenAPI document."""

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Response
from starlette.routing import Route

from gradient_service.http.keys import Endpoint, Keys


@dataclass(frozen=True, slots=True)
class Path:
    """A path, what answers it, and what the document says of it."""

    path: str
    operation_id: str
    endpoint: Endpoint
    document: dict[str, Any]
    tag: str
    method: str = "GET"
    status: int = 200
    """Of the answer that the framework would describe."""
    is_open: bool = False
    """Whether it answers without a key."""
    summary: str = ""
    """The first line of the endpoint's docstring, unless given."""
    description: str | None = None


def add(app: FastAPI, path: Path, keys: Keys) -> None:
    """Add a path; one that answers GET answers HEAD too, as HTTP asks, and the document lists the GET.

    A plain route answers, the first that matches. The framework's own stands behind it and only describes: its layers
    read parameters and write models, which endpoints here do not leave to it, and cost a small call a good part of its
    time.
    """
    endpoint = path.endpoint if path.is_open else keys.guard(path.endpoint)
    app.router.routes.append(Route(path.path, endpoint, methods=[path.method]))
    app.add_api_route(
        path.path,
        endpoint,
        methods=[path.method],
        status_code=path.status,
        operation_id=path.operation_id,
        summary=path.summary or (path.endpoint.__doc__ or "").strip().splitlines()[0].rstrip("."),
        description=path.description,
        response_class=Response,
        openapi_extra=path.document,
        tags=[path.tag],
    )
