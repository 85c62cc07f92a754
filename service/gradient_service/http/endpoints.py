"""How an endpoint becomes a path of the application and of its OpenAPI document."""

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Response

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


def add(app: FastAPI, path: Path, keys: Keys) -> None:
    """Add a path; one that answers GET answers HEAD too, as HTTP asks, and the document lists the GET."""
    endpoint = path.endpoint if path.is_open else keys.guard(path.endpoint)
    app.add_api_route(
        path.path,
        endpoint,
        methods=[path.method],
        status_code=path.status,
        operation_id=path.operation_id,
        summary=(path.endpoint.__doc__ or "").strip().splitlines()[0].rstrip("."),
        response_class=Response,
        openapi_extra=path.document,
        tags=[path.tag],
    )
    if path.method == "GET":
        head = f"{path.operation_id}_head"
        app.add_api_route(path.path, endpoint, methods=["HEAD"], operation_id=head, include_in_schema=False)
