"""The real process on a loopback port, or one connection in this process, and bytes sent to it as they are."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gradient_service.app import create_app
from gradient_service.server.intake import Intake
from gradient_service.server.repeating import repeating_protocol
from gradient_service.settings import Settings

START_SECONDS = 30.0
PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The event loop that the service runs on."""
    return "asyncio", {"use_uvloop": True}


@dataclass(frozen=True)
class Process:
    """A running service."""

    port: int
    parent: subprocess.Popen[bytes]
    log: list[bytes]
    """The lines that it wrote to stderr since it was ready, there once it has ended."""

    def workers(self) -> list[int]:
        """The processes that answer."""
        listed = subprocess.run(["/usr/bin/pgrep", "-P", str(self.parent.pid)], capture_output=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]

    def send(self, data: bytes, *, seconds: float = 5.0) -> bytes:
        """All that is answered until the other side ends, or until nothing more comes."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.settimeout(seconds)
            answered = b""
            with suppress(ConnectionError):  # what was answered before can still be read
                connection.sendall(data)
            with suppress(TimeoutError, ConnectionError):
                while part := connection.recv(65536):
                    answered += part
            return answered

    def is_ready(self) -> bool:
        """Whether it takes work."""
        try:
            return self.send(b"GET /readyz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
        except ConnectionError:
            return False


def adopt_orphans() -> None:
    """Have what this process starts stay below it when its own parent ends, as the first process of a container has."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


@contextmanager
def running(*arguments: str, **settings: str) -> Iterator[Process]:
    """Serve on a free port while the block runs, as the first process of a container does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIENT_")}
    environment |= {"GRADIENT_READINESS_LEAD_SECONDS": "0", "GRADIENT_WORKERS": "1", **settings}
    command = [sys.executable, "-m", "gradient_service", "serve", "--host", "127.0.0.1", "--port", "0", *arguments]
    with subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        preexec_fn=adopt_orphans,  # noqa: PLW1509 - no other thread runs
    ) as parent:
        log: list[bytes] = []
        said = b""
        try:
            port, said = _started(parent)
            yield Process(port, parent, log)
        finally:
            parent.send_signal(signal.SIGTERM)
            log += (said + parent.communicate(timeout=60)[1]).splitlines()


def _started(parent: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """The port that the service says it listens on, once it answers, and all that it has said by then."""
    assert parent.stderr is not None
    deadline = time.monotonic() + START_SECONDS
    said = b""
    while time.monotonic() < deadline:
        if select.select([parent.stderr], [], [], 0.1)[0]:
            said += os.read(parent.stderr.fileno(), 65536)
        match = re.search(rb"serving on http://127\.0\.0\.1:(\d+)", said)
        if match is not None and Process(int(match[1]), parent, []).is_ready():
            return int(match[1]), said
    pytest.fail(f"the service did not start: {said!r}")


@pytest.fixture(scope="session")
def process() -> Iterator[Process]:
    """A service of one worker with the default settings."""
    with running() as started:
        yield started


class Talk:
    """One connection, and what is answered on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[bytes, bytes]:
        """The next answer: its head, in small letters, and its body."""
        fields = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).lower()
        length = int(fields.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        return fields, await self.reader.readexactly(length)


@pytest.fixture
def app() -> FastAPI:
    """A started application."""
    app = create_app(Settings.model_construct())
    app.state.lifecycle.is_started = True
    return app


@pytest.fixture
def asked(app: FastAPI) -> list[Scope]:
    """What the application is asked."""
    scopes: list[Scope] = []
    answering = app.middleware_stack
    assert answering is not None

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await answering(scope, receive, send)

    app.middleware_stack = told
    return scopes


@pytest.fixture
async def connect(app: FastAPI) -> AsyncIterator[Callable[[], Awaitable[Talk]]]:
    """What connects to a server of the application."""
    protocol = repeating_protocol(Settings(), app.state.readiness, app.state.request_log)
    config = uvicorn.Config(app, log_config=None, http=protocol, lifespan="off")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    speak: Callable[..., Any] = config.http_protocol_class
    server = await loop.create_server(lambda: Intake(speak(config, state, {}), lambda: None), "127.0.0.1", 0)
    talks: list[Talk] = []

    async def connected() -> Talk:
        talks.append(Talk(*await asyncio.open_connection(*server.sockets[0].getsockname())))
        return talks[-1]

    yield connected
    for each in talks:
        each.writer.close()
    server.close()
    while state.connections:  # noqa: ASYNC110 - the protocol sets no event
        await asyncio.sleep(0.01)


@pytest.fixture
async def talk(connect: Callable[[], Awaitable[Talk]]) -> Talk:
    """One connection to it."""
    return await connect()
