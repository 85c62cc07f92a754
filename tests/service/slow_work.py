"""An operation that takes as long as a test wants, and calls of the application without a client library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from time import sleep

import pytest
from fastapi import FastAPI
from starlette.types import Message

from gradient_service import operations
from gradient_service.app import create_app
from gradient_service.core.blocks import BLOCK_BYTES
from gradient_service.http.catalogue import OPERATIONS
from gradient_service.operations import Work
from gradient_service.schemas.replies import SoftmaxReply
from gradient_service.schemas.requests import SoftmaxRequest
from gradient_service.settings import Settings

BLOCKS = 1000
BLOCK_SECONDS = 0.01
LARGE = b'{"logits": [[' + b"0," * 20_000 + b"0]]}"
"""A body whose call computes in a thread."""
SMALL = b'{"logits": [[0]]}'
INFER = b'{"inputs": [{"name": "logits", "shape": [1, 20001], "datatype": "FP32", "data": [' + b"0," * 20_000 + b"0]}]}"
NATIVE_PATH, INFER_PATH = "/softmax", "/v2/models/softmax/infer"


@dataclass
class SlowWork:
    """A softmax of many blocks, or of one that waits."""

    done: int = 0
    """Blocks that were begun."""
    is_gated: bool = False
    gate: Event = field(default_factory=Event)

    def perform(self, requests: Sequence[SoftmaxRequest], work: Work) -> list[SoftmaxReply]:
        """Do the work."""
        if self.is_gated:
            self.gate.wait()
        else:
            work.execution.run(self._block, (BLOCKS, 1), BLOCK_BYTES)  # so long rows are blocks of their own
        return operations.softmax_of_each(requests, work)

    def _block(self, _: slice) -> None:
        self.done += 1
        sleep(BLOCK_SECONDS)


def app_with(monkeypatch: pytest.MonkeyPatch, slow: SlowWork, **settings: int) -> FastAPI:
    """An application whose softmax is the slow one, on the native path and under /v2."""
    listed = tuple(replace(each, perform=slow.perform) if each.name == "softmax" else each for each in OPERATIONS)
    monkeypatch.setattr("gradient_service.http.routes.OPERATIONS", listed)
    monkeypatch.setattr(
        "gradient_service.http.open_inference.endpoints.MODELS", [each for each in listed if each.answers_tensors]
    )
    app = create_app(Settings.model_construct(None, **settings))
    app.state.lifecycle.is_started = True
    return app


@dataclass
class Caller:
    """Sends parts of a body, then waits, and leaves when told to."""

    parts: tuple[bytes, ...]
    is_whole: bool = True
    leaves: asyncio.Event = field(default_factory=asyncio.Event)
    answered: list[Message] = field(default_factory=list)
    on_answer: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._messages = self._sent()

    async def receive(self) -> Message:
        """Return the next part, or wait for the end."""
        for message in self._messages:
            return message
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the answer."""
        self.on_answer()
        self.answered.append(message)

    async def call(self, app: FastAPI, path: str = NATIVE_PATH, **headers: str) -> None:
        """Make the call."""
        fields = {"host": "service.test", "content-type": "application/json", "transfer-encoding": "chunked"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        }
        await app(scope, self.receive, self.send)

    @property
    def status(self) -> int | None:
        """The status of the answer, None before there is one."""
        return int(self.answered[0]["status"]) if self.answered else None

    def _sent(self) -> Iterator[Message]:
        for position, part in enumerate(self.parts):
            is_last = self.is_whole and position == len(self.parts) - 1
            yield {"type": "http.request", "body": part, "more_body": not is_last}


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true."""
    while not condition():  # noqa: ASYNC110 - what happens in other threads sets no event
        await asyncio.sleep(0.005)
