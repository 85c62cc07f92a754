"""The time limit of a call, against services that are silent, drip or stall."""

from __future__ import annotations

import gzip
import socket
import time

import anyio
import httpcore
import numpy as np
import pytest

from gradient_client import AsyncGradientClient, DeadlineExceededError, GradientClient, ResponseError, _time_left
from gradient_client._time_left import Remaining, TimeLeft, TimelyBackend

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


class Unreachable:
    """A network on which nothing answers, and what time it was given for each address."""

    def __init__(self) -> None:
        self.given: dict[str, float] = {}

    def connect_tcp(self, host: str, _: int, timeout: float) -> None:
        """Not at all."""
        self.given[host] = timeout
        raise httpcore.ConnectTimeout


def test_all_addresses_of_a_host_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several addresses that do not answer costs the timeout once."""
    addresses = [f"127.0.0.{last}" for last in (1, 2, 3)]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(_time_left, "getaddrinfo", lambda *_, **__: found)
    network = Unreachable()
    with pytest.raises(httpcore.ConnectTimeout):
        TimelyBackend(network).connect_tcp("many.test", 80, timeout=Remaining(time.monotonic() + 10))
    assert [*network.given] == addresses
    given = [*network.given.values()]
    assert given == sorted(given, reverse=True)
    assert len({*given}) == 3


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
def test_dripping_head(raw: RawService, kind: str) -> None:
    """A head that drips in, a field at a time, ends at the timeout as well."""

    def talk(_number: int, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(1000):
            connection.sendall(b"X-%d: x\r\n" % number)
            time.sleep(0.02)

    began = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        _limits(raw(talk), kind)
    assert 0.2 <= time.monotonic() - began < PATIENCE_SECONDS


def test_a_service_that_takes_a_body_slowly(raw: RawService) -> None:
    """A body that is taken bit by bit, for five seconds, ends at the timeout."""

    def talk(_number: int, connection: socket.socket) -> None:
        while connection.recv(256 * 1024):
            time.sleep(0.02)

    began = time.monotonic()
    with GradientClient(raw(talk), timeout=0.2) as client, pytest.raises(DeadlineExceededError):
        client.softmax(np.zeros((1000, 8000)))
    assert 0.2 <= time.monotonic() - began < PATIENCE_SECONDS


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_endless_reply(raw: RawService, kind: str) -> None:
    """A body without an end is read up to the length of the longest answer, and then refused."""
    sent: list[int] = []

    def talk(_number: int, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        sent.extend(connection.send(bytes(64 * 1024)) for _ in range(2000))

    with pytest.raises(ResponseError, match="longer than the 1048576 bytes"):
        _limits(raw(talk), kind, timeout=20)
    assert sum(sent) < 16 * 1024 * 1024  # what was read, and what the kernel's buffers hold


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_coded_reply(raw: RawService, kind: str) -> None:
    """A body that would have to be inflated first, to any length, is refused as it came."""
    body = gzip.compress(bytes(64 * 1024 * 1024))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    address = raw(lambda _number, connection: connection.sendall(head % len(body) + body))
    with pytest.raises(ResponseError, match="coded as gzip"):
        _limits(address, kind, timeout=20)


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


def _limits(address: str, kind: str, timeout: float = 0.2) -> None:
    if kind == "sync":
        with GradientClient(address, timeout=timeout) as client:
            client.limits()
        return

    async def ask() -> None:
        async with AsyncGradientClient(address, timeout=timeout) as client:
            await client.limits()

    anyio.run(ask)


def test_phases_share_one_budget() -> None:
    """The HTTP library's four timeouts are what is left of one."""
    left = TimeLeft(5.0)
    time.sleep(0.03)
    assert all(0 < (left[phase] or 0) <= 4.97 for phase in left)
    assert dict(TimeLeft(None)) == dict.fromkeys(("connect", "pool", "read", "write"))
