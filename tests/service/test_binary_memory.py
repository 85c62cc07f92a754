"""What a large binary body costs the serving process in memory."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load, save

MIB = 1024 * 1024
ROWS, COLUMNS = 32 * 1024, 1024
BODY_BYTES = RESULT_BYTES = ROWS * COLUMNS * 4
HEADERS = {"Content-Type": "application/x-safetensors"}
START_SECONDS = 30.0

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"),
]


@contextmanager
def running_service() -> Iterator[tuple[str, int]]:
    """Serve with the default settings in a process of its own; the block gets the address and the id of its worker."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIENT_")}
    command = [sys.executable, "-m", "gradient_service", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as service:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_live(url)
            (worker,) = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
            yield url, int(worker)
        finally:
            service.terminate()


def wait_until_live(url: str) -> None:
    """Return once the service answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{url}/livez").raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def resident(pid: int, name: str) -> int:
    """Bytes of a process in memory: now (`VmRSS`) or at the most so far (`VmHWM`)."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def ask(url: str, rows: int) -> bytes:
    """The reply to logits of so many rows."""
    body = save({"logits": np.ones((rows, COLUMNS), np.float32), "labels": np.zeros(rows, np.int32)})
    reply = httpx.post(f"{url}/gradient", content=body, headers=HEADERS, timeout=120)
    assert (reply.status_code, reply.headers["content-type"]) == (200, HEADERS["Content-Type"])
    return reply.content


def test_a_large_body_is_in_memory_once(record_testsuite_property: Callable[[str, object], None]) -> None:
    """128 MiB of float32 logits raise the server's peak by no more than body, result and 16 MiB."""
    with running_service() as (url, pid):
        ask(url, 1024)  # what the first call of every stage leaves behind, threads and caches, is not the body's
        before = resident(pid, "VmRSS")
        gradient = load(ask(url, ROWS))["gradient"]
        growth = resident(pid, "VmHWM") - before
    record_testsuite_property("growth_mib", growth / MIB)
    assert gradient.shape == (ROWS, COLUMNS)
    # Some of it lies where the first call was; a peak that was missed would lack an array.
    assert growth >= BODY_BYTES + RESULT_BYTES - 16 * MIB, "the peak was not seen"
    assert growth <= BODY_BYTES + RESULT_BYTES + 16 * MIB, f"the peak grew by {growth / MIB:.1f} MiB"
