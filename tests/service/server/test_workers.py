"""Workers: replaced when one ends, and all of them ending with their parent."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gradient_service import cli
from gradient_service.server import supervisor as module
from gradient_service.server.supervisor import ENDING_SIGNALS, Supervisor
from gradient_service.settings import Settings

from .conftest import Process, running

pytestmark = pytest.mark.full

BODY = b'{"logits":[[1,2]]}'
ESTABLISHED = "01"
"""As Linux writes the state of a connection."""
TRIES = 5


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Fail unless the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children_of(pid: int) -> list[str]:
    """What a process has started."""
    return [child for each in Path(f"/proc/{pid}/task").glob("*/children") for child in each.read_text().split()]


def answers(process: Process) -> bool:
    """Whether a new connection is answered."""
    return process.is_ready()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_is_replaced(workers: int) -> None:
    """After SIGKILL of one of them there are as many workers again within a second, and one answers."""
    with running("--workers", str(workers)) as process:
        time.sleep(0.6)  # a worker that ends at once after its start is replaced with care
        before = process.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(process.workers()) == workers and before[0] not in process.workers(), 1.0)
        wait_until(lambda: answers(process), 2.0)
        assert set(before[1:]) <= set(process.workers())


def num_connections(process: Process) -> list[int]:
    """How many connections each worker has."""
    return [len(sockets_of(pid) & accepted_sockets(process.port)) for pid in process.workers()]


def accepted_sockets(port: int) -> set[str]:
    """The sockets of connections to a port, on its side, as file descriptors name them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED}


def sockets_of(pid: int) -> set[str]:
    """What the file descriptors of a process name."""
    return {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}


@contextmanager
def connected(process: Process, sizes: Sequence[int], least: int) -> Iterator[None]:
    """Have bursts of so many callers connect, so that each worker has at least so many connections in the end.

    A worker that a busy machine keeps from its share loses it to the others: then they connect once more.
    """
    time.sleep(0.5)  # by now those that asked whether it is ready have been seen to leave
    before = sum(num_connections(process))
    for _ in range(TRIES):
        with ExitStack() as connections:
            for size in sizes:
                for _ in range(size):
                    connections.enter_context(socket.create_connection(("127.0.0.1", process.port)))
                time.sleep(0.1)
            wait_until(lambda: sum(num_connections(process)) == before + sum(sizes), 5.0)
            if min(num_connections(process)) >= least:
                yield
                return
        wait_until(lambda: sum(num_connections(process)) == before, 5.0)
    pytest.fail(f"one worker has less than {least} connections, {TRIES} times")


