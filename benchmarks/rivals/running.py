"""One of the servers, started, asked until it answers right, and ended with all that came from it."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from benchmarks.http.dialects import Arrays, Dialect, Message
from benchmarks.reliability.processes import cpu_seconds, family
from benchmarks.rivals.environments import ROOT, NoEnvironmentError, variables
from benchmarks.rivals.maths import loss_and_gradient
from benchmarks.rivals.servers import LOOPBACK, Server
from tests.contract.serving import free_port

START_SECONDS, END_SECONDS, ASKED_EVERY_SECONDS = 90.0, 15.0, 0.005
TOLERANCES = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}


class AbsentError(Exception):
    """A server that does not run here, and why."""


@dataclass(frozen=True)
class Running:
    """A server that has answered."""

    pid: int
    port: int
    start_seconds: float
    """From the start of its process to its first answer."""

    @property
    def cpu_seconds(self) -> float:
        """CPU time that its processes have used so far."""
        total = 0.0
        for member in family(self.pid):
            with suppress(OSError):  # it has just ended
                total += cpu_seconds(member)
        return total

    def verify(self, dialect: Dialect, arrays: Arrays) -> int:
        """Ask once; the answer must be right. Return the length of its body."""
        try:
            status, reply = post(self.port, dialect, dialect.ask(arrays))
        except (OSError, http.client.HTTPException) as error:
            raise AbsentError(f"it did not answer: {type(error).__name__}") from error
        if status != http.HTTPStatus.OK:
            raise AbsentError(f"it answered {status}")
        check(dialect, reply, arrays)
        return len(reply.body)


def post(port: int, dialect: Dialect, message: Message) -> tuple[int, Message]:
    """Send a message; return the status and what was answered."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=START_SECONDS)
    try:
        connection.request("POST", dialect.path, message.body, dict(message.headers))
        with connection.getresponse() as reply:
            return reply.status, Message({name.title(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def check(dialect: Dialect, reply: Message, arrays: Arrays) -> None:
    """Hold an answer against the maths in float64; a server that computes nothing says nothing."""
    answer = dialect.read(reply)
    loss, gradient = loss_and_gradient(arrays["logits"].astype(np.float64), arrays["labels"])
    tolerance = TOLERANCES[dialect.dtype]
    for name, expected in (("loss", loss), ("gradient", gradient)) if answer else ():
        if not np.allclose(np.squeeze(answer[name]), np.squeeze(expected), rtol=tolerance, atol=tolerance * 1e-3):
            raise AbsentError(f"its {name} is wrong")


@contextmanager
def running(server: Server, arrays: Arrays) -> Iterator[Running]:
    """Serve until the end of the block; what is asked until it answers is the start's question."""
    try:
        python = server.python()
    except NoEnvironmentError as error:
        raise AbsentError(str(error)) from error
    port = free_port()
    start = server.start(python, port)
    environment = {name: value for name, value in variables().items() if not name.startswith("GRADIENT_")}
    environment |= {"PYTHONPATH": str(ROOT)} | dict(start.variables)
    begun = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - the table's commands
        start.command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, port, server.json, arrays)
        yield Running(process.pid, port, time.monotonic() - begun)
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], port: int, dialect: Dialect, arrays: Arrays) -> None:
    message, deadline = dialect.ask(arrays), time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AbsentError("its process ended")
        with suppress(OSError, http.client.HTTPException):
            if post(port, dialect, message)[0] == http.HTTPStatus.OK:
                return
        time.sleep(ASKED_EVERY_SECONDS)
    raise AbsentError(f"it did not answer within {START_SECONDS:.0f} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, and what its end leaves behind."""
    members = list(family(process.pid))
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"{process.args!r} had to be killed", file=sys.stderr)
        process.kill()
        process.wait()
    for member in members[1:]:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
