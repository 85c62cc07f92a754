"""The application in this process, a client of it, and what every problem document has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gradient_service.app import create_app
from gradient_service.http.traces import Traces
from gradient_service.settings import Settings

JSON = {"Content-Type": "application/json"}
MAX_PROBLEM_BYTES = 16 * 1024
MAX_ERRORS = 20
PROBLEM_FIELDS = {"type", "title", "status", "detail", "instance", "request_id", "errors", "error"}


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """A client whose requests end in the application; what the application raises is a reply, as on a server."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service.test")


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the service runs on."""
    return "asyncio"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """What gets the spans."""
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Traces:
    """What makes them."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Traces(provider.get_tracer("gradient-service"))


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """The application with the default settings, whatever the environment says."""
    return create_app(Settings.model_construct())


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application."""
    async with client_of(app) as client:
        yield client


async def post(http: httpx.AsyncClient, path: str, body: object, **headers: str) -> httpx.Response:
    """The reply to a body: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.post(path, content=content, headers=JSON | named)


def check_problem(reply: httpx.Response, status: int, slug: str, pointer: str = "") -> dict[str, Any]:
    """The problem document of a reply, which must be a complete one with this status, slug and first pointer."""
    assert reply.headers["content-type"] == "application/problem+json"
    assert len(reply.content) <= MAX_PROBLEM_BYTES
    problem: dict[str, Any] = json.loads(reply.content)
    errors = problem["errors"]
    found = (reply.status_code, problem["type"], errors[0]["code"], errors[0]["pointer"])
    assert found == (status, f"/problems/{slug}", slug, pointer)
    assert set(problem) == PROBLEM_FIELDS
    assert 1 <= len(errors) <= MAX_ERRORS
    assert all(set(error) == {"pointer", "code", "detail"} and error["detail"] for error in errors)
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"] == problem["error"] == errors[0]["detail"]
    assert problem["instance"] == httpx.URL(reply.request.url).path[:200]
    assert problem["request_id"] == reply.headers["x-request-id"]
    return problem
