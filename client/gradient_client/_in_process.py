"""The service's own application in place of the network: the same bytes, read and written by the same code."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import MutableMapping
from importlib import import_module
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread

from ._transport import HttpReply, HttpRequest
from .errors import ConfigurationError

Message = MutableMapping[str, Any]

URL = "http://localhost"
"""What the application is addressed as."""


class InProcessTransport:
    """Hands requests to the application of this process. It has nothing to close, and no state to pickle."""

    def __init__(self) -> None:
        try:
            import_module("gradient_service")  # installed or not is to be known before the first call
        except ImportError:
            raise ConfigurationError(
                "in_process() needs the service, the package gradient_service, installed beside the client"
            ) from None

    def __call__(self, request: HttpRequest) -> HttpReply:
        """The application's reply; a TimeoutError when the request's time is up."""
        return _application().exchange(request)


class AsyncInProcessTransport(InProcessTransport):
    """The same for tasks of any event loop, the application keeping its own."""

    async def __call__(self, request: HttpRequest) -> HttpReply:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] # as a transport it stands for itself
        """The application's reply; a TimeoutError when the request's time is up."""
        return await anyio.to_thread.run_sync(super().__call__, request, abandon_on_cancel=True)


class Application:
    """The service's application on an event loop in a thread of its own, until this process ends."""

    def __init__(self) -> None:
        from gradient_service.app import create_app  # noqa: PLC0415 - the service need not be installed
        from gradient_service.settings import Settings  # noqa: PLC0415 - the same

        # Whatever the environment says: keys and limits there are for those who call over the network.
        self._app = create_app(Settings.model_construct())
        self._app.state.lifecycle.is_started = True
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="gradient-service", daemon=True)
        self._thread.start()
        atexit.register(self._end, os.getpid())

    def exchange(self, request: HttpRequest) -> HttpReply:
        """The reply to a request."""
        running = asyncio.run_coroutine_threadsafe(self._exchange(request), self._loop)
        try:
            return running.result(request.timeout_seconds)
        finally:
            running.cancel()  # it has no effect on what is done

    async def _exchange(self, request: HttpRequest) -> HttpReply:
        coming = [{"type": "http.request", "body": request.body}]
        start: Message = {}
        pieces: list[bytes] = []

        async def receive() -> Message:
            if not coming:
                await asyncio.Event().wait()  # the caller stays to the end
            return coming.pop()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                pieces.append(bytes(message.get("body", b"")))

        await self._app(_scope(request), receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return HttpReply(start["status"], headers, b"".join(pieces))

    def _end(self, process: int) -> None:
        if process == os.getpid():  # in a fork there is no such thread
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


_applications: dict[int, Application] = {}
_making: dict[int, Lock] = {}


def _application() -> Application:
    """The application of this process, which a fork makes anew; all clients share it, as they would over a network."""
    process = os.getpid()
    with _making.setdefault(process, Lock()):  # a lock of each process: in a fork nobody is left to release another's
        if process not in _applications:
            _applications[process] = Application()
        return _applications[process]


def _scope(request: HttpRequest) -> dict[str, Any]:
    """A request as ASGI has it."""
    path = urlsplit(request.url).path
    headers = {"Host": "localhost", **request.headers}
    if request.method == "POST":
        headers["Content-Length"] = str(len(request.body))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 0),
        "server": ("localhost", 80),
    }