def test_workers_share_connections() -> None:
    """Of connections that stay, each worker accepts about half, also one that replaces another."""
    with running("--workers", "2") as process, connected(process, (16, 16, 32), 24):
        time.sleep(0.5)  # a worker that ends at once after its start is replaced with care
        os.kill(process.workers()[0], signal.SIGKILL)
        wait_until(lambda: len(process.workers()) == 2 and answers(process), 5.0)
        time.sleep(0.5)
        left = sum(num_connections(process))
        with connected(process, (left,), left * 3 // 4):
            assert sum(num_connections(process)) == 2 * left


@pytest.mark.parametrize(("arguments", "expected"), [(["--workers", "3"], 3), ([], 4)])
def test_who_says_how_many_workers(arguments: list[str], expected: int) -> None:
    """The option comes before the variable."""
    with running(*arguments, GRADIENT_WORKERS="4") as process:
        assert len(process.workers()) == expected


def test_where_nobody_says_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither option nor variable is given there are as many workers as usual."""
    monkeypatch.delenv("GRADIENT_WORKERS", raising=False)
    monkeypatch.setattr(cli, "usual_workers", lambda: 7)
    assert settings_served(monkeypatch).workers == 7


def settings_served(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Settings:
    """What the command line would serve with."""
    given: list[Settings] = []

    def serve(settings: Settings, listener: socket.socket) -> None:
        given.append(settings)
        listener.close()

    monkeypatch.setattr(cli, "serve", serve)
    cli.main(["serve", "--port", "0", *arguments])
    return given[0]


@pytest.mark.parametrize(
    ("arguments", "variable", "expected"),
    [
        ([], "localhost", "localhost"),
        (["--host", "127.0.0.1"], "localhost", "127.0.0.1"),
        ([], "", "127.0.0.1"),
    ],
)
def test_who_says_where_to_listen(
    arguments: list[str], variable: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option comes before the variable, and loopback behind both."""
    monkeypatch.setenv("GRADIENT_HOST", variable)
    assert settings_served(monkeypatch, *arguments).host == expected


def test_a_host_that_is_no_name_is_told() -> None:
    """What cannot be a name is told as what cannot be listened on."""
    with pytest.raises(SystemExit, match=r"a\.\.b:8000 cannot be listened on: there is no such name\."):
        cli.main(["serve", "--host", "a..b"])


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """One that is told what to do, and what its workers are."""
    handlers = [signal.getsignal(number) for number in ENDING_SIGNALS]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Supervisor(lambda _: None, 1, listener, lambda _: None)
    for number, handler in zip(ENDING_SIGNALS, handlers, strict=True):
        signal.signal(number, handler)


def test_a_worker_that_has_just_ended_needs_no_signal(supervisor: Supervisor) -> None:
    """The signal to end comes between the end of a worker and the note of it; the others are told all the same."""
    with subprocess.Popen(["/bin/sleep", "60"]) as other, subprocess.Popen(["/bin/true"]) as ended:
        ended.wait()
        supervisor._started = {ended.pid: (0, 0.0), other.pid: (1, 0.0)}
        supervisor._end(signal.SIGTERM, None)
        assert other.wait(10) == -signal.SIGTERM


def test_a_worker_that_cannot_be_started_is_tried_again(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the system has no room for a process, the service waits until it has."""
    tries = iter([False, True])

    def fork() -> int:
        if not next(tries):
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return 4_000_000

    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr(module, "HEALTHY_SECONDS", 0.0)
    supervisor._start(0)
    assert [*supervisor._started] == [4_000_000]
    assert "no worker can be started: Resource temporarily unavailable" in caplog.text


def test_what_a_worker_leaves_behind_ends_nobody() -> None:
    """The process that decodes long texts ends with its worker, and the service goes on."""
    body = b'{"logits": [[' + b"0," * 600_000 + b"0]]}"
    head = b"POST /softmax HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with running() as process:
        time.sleep(0.6)  # a worker that ends at once after its start is replaced with care
        assert process.send(head + body, seconds=30).startswith(b"HTTP/1.1 200")
        (worker,) = process.workers()
        (left_behind,) = children_of(worker)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{left_behind}").exists(), 10.0)
        wait_until(lambda: answers(process), 10.0)
    assert process.parent.returncode == 0


def test_a_stopped_parent_leaves_no_worker() -> None:
    """A parent that is killed outright takes its workers with it."""
    with running("--workers", "2") as process:
        workers = process.workers()
        process.parent.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 5.0)


def test_readiness_ends_before_the_listener_does() -> None:
    """After SIGTERM, which the log tells, `/readyz` says 503 and closes its connections, and calls are answered."""
    with running(GRADIENT_READINESS_LEAD_SECONDS="1.5") as process:
        process.parent.send_signal(signal.SIGTERM)
        wait_until(lambda: not process.is_ready(), 1.0)
        refused = process.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"shutting-down" in refused
        answered = process.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answered
        assert process.parent.wait(timeout=10) == 0
    assert sum(b'"message":"ending, by SIGTERM"' in line for line in process.log) == 1


@pytest.mark.parametrize("is_known", [False, True])
def test_a_call_that_outlasts_the_drain_is_refused(*, is_known: bool) -> None:
    """One whose body is still to come when the drain ends is told to ask another process, and the log says so.

    Where its head was known it was cut off, and nothing told of it.
    """
    head = b"POST /softmax HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with running(GRADIENT_DRAIN_SECONDS="1") as process:
        if is_known:
            assert process.send(head % len(BODY) + BODY).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", process.port), timeout=10) as connection:
            connection.sendall(head % 50 + b"{")
            wait_until(process.is_ready, 10.0)  # by then it has been read
            process.parent.send_signal(signal.SIGTERM)
            answered = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answered.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1\r\n" in answered
        assert b"connection: close\r\n" in answered
        assert b'problems/shutting-down"' in answered
        assert process.parent.wait(timeout=10) == 0
    assert any(b'"problem":"shutting-down"' in line for line in process.log)
    assert not any(b"Traceback" in line for line in process.log)


def test_as_many_descriptors_are_taken_as_there_may_be() -> None:
    """Whatever a shell allows for a start, a worker may have as many connections as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        with running() as process:
            (worker,) = process.workers()
            assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_taken_port_is_told() -> None:
    """A port that somebody listens on ends the command with a sentence, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "gradient_service", "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use.\n".encode() == done.stderr


def test_a_wrong_setting_is_told() -> None:
    """A setting that is no number ends the command with its name."""
    command = [sys.executable, "-m", "gradient_service", "limits"]
    environment = {**os.environ, "GRADIENT_MAX_ELEMENTS": "many"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith(b"GRADIENT_MAX_ELEMENTS: ")
    assert done.stderr.count(b"\n") == 1
