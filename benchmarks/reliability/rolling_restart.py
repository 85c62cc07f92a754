"""Two instances restarted in turn behind a balancer, under keep-alive load: how many requests fail.

The balancer does what real ones do: it asks each instance for `/readyz` all the time, sends requests only to one that
said 200 last, keeps connections for as long as their answers allow, and tries nothing a second time.
"""

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.reliability.figures import Verdict
from benchmarks.reliability.load import Answer, Connection, connect, run
from benchmarks.reliability.messages import Batch
from benchmarks.reliability.service import Service, start, stop
from tests.contract.serving import free_port

REQUESTS, CALLERS, RESTARTS = 100_000, 16, 5
"""So many requests at the least, and beside so many restarts."""
PROBE_SECONDS, LEAD_SECONDS, PAUSE_SECONDS = 0.1, 1.0, 2.0
ANSWER_SECONDS = 20.0
CALL = Batch(1, 10).json()
PROBE = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class Instance:
    """One of the instances, as the balancer sees it."""

    port: int
    is_ready: bool = False
    idle: list[Connection] = field(default_factory=list)

    async def ask(self, data: bytes) -> Answer:
        """Make a call on a kept connection, or on a new one."""
        connection = self._kept() or await connect(self.port, self.idle.append)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        connection.ask(data, future.set_result)
        try:
            return await asyncio.wait_for(future, ANSWER_SECONDS)
        finally:
            if future.cancelled():
                connection.abandon()

    async def watch(self) -> None:
        """Ask for readiness all the time."""
        while True:
            try:
                self.is_ready = (await self.ask(PROBE)).status == 200
            except (OSError, TimeoutError):
                self.is_ready = False
            await asyncio.sleep(PROBE_SECONDS)

    def _kept(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None


@dataclass
class Balancer:
    """Sends requests to the instances in turn."""

    instances: list[Instance]
    outcomes: Counter[str] = field(default_factory=Counter)

    async def call(self, restarts: "Restarts") -> None:
        """Call until all requests are made, and all restarts."""
        for turn in itertools.count():
            if self.outcomes.total() >= REQUESTS and restarts.count >= RESTARTS:
                return
            ready = [each for each in self.instances if each.is_ready]
            if not ready:
                self.outcomes["nobody is ready"] += 1
                await asyncio.sleep(PROBE_SECONDS)
                continue
            try:
                outcome = str((await ready[turn % len(ready)].ask(CALL)).status)
            except (OSError, TimeoutError) as error:
                outcome = type(error).__name__
            self.outcomes[outcome] += 1


class Restarts:
    """Restarts the instances in turn, over and over."""

    def __init__(self, instances: list[Instance]) -> None:
        self._instances = instances
        self._services = [self._start(each.port) for each in instances]
        self.count = 0

    async def run(self) -> None:
        """Restart until cancelled."""
        for number in itertools.cycle(range(len(self._instances))):
            await asyncio.sleep(PAUSE_SECONDS)
            await asyncio.to_thread(stop, self._services[number])
            self._services[number] = self._start(self._instances[number].port)
            await self.until_ready()
            self.count += 1

    async def until_ready(self) -> None:
        """Wait until the balancer sends requests to every instance."""
        while not all(each.is_ready for each in self._instances):  # noqa: ASYNC110 - probes set no event
            await asyncio.sleep(PROBE_SECONDS)

    def close(self) -> None:
        """End all instances."""
        for service in self._services:
            stop(service)

    def _start(self, port: int) -> Service:
        return start(port, {"readiness_lead_seconds": LEAD_SECONDS})


async def outcomes(instances: list[Instance], restarts: Restarts) -> Counter[str]:
    """Make all requests while the instances are restarted."""
    balancer = Balancer(instances)
    watching = [asyncio.create_task(each.watch()) for each in instances]
    await restarts.until_ready()
    restarting = asyncio.create_task(restarts.run())
    await asyncio.gather(*(balancer.call(restarts) for _ in range(CALLERS)))
    for task in (restarting, *watching):
        task.cancel()
    await asyncio.gather(restarting, *watching, return_exceptions=True)
    return balancer.outcomes


def main() -> int:
    """Print how many requests came to what."""
    verdict = Verdict()
    instances = [Instance(free_port()) for _ in range(2)]
    restarts = Restarts(instances)
    begun = time.monotonic()
    try:
        found = run(outcomes(instances, restarts))
    finally:
        restarts.close()
    seconds = time.monotonic() - begun
    print(f"{found.total()} requests in {seconds:.0f} s, {restarts.count} restarts: {dict(found)}")
    failed = found.total() - found["200"]
    verdict.want(f"{failed} of {found.total()} requests failed, wanted 0", met=failed == 0)
    return verdict.close()
