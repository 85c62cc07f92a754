"""A worker that is killed under load, and one that is merely stopped."""

import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from benchmarks.reliability.figures import Verdict
from benchmarks.reliability.service import Service, running
from gradient_client import GradientClient, Retry
from gradient_client.errors import GradientClientError

CALLERS, KILLS, STOPPED_SECONDS = 8, 5, 3.0
REPLACED_SECONDS = 1.0
LOGITS = np.zeros((4, 10), np.float32)


@dataclass
class Callers:
    """Threads that call all the time, each with a client of its own."""

    port: int
    is_over: threading.Event = field(default_factory=threading.Event)
    attempts: Counter[int] = field(default_factory=Counter)
    """Calls by how many attempts they took."""
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def _call(self) -> None:
        with GradientClient(f"http://127.0.0.1:{self.port}", timeout=30.0, retry=Retry(max_retries=1)) as client:
            while not self.is_over.is_set():
                try:
                    self.attempts[len(client.softmax(LOGITS).meta.attempts)] += 1
                except GradientClientError as error:
                    self.failures.append(repr(error))

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def seconds_to_replace(service: Service) -> float:
    """Kill a worker; return the seconds until there are as many, and a new connection is answered."""
    before = service.workers
    os.kill(before[0], signal.SIGKILL)
    begun = time.monotonic()
    while len(service.workers) < len(before) or before[0] in service.workers or not service.is_ready:
        time.sleep(0.002)
    seconds = time.monotonic() - begun
    if not set(before[1:]) <= set(service.workers):
        return float("inf")
    return seconds


def main() -> int:
    """Print the figures with one worker and with two."""
    verdict = Verdict()
    for workers in (1, 2):
        with running(workers=workers) as service, Callers(service.port) as callers:
            time.sleep(1.0)
            replaced = []
            for _ in range(KILLS):
                replaced.append(seconds_to_replace(service))
                time.sleep(1.5)
            before = service.workers
            os.kill(before[0], signal.SIGSTOP)
            time.sleep(STOPPED_SECONDS)
            os.kill(before[0], signal.SIGCONT)
            is_kept = service.workers == before
        name = f"{workers} worker{'s'[: workers - 1]}"
        print(f"{name}: replaced after {', '.join(f'{each * 1e3:.0f}' for each in replaced)} ms")
        verdict.want(f"{name}: replaced after {max(replaced):.2f} s at the most", met=max(replaced) <= REPLACED_SECONDS)
        verdict.want(
            f"{name}: calls by attempts {dict(callers.attempts)}, failed {Counter(callers.failures)}",
            met=not callers.failures and callers.attempts[2] > 0,
        )
        verdict.want(f"{name}: one stopped for {STOPPED_SECONDS:.0f} s is kept", met=is_kept)
    return verdict.close()
