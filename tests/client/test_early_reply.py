"""Replies that come before all of a long body has been sent, from a service that then reads no further."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import anyio
import numpy as np
import pytest

from gradient_client import AsyncGradientClient, GradientClient, UnauthenticatedError

from .conftest import RawService

ROWS = np.zeros((4000, 1000))
"""More than the buffers of both sides take."""
REFUSAL = json.dumps({"type": "/problems/unauthenticated", "status": 401, "detail": "A key is needed."}).encode()
HEAD = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n" % len(REFUSAL)
)


def call(address: str, kind: str) -> Any:
    """The probabilities of many rows, asked for by a client of each kind."""
    if kind == "sync":
        with GradientClient(address) as client:
            return client.softmax(ROWS)

    async def ask() -> Any:
        async with AsyncGradientClient(address) as client:
            return await client.softmax(ROWS)

    return anyio.run(ask, backend=kind)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])
def test_a_refusal_is_read_while_the_body_is_sent(raw: RawService, kind: str, parts: int) -> None:
    """It is that, not a lost connection, and the body is not sent again."""
    calls = []

    def talk(number: int, connection: socket.socket) -> None:
        calls.append(number)
        connection.sendall(HEAD)
        if parts > 1:
            time.sleep(0.1)
        connection.sendall(REFUSAL)
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.5)  # and then resets the connection, as it has not read all

    with pytest.raises(UnauthenticatedError):
        call(raw(talk), kind)
    assert calls == [0]


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_a_service_that_leaves_is_no_answer(raw: RawService, kind: str) -> None:
    """A connection that breaks while the body is sent is tried again, and then answered."""

    def talk(number: int, connection: socket.socket) -> None:
        if number:
            connection.sendall(HEAD + REFUSAL)
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.5)

    with pytest.raises(UnauthenticatedError):
        call(raw(talk), kind)
