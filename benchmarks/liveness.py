"""How long `/livez` takes while JSON bodies of the largest size are read, and answered or refused.

`python -m benchmarks.liveness` starts the service. For each kind of body two connections send it again and again, as
many as the service has threads for, and another one asks for `/livez` every 10 ms for half a minute, by the clock: a
question that has to wait for the answer to the one before counts from the moment when it should have been asked.
Printed are the 50th and 99th percentile and the longest, the statuses of the bodies, and how long one of them took. The
first line is the service at rest. Wanted are a 99th percentile below 50 ms and a longest below 250 ms; the exit code is
1 where one was missed.

Who sends is a process of its own, so that who asks shares the interpreter with nobody. All share the cores. What the
machine itself does is told by one more process, which asks nobody: every 10 ms it does what takes a fraction of a
millisecond, and notes how late it has done it. What stalls it too is the machine, or the load as a whole.
"""

import http.client
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np

from benchmarks.reliability.figures import Verdict, percentile
from benchmarks.reliability.service import running

BODY_BYTES = 16 * 1024 * 1024
SENDERS = 2
LEAD_SECONDS = 2.0
"""Until all processes have begun."""
SECONDS, REST_SECONDS, INTERVAL_SECONDS = 30.0, 6.0, 0.01
WANTED_P99_MS, WANTED_LONGEST_MS = 50.0, 250.0
NESTED = b'{"a":{"b":{"c":{"d":1}}}},'


def filled(head: bytes, unit: bytes, tail: bytes) -> bytes:
    """A body of the largest size: a head, one thing again and again, and a tail."""
    return head + unit * ((BODY_BYTES - len(head) - len(tail)) // len(unit)) + tail


def long_numbers() -> bytes:
    """Rows of 100 numbers of full precision."""
    rows = np.random.default_rng(20261126).normal(size=(BODY_BYTES // 2100, 100)).tolist()
    return json.dumps({"logits": rows}, separators=(",", ":")).encode()


BODIES: Mapping[str, Callable[[], bytes]] = {
    "long numbers": long_numbers,
    "numbers of one digit": lambda: filled(b'{"logits": [[', b"1,", b"1]]}"),
    "rows of one number": lambda: filled(b'{"logits": [', b"[1],", b"[1]]}"),
    "numbers that are slow to round": lambda: filled(b'{"logits": [[', b"2.4703282292062327208e-324,", b"1]]}"),
    "truncated": lambda: filled(b'{"logits": [[', b"1,", b"1]]"),
    "true at the end": lambda: filled(b'{"logits": [[', b"1,", b"true]]}"),
    "out of range at the end": lambda: filled(b'{"logits": [', b"[1],", b"[1e400]]}"),
    "strings": lambda: filled(b'{"logits": [[', b'"ab",', b'"ab"]]}'),
    "one string of escapes": lambda: filled(b'{"logits": "', b"\\u00e9", b'"}'),
    "objects": lambda: filled(b'{"logits": [', b'{"a":1},', b"{}]}"),
    "nested objects": lambda: filled(b'{"logits": [', NESTED, b"{}]}"),
    "unknown fields": lambda: b"{" + b",".join(b'"k%d":1' % number for number in range(BODY_BYTES // 13)) + b"}",
    "brackets": lambda: b"[" * BODY_BYTES,
}


@dataclass
class Load:
    """What became of the bodies that were sent."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def __add__(self, other: "Load") -> "Load":
        return Load(self.statuses + other.statuses, self.seconds + other.seconds)


@dataclass(frozen=True)
class Measured:
    """What was found beside one kind of body; milliseconds from the moment when each should have begun."""

    load: Load
    questions: list[float]
    alone: list[float]
    """Of who asks nobody."""


def send(port: int, body: bytes, begin: float, seconds: float) -> Load:
    """Send a body again and again from now on; `begin` is when the measuring begins, on the clock of all processes."""
    if time.monotonic() > begin:
        sys.exit("the processes took too long to start")
    load = Load()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while (begun := time.monotonic()) < begin + seconds:
        connection.request("POST", "/softmax", body, {"Content-Type": "application/json"})
        with connection.getresponse() as reply:
            while reply.read(1024 * 1024):
                pass
            load.statuses[reply.status] += 1
        load.seconds.append(time.monotonic() - begun)
    connection.close()
    return load


def late_ms(begin: float, seconds: float, do: Callable[[], object]) -> list[float]:
    """Do something every 10 ms; return when each was done, from the moment when it should have begun."""
    found = []
    for number in range(int(seconds / INTERVAL_SECONDS)):
        due = begin + number * INTERVAL_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        do()
        found.append((time.monotonic() - due) * 1000)
    return found


def ask_nobody(begin: float, seconds: float) -> list[float]:
    """Return how late what needs nobody was."""
    return late_ms(begin, seconds, lambda: sum(range(1000)))


def latencies_ms(port: int, begin: float, seconds: float) -> list[float]:
    """Return how long each question took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask() -> None:
        connection.request("GET", "/livez")
        with connection.getresponse() as reply:
            if reply.status != 200 or not reply.read():
                sys.exit(f"/livez answered {reply.status}")

    with closing(connection):
        return late_ms(begin, seconds, ask)


def beside(port: int, body: bytes, seconds: float) -> Measured:
    """Measure while a body is sent."""
    begin = time.monotonic() + LEAD_SECONDS
    with ProcessPoolExecutor(SENDERS + 1, get_context("spawn")) as processes:
        loads = [processes.submit(send, port, body, begin, seconds) for _ in range(SENDERS)]
        alone = processes.submit(ask_nobody, begin, seconds)
        questions = latencies_ms(port, begin, seconds)
        return Measured(sum((load.result() for load in loads), Load()), questions, alone.result())


def told(found: list[float]) -> str:
    """Return figures as text."""
    return f"p50 {percentile(found, 0.5):.1f} ms, p99 {percentile(found, 0.99):.1f} ms, longest {max(found):.1f} ms"


def main() -> int:
    """Measure and print each kind of body; return the exit code."""
    verdict = Verdict()
    with running() as service:
        print(f"at rest: {told(latencies_ms(service.port, time.monotonic(), REST_SECONDS))}")
        for kind, body_of in BODIES.items():
            found = beside(service.port, body_of(), SECONDS)
            print(f"{kind}: {dict(found.load.statuses)}, one in {np.median(found.load.seconds):.2f} s")
            is_met = percentile(found.questions, 0.99) < WANTED_P99_MS and max(found.questions) < WANTED_LONGEST_MS
            verdict.want(told(found.questions), met=is_met)
            print(f"          who asks nobody: {told(found.alone)}")
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main())
