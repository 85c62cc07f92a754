"""Which path answers what: the one list of routes."""

from http import HTTPStatus

from fastapi import FastAPI

from gradient_service.http import endpoints, native, openapi, pages
from gradient_service.http.calls import Call
from gradient_service.http.catalogue import OPERATIONS
from gradient_service.http.endpoints import Path
from gradient_service.http.health import Health, Readiness
from gradient_service.http.keys import Keys
from gradient_service.http.limits import Limits
from gradient_service.http.metrics import MEDIA_TYPE, Metrics
from gradient_service.http.open_inference.routes import paths as open_inference_paths
from gradient_service.http.problem_pages import ProblemPages
from gradient_service.schemas.replies import HealthReply, LimitsReply
from gradient_service.settings import Settings

VERBOSE = ("verbose",)


def install(app: FastAPI, settings: Settings, readiness: Readiness, metrics: Metrics) -> None:
    """Add every route to the application."""
    keys = Keys(settings)
    paths = (
        *_call_paths(settings, readiness),
        *_service_paths(settings, readiness, metrics),
        *ProblemPages(settings).paths(),
        *open_inference_paths(settings, readiness, metrics),
    )
    for path in paths:
        endpoints.add(app, path, keys)
    app.router.routes.extend(pages.routes())


def _call_paths(settings: Settings, readiness: Readiness) -> list[Path]:
    return [
        Path(
            f"/{operation.name}",
            operation.name,
            Call(operation, settings, native.negotiate, readiness.admission).answer,
            openapi.call_document(operation),
            "compute",
            "POST",
            summary=operation.summary,
            description=openapi.description_of(operation, settings),
        )
        for operation in OPERATIONS
    ]


def _service_paths(settings: Settings, readiness: Readiness, metrics: Metrics) -> list[Path]:
    health, limits = Health(readiness), Limits(settings)
    alive = openapi.get_document(HealthReply, asked=VERBOSE)
    ready = openapi.get_document(HealthReply, HTTPStatus.SERVICE_UNAVAILABLE, asked=VERBOSE)
    return [
        Path("/metrics", "metrics", metrics.metrics, openapi.text_document(MEDIA_TYPE), "service"),
        Path("/limits", "limits", limits.limits, openapi.get_document(LimitsReply), "service"),
        Path("/livez", "livez", health.livez, alive, "service", is_open=True),
        Path("/readyz", "readyz", health.readyz, ready, "service", is_open=True),
    ]
