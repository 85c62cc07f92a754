"""The real service on a loopback port, and one way to ask it through each client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
import uvicorn

from gradient_client import AsyncGradientClient, GradientClient, Retry
from gradient_client._wire import WireName
from gradient_service.app import create_app
from gradient_service.settings import Settings

NO_RETRY = Retry(max_retries=0)
Ask = Callable[..., Any]
SECONDS = 60.0
"""So long a call may take, where the machine has other work."""


@contextmanager
def serving(settings: Settings | None = None, *, port: int = 0) -> Iterator[str]:
    """The address of a service that runs while the block does, on a free port unless one is given."""
    app = create_app(settings or Settings.model_construct())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    bound = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{bound}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The address of a service with the default settings."""
    with serving() as address:
        yield address


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the asynchronous tests."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRADIENT_SERVICE_URL", "GRADIENT_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["binary", "json"])
def wire(request: pytest.FixtureRequest) -> WireName:
    """The format of bodies, one after the other."""
    name: WireName = request.param
    return name


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, url: str, wire: WireName) -> Ask:
    """Run one method of a client of each kind, in each format, against the service."""

    def run(method: str, *args: object, at: str = url, **options: object) -> Any:
        if request.param == "sync":
            with GradientClient(at, timeout=SECONDS, retry=NO_RETRY, wire=wire) as client:
                return getattr(client, method)(*args, **options)

        async def run_async() -> Any:
            async with AsyncGradientClient(at, timeout=SECONDS, retry=NO_RETRY, wire=wire) as client:
                return await getattr(client, method)(*args, **options)

        return anyio.run(run_async)

    return run
