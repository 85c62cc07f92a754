"""The service in a process of its own, on a free loopback port and on cores of its choice."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.contract.serving import free_port

START_SECONDS = 30.0
END_SECONDS = 60.0
Settings = Mapping[str, float]
"""Names without `GRADIENT_`, in small letters."""
READY = b"GET /readyz HTTP/1.0\r\n\r\n"


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int
    parent: subprocess.Popen[bytes]

    @property
    def workers(self) -> list[int]:
        """The processes that answer."""
        pid = self.parent.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def is_ready(self) -> bool:
        """Whether a new connection is told that work is taken."""
        try:
            return exchange(self.port, READY).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def wait_until_ready(self) -> None:
        """Wait; end the benchmark where it takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready:
            if time.monotonic() > deadline:
                sys.exit("the service did not start")
            time.sleep(0.01)


def exchange(port: int, data: bytes, *, seconds: float = 5.0) -> bytes:
    """Return all that is answered on a new connection until the other side ends it."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def start(port: int, settings: Settings, *, workers: int = 1, module: str = "gradient_service") -> Service:
    """Start to serve on a port, by the service's own command or by a module that stands for it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIENT_")}
    environment |= {"GRADIENT_READINESS_LEAD_SECONDS": "0"}
    environment |= {f"GRADIENT_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", module, "serve", "--host", "127.0.0.1", "--port", str(port)]
    parent = subprocess.Popen(  # noqa: S603 - this project's own command
        [*command, "--workers", str(workers)], env=environment, stderr=subprocess.DEVNULL
    )
    return Service(port, parent)


def stop(service: Service) -> None:
    """Tell a service to end, and wait until it has."""
    if service.parent.poll() is None:
        service.parent.send_signal(signal.SIGTERM)
    service.parent.wait(END_SECONDS)


@contextmanager
def running(
    settings: Settings = MappingProxyType({}),
    *,
    workers: int = 1,
    cores: set[int] | None = None,
    module: str = "gradient_service",
) -> Iterator[Service]:
    """Serve until the end of the block, by default on every core that this process may use."""
    with on_cores(cores or os.sched_getaffinity(0)):
        service = start(free_port(), settings, workers=workers, module=module)
    try:
        service.wait_until_ready()
        yield service
    finally:
        stop(service)


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def separate_cores() -> tuple[set[int], set[int]]:
    """Return a core for the load and one for the service."""
    first, second, *_ = sorted(os.sched_getaffinity(0)) * 2
    return {first}, {second}
