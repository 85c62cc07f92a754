"""Long calls whose caller leaves, or whose deadline passes: how much is still computed for them."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.reliability.figures import Verdict
from benchmarks.reliability.messages import Batch
from benchmarks.reliability.processes import cpu_seconds
from benchmarks.reliability.service import Service, running

GRACE_SECONDS = 0.2
IDLE_SECONDS, STEP_SECONDS = 0.3, 0.005
IDLE_SHARE = 0.2
"""Of a core: who uses less than this between two looks idles, with what a service looks after by itself."""
MOMENTS = (0.4, 0.7, 0.9)
"""Shares of a call's time after which it is left."""
UNBOUNDED = 2**40
BOUNDS = ("json_body_bytes", "binary_body_bytes", "elements", "jacobian_elements", "reply_bytes", "in_flight_bytes")
SETTINGS = dict.fromkeys([f"max_{bound}" for bound in BOUNDS], UNBOUNDED)
SEVERAL = ["gradient", "probabilities", "gradient_diagonal_only", "hessian_diagonal"]
CALLS = {
    "many rows": Batch(200_000, 100).binary(include=SEVERAL),
    "one row of 10⁷ classes": Batch(1, 10_000_000).binary(include=SEVERAL),
    "one row of 10⁷ classes, ∂E/∂p": Batch(1, 10_000_000).binary(include=["loss_wrt_probabilities"]),
    "many Jacobians": Batch(1_000, 200).binary(include=["gradient_by_chain_rule"]),
    "one Jacobian of 5000²": Batch(1, 5_000).binary(include=["jacobian"]),
    "sums of many rows": Batch(4_000_000, 2).binary("/loss"),
    "reply of 2·10⁶ numbers in JSON": Batch(2_000, 1000).binary(
        "/softmax", "Accept: application/json", include=["probabilities"]
    ),
    "request of 2·10⁶ numbers in JSON": Batch(2_000, 1000).json("/loss"),
}


class Now(NamedTuple):
    """A look at two clocks, in seconds."""

    clock: float
    cpu: float


@dataclass(frozen=True)
class Watch:
    """The CPU time of one worker."""

    pid: int

    def after(self, moment: float) -> tuple[float, float]:
        """Return the CPU seconds that are used from a moment until the worker idles, and when it began to idle."""
        while time.monotonic() < moment:
            time.sleep(STEP_SECONDS)
        first = now = self._now()
        busy_until = Now(moment, first.cpu)
        while now.clock < busy_until.clock + IDLE_SECONDS:
            time.sleep(STEP_SECONDS)
            before, now = now, self._now()
            if now.cpu - before.cpu > IDLE_SHARE * (now.clock - before.clock):
                busy_until = now
        return busy_until.cpu - first.cpu, busy_until.clock - moment

    def _now(self) -> Now:
        return Now(time.monotonic(), cpu_seconds(self.pid))


def whole(service: Service, data: bytes) -> float:
    """Have a call answered; return its seconds."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as connection:
        connection.sendall(data)
        connection.recv(1)
    return time.monotonic() - begun


def left(service: Service, data: bytes, seconds: float) -> tuple[float, float]:
    """Leave a call after some seconds."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as connection:
        connection.sendall(data)
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
    return Watch(service.workers[0]).after(time.monotonic())


def overdue(service: Service, data: bytes, seconds: float) -> tuple[float, float]:
    """Give a call a deadline some seconds ahead, and wait for the answer."""
    field = f"\r\nX-Request-Deadline-Ms: {max(1, int(seconds * 1000))}\r\n".encode()
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as connection:
        with suppress(ConnectionError):  # the deadline may pass, and the call be answered, before all of it was sent
            connection.sendall(data.replace(b"\r\n", field, 1))
        return Watch(service.workers[0]).after(begun + seconds)


def moments(service: Service, data: bytes) -> Iterator[tuple[str, float, float]]:
    """Measure each kind of ending at several moments."""
    seconds = min(whole(service, data) for _ in range(2))
    for ending in (left, overdue):
        for share in MOMENTS:
            Watch(service.workers[0]).after(time.monotonic())
            yield ending.__name__, *ending(service, data, share * seconds)


def main() -> int:
    """Print the worst of each kind of call."""
    verdict = Verdict()
    with running(SETTINGS) as service:
        for name, data in CALLS.items():
            whole(service, data)
            found: dict[str, list[tuple[float, float]]] = {left.__name__: [], overdue.__name__: []}
            for ending, cpu, clock in moments(service, data):
                found[ending].append((cpu, clock))
            worst = {ending: [max(seconds) for seconds in zip(*each, strict=True)] for ending, each in found.items()}
            shown = ", ".join(
                f"{ending} {cpu * 1e3:.0f} ms of CPU, {clock * 1e3:.0f} by the clock"
                for ending, (cpu, clock) in worst.items()
            )
            verdict.want(f"{name}: {shown}", met=max(map(max, worst.values())) <= GRACE_SECONDS)
    return verdict.close()
