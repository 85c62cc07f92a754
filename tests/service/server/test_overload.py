"""The real process under more than it can bear: it stays within its memory, and what it answers is right."""

from __future__ import annotations

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from .conftest import Process, running

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"),
]

MIB = 1024 * 1024
BUDGET_BYTES = 1024 * MIB
CALLERS = 16
ROW = b"[" + b"1," * 999 + b"1]"
ROWS = 8 * 1024
JSON_BODY = b'{"include":["probabilities"],"logits":[' + b",".join([ROW] * ROWS) + b"]}"
BINARY_BODY = save({"logits": np.ones((ROWS * 4, 1000), np.float32)})
BODIES = {"application/json": JSON_BODY, "application/x-safetensors": BINARY_BODY}


def resident(pid: int, name: str) -> int:
    """Bytes of a process in memory: now (`VmRSS`) or at the most so far (`VmHWM`)."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def status_of(process: Process, media_type: str) -> bytes:
    """The status of a call with a body near its limit."""
    body = BODIES[media_type]
    head = f"POST /softmax HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        connection.settimeout(60)
        with suppress(ConnectionError):  # a refused body is not read to its end
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = connection.recv(65_536)
        with suppress(ConnectionError):
            while connection.recv(MIB):
                pass
    return answer[9:12]


@pytest.mark.parametrize("media_type", BODIES)
def test_memory_stays_within_the_budget(media_type: str) -> None:
    """Of many large calls at once some are answered and the rest refused; the peak is at most 1.3 times the budget."""
    with running(GRADIENT_MAX_IN_FLIGHT_BYTES=str(BUDGET_BYTES), GRADIENT_MAX_CONCURRENCY="4") as process:
        (worker,) = process.workers()
        idle = resident(worker, "VmRSS")
        with ThreadPoolExecutor(CALLERS) as pool:
            statuses = list(pool.map(lambda _: status_of(process, media_type), range(CALLERS)))
        peak = resident(worker, "VmHWM") - idle
        assert process.is_ready()
    assert set(statuses) == {b"200", b"503"}
    assert peak <= 1.3 * BUDGET_BYTES
