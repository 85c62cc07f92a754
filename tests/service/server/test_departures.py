"""The real process: a long computation ends soon after nobody waits for it, seen by the worker's CPU time."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from .conftest import Process, running

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU time is read from /proc"),
]

ROWS, CLASSES = 100_000, 200
"""N·K² is 4 thousand million: half a minute of work, in hundreds of blocks."""
GRACE_SECONDS = 0.2
STARTED_CPU_SECONDS, MORE_CPU_SECONDS, IDLE_CPU_SECONDS = 1.0, 0.3, 0.05
SETTINGS = {"GRADIENT_MAX_JACOBIAN_ELEMENTS": str(2**40)}


@pytest.fixture(scope="module")
def body() -> bytes:
    """A request for the gradient multiplied out."""
    arrays = {"logits": np.ones((ROWS, CLASSES), np.float32), "labels": np.zeros(ROWS, np.int32)}
    return save(arrays, metadata={"options": json.dumps({"include": ["gradient_by_chain_rule"]})})


def head(body: bytes, *fields: str) -> bytes:
    """The head of a call."""
    lines = ["POST /gradient HTTP/1.1", "Host: localhost", "Content-Type: application/x-safetensors", *fields]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode()


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, in all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_until_idle(pid: int) -> float:
    """CPU time that a process still uses, until a second in which it uses next to none."""
    before = last = cpu_seconds(pid)
    while True:
        time.sleep(1.0)
        now = cpu_seconds(pid)
        if now <= last + IDLE_CPU_SECONDS:
            return now - before
        last = now


def wait_for_work(pid: int, seconds: float, connection: socket.socket) -> None:
    """Wait until a process has used some CPU time, or has answered."""
    until, give_up = cpu_seconds(pid) + seconds, time.monotonic() + 60
    while cpu_seconds(pid) < until and not select.select([connection], [], [], 0.01)[0]:
        assert time.monotonic() < give_up, "no work is done"


@contextmanager
def calling(process: Process, data: bytes) -> Iterator[socket.socket]:
    """Have a call computing while the block begins."""
    (worker,) = process.workers()
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        connection.settimeout(60)
        connection.sendall(data)
        wait_for_work(worker, STARTED_CPU_SECONDS, connection)
        yield connection


def test_the_cpu_is_free_once_the_caller_has_left(body: bytes) -> None:
    """The worker does no more than 200 ms of work after the connection has closed, and takes other work.

    CPU time counts, not the clock's, so that other processes do not.
    """
    with running(**SETTINGS) as process:
        (worker,) = process.workers()
        with calling(process, head(body) + body) as connection:
            wait_for_work(worker, MORE_CPU_SECONDS, connection)
            assert not select.select([connection], [], [], 0)[0], "the work is too short to be ended"
        assert cpu_seconds_until_idle(worker) <= GRACE_SECONDS
        assert process.is_ready()


def test_the_cpu_is_free_past_the_deadline(body: bytes) -> None:
    """The answer comes, and the worker is idle, after no more work than until 200 ms past the deadline.

    The caller is still there. A busy machine may leave the worker little of the time until then.
    """
    with running(**SETTINGS) as process:
        (worker,) = process.workers()
        before = cpu_seconds(worker)
        with calling(process, head(body, "X-Request-Deadline-Ms: 3000") + body) as connection:
            answer = connection.recv(65_536)
            worked = cpu_seconds(worker) - before
            assert cpu_seconds_until_idle(worker) <= IDLE_CPU_SECONDS
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert worked <= 3.0 + GRACE_SECONDS
