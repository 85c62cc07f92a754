"""The time limit of a call, against services that are silent, drip or stall."""

from __future__ import annotations

import socket
import time

import anyio
import pytest

from gradient_client import AsyncGradientClient, DeadlineExceededError, GradientClient
from gradient_client._httpx import TimeLeft

from .conftest import HEAD, RawService

PATIENCE_SECONDS = 2.0
"""Far less than the services below would take, and room for a busy machine above the timeout of 0.2."""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_silent_service(raw: RawService, kind: str) -> None:
    """A service that never answers costs the timeout and no more, whatever the retries."""
    address = raw(lambda _number, connection: wait_for_departure(connection))
    began = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        _limits(address, kind)
    assert 0.2 <= time.monotonic() - began < PATIENCE_SECONDS


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_dripping_reply(raw: RawService, kind: str) -> None:
    """A body that drips in byte by byte ends at the timeout, not with its last byte."""

    def talk(_number: int, connection: socket.socket) -> None:
        connection.sendall(HEAD % 1000)
        for _ in range(1000):
            connection.sendall(b" ")
            time.sleep(0.02)

    began = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        _limits(raw(talk), kind)
    assert 0.2 <= time.monotonic() - began < PATIENCE_SECONDS


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_stalling_reply(raw: RawService, kind: str) -> None:
    """A body that stops half-way, late, ends at the timeout as well."""

    def talk(_number: int, connection: socket.socket) -> None:
        connection.sendall(HEAD % 1000 + b" ")
        time.sleep(0.15)
        connection.sendall(b" ")
        wait_for_departure(connection)

    began = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        _limits(raw(talk), kind)
    assert 0.2 <= time.monotonic() - began < PATIENCE_SECONDS


def wait_for_departure(connection: socket.socket) -> None:
    """Say nothing until the caller is gone."""
    connection.recv(1)


def _limits(address: str, kind: str) -> None:
    if kind == "sync":
        with GradientClient(address, timeout=0.2) as client:
            client.limits()
        return

    async def ask() -> None:
        async with AsyncGradientClient(address, timeout=0.2) as client:
            await client.limits()

    anyio.run(ask)


def test_phases_share_one_budget() -> None:
    """The HTTP library's four timeouts are what is left of one."""
    left = TimeLeft(5.0)
    time.sleep(0.03)
    assert all(0 < (left[phase] or 0) <= 4.97 for phase in left)
    assert dict(TimeLeft(None)) == dict.fromkeys(("connect", "pool", "read", "write"))
