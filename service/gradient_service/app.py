"""The application, assembled as a list. Importing this has no effect; everything hangs on `create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from gradient_service import __version__
from gradient_service.http import openapi, routes
from gradient_service.http.admission import Admission
from gradient_service.http.health import Lifecycle, Readiness
from gradient_service.http.layers import layered
from gradient_service.http.metrics import Metrics
from gradient_service.http.request_log import RequestLog, caller_ids
from gradient_service.http.traces import Traces
from gradient_service.settings import Settings


def create_app(settings: Settings | None = None, traces: Traces | None = None) -> FastAPI:
    """Return the service, ready to be run by any ASGI server.

    Args:
        settings: read from `GRADIENT_…` variables when left out.
        traces: makes spans of requests, and is closed at the end.
    """
    settings = settings or Settings()
    lifecycle, admission = Lifecycle(), Admission(settings)
    metrics = Metrics(admission)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        lifecycle.is_started = True
        async with metrics.looking():
            yield
        lifecycle.is_draining = True
        app.state.request_log.tell_untold()
        if traces is not None:
            traces.close()

    app = FastAPI(
        title="Gradient service",
        summary="Softmax, cross-entropy and their gradients, accurate to the last digits.",
        description=openapi.DESCRIPTION,
        version=__version__,
        openapi_url=None,  # as the pages below, it is a route of ours
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.lifecycle = lifecycle
    app.state.admission = admission
    app.state.readiness = Readiness(lifecycle, admission)
    app.state.request_log = RequestLog(metrics, caller_ids if traces is None else traces.trace)
    routes.install(app, settings, app.state.readiness, metrics)
    openapi.install(app)
    app.middleware_stack = layered(app, settings, lifecycle, app.state.request_log)
    return app
