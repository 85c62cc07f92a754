"""Counts of a service with several workers: none lost, none twice, and as Prometheus itself reads them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from gradient_service.http.metrics import FOLDER
from gradient_service.server import counting

from .conftest import Process, running

pytestmark = pytest.mark.full

BODY = b'{"logits": [[1, 2]], "labels": [0]}'
CALL = (
    b"POST /gradient HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 35\r\n\r\n" + BODY
)
CALLS, CONNECTIONS = 50, 16
ANSWERED = re.compile(rb'^gradient_service_requests_total\{route="/gradient",status="200"\} (\S+)$', re.MULTILINE)
QUERY = 'sum(gradient_service_requests_total{route="/gradient",status="200"})'
SECONDS = 30.0


def call(process: Process) -> None:
    """Make many calls over many connections, which the workers share."""
    for _ in range(CONNECTIONS):
        with socket.create_connection(("127.0.0.1", process.port), SECONDS) as connection:
            for _ in range(CALLS):
                connection.sendall(CALL)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def counted(process: Process) -> float:
    """What one of the workers says."""
    found = ANSWERED.search(process.send(b"GET /metrics HTTP/1.0\r\n\r\n"))
    return float(found[1]) if found else 0.0


def check_counted(process: Process, number: int) -> None:
    """Fail unless every worker soon tells this number; a call is counted once its reply has been sent."""
    deadline = time.monotonic() + SECONDS
    while (found := {counted(process) for _ in range(10)}) != {number}:
        assert max(found) <= number
        assert time.monotonic() < deadline, found


def test_workers_count_together() -> None:
    """Whichever worker is asked, it tells the calls of all, and after one was killed and replaced as well."""
    with running("--workers", "2") as process:
        call(process)
        check_counted(process, CALLS * CONNECTIONS)
        time.sleep(0.6)  # a worker that ends at once after its start is replaced with care
        os.kill(process.workers()[0], signal.SIGKILL)
        deadline = time.monotonic() + SECONDS
        while len(process.workers()) < 2:
            assert time.monotonic() < deadline
        call(process)
        check_counted(process, 2 * CALLS * CONNECTIONS)


def inferences(process: Process) -> int:
    """How many calls of a model one of the workers tells."""
    told = process.send(b"GET /v2/models/softmax/stats HTTP/1.0\r\n\r\n")
    return int(json.loads(told.partition(b"\r\n\r\n")[2])["model_stats"][0]["inference_count"])


def test_workers_tell_the_statistics_of_all() -> None:
    """Whichever worker is asked, the statistics of a model are those of all calls."""
    body = b'{"inputs": [{"name": "logits", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}'
    head = b"POST /v2/models/softmax/infer HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
    with running("--workers", "2") as process:
        for _ in range(20):
            assert process.send(head + body).startswith(b"HTTP/1.1 200")
        assert {inferences(process) for _ in range(20)} == {20}


def test_a_service_without_a_place_to_write_counts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no folder can be made, each worker counts for itself, the log says so, and workers may end."""

    def refuse(**_: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory")

    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(counting, "TemporaryDirectory", refuse)
    with counting.counting_together():
        assert FOLDER not in os.environ
        counting.note_end(1)
    assert "no folder to share them: No usable temporary directory" in caplog.text


@contextmanager
def prometheus(folder: Path, port: int) -> Iterator[int]:
    """A Prometheus that scrapes a port once a second; yields its own."""
    scrape = {"job_name": "service", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = int(free.getsockname()[1])
    options = [f"--config.file={config}", f"--storage.tsdb.path={folder}", f"--web.listen-address=127.0.0.1:{own}"]
    with subprocess.Popen(["/usr/bin/prometheus", *options], stderr=subprocess.DEVNULL) as started:
        try:
            yield own
        finally:
            started.terminate()


def asked(port: int) -> float:
    """What Prometheus answers to the query, 0 as long as it has nothing."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(QUERY)}", timeout=SECONDS) as reply:
            found = json.load(reply)["data"]["result"]
    except OSError:
        return 0.0
    return float(found[0]["value"][1]) if found else 0.0


def test_prometheus_counts_what_was_asked(tmp_path: Path) -> None:
    """Prometheus scrapes a service with two workers under load, and arrives at the number of the calls."""
    with running("--workers", "2") as process, prometheus(tmp_path, process.port) as port:
        call(process)
        deadline = time.monotonic() + SECONDS
        while (found := asked(port)) < CALLS * CONNECTIONS:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        time.sleep(1.5)
        assert asked(port) == CALLS * CONNECTIONS
