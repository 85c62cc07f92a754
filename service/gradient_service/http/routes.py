"""Which path answers what: the one list of routes."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Response

from gradient_service.http import openapi, pages
from gradient_service.http.calls import OPERATIONS, Call
from gradient_service.http.health import Health, Lifecycle
from gradient_service.http.keys import Endpoint, Keys
from gradient_service.http.limits import Limits
from gradient_service.schemas.replies import HealthReply, LimitsReply
from gradient_service.settings import Settings


def install(app: FastAPI, settings: Settings, lifecycle: Lifecycle) -> None:
    """Add every route to the application."""
    keys = Keys(settings)
    for operation in OPERATIONS:
        app.add_api_route(
            f"/{operation.name}",
            keys.guard(Call(operation, settings).answer),
            methods=["POST"],
            operation_id=operation.name,
            summary=operation.summary,
            description=operation.description,
            response_class=Response,
            openapi_extra=openapi.call_document(operation),
            tags=["compute"],
        )
    health = Health(lifecycle)
    _add_get(app, "/limits", keys.guard(Limits(settings).limits), openapi.get_document(LimitsReply))
    _add_get(app, "/livez", health.livez, openapi.get_document(HealthReply))
    _add_get(app, "/readyz", health.readyz, openapi.get_document(HealthReply, HTTPStatus.SERVICE_UNAVAILABLE))
    app.router.routes.extend(pages.routes())


def _add_get(app: FastAPI, path: str, endpoint: Endpoint, document: dict[str, Any]) -> None:
    """Add a path that answers GET, and HEAD as HTTP asks; the document lists the GET."""
    name = path.removeprefix("/")
    summary = (endpoint.__doc__ or "").strip().rstrip(".")
    app.add_api_route(
        path,
        endpoint,
        methods=["GET"],
        operation_id=name,
        summary=summary,
        response_class=Response,
        openapi_extra=document,
        tags=["service"],
    )
    app.add_api_route(path, endpoint, methods=["HEAD"], operation_id=f"{name}_head", include_in_schema=False)
