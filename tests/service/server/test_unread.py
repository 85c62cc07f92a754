"""Replies that are not read: they count as memory in use, and their connections are ended after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from fastapi import FastAPI
from safetensors.numpy import save

from gradient_service.http.admission import Admission
from gradient_service.server import unread
from gradient_service.server.unread import Unread
from gradient_service.settings import Settings

from .conftest import Talk

pytestmark = pytest.mark.anyio

LARGE = save({"logits": np.zeros((16_384, 1000), np.float32)})
"""The reply to it is longer than what the system takes at once."""
CALL = b"\r\n".join(
    [
        b"POST /softmax HTTP/1.1",
        b"Host: localhost",
        b"Content-Type: application/x-safetensors",
        b"Accept: application/x-safetensors",
        b"Content-Length: %d" % len(LARGE),
        b"",
        LARGE,
    ]
)


class Waiting(asyncio.Transport):
    """What has some bytes to send."""

    num_bytes = 5000
    is_aborted = False

    def get_write_buffer_size(self) -> int:
        """How many."""
        return self.num_bytes

    def abort(self) -> None:
        """End."""
        self.is_aborted = True


async def test_they_count_until_they_are_read() -> None:
    """Once each, also where more comes, and no more behind the end."""
    admission, transport = Admission(Settings.model_construct()), Waiting()
    waits = Unread(transport, admission, asyncio.get_running_loop())
    waits.begin()
    assert admission.in_flight_bytes == 5000
    transport.num_bytes = 7000
    waits.begin()
    assert admission.in_flight_bytes == 7000
    for _ in range(2):
        waits.end()
        assert admission.in_flight_bytes == 0


async def test_they_wait_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the connection is ended, unless they were read meanwhile."""
    monkeypatch.setattr(unread, "UNREAD_SECONDS", 0.05)
    admission = Admission(Settings.model_construct())
    for is_read in (False, True):
        transport = Waiting()
        waits = Unread(transport, admission, asyncio.get_running_loop())
        waits.begin()
        if is_read:
            waits.end()
        await asyncio.sleep(0.15)
        assert transport.is_aborted is not is_read
        waits.end()


@pytest.mark.parametrize("is_read", [True, False])
async def test_who_does_not_read_holds_no_memory_for_long(
    app: FastAPI, connect: Callable[[], Awaitable[Talk]], monkeypatch: pytest.MonkeyPatch, *, is_read: bool
) -> None:
    """Bytes that wait to be sent count beside what the call reserved; who comes back in time gets them all."""
    monkeypatch.setattr(unread, "UNREAD_SECONDS", 10.0 if is_read else 0.5)
    counted: list[int] = []
    count = Admission.count

    def noted(admission: Admission, num_bytes: int) -> None:
        counted.append(num_bytes)
        count(admission, num_bytes)

    monkeypatch.setattr(Admission, "count", noted)
    talk = await connect()
    talk.reader._limit = 4096  # type: ignore[attr-defined]
    await talk.send(CALL)
    while not counted:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    assert app.state.admission.in_flight_bytes > counted[0] > 0
    if is_read:
        talk.reader._limit = len(LARGE)  # type: ignore[attr-defined]
        fields, content = await talk.answer()
        assert fields.startswith(b"http/1.1 200 ")
        assert len(content) > 16_384 * 4000
    else:
        await asyncio.sleep(1.5)
    await asyncio.sleep(0.05)
    assert app.state.admission.in_flight_bytes == 0
