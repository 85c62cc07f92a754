"""How long `/livez` takes while JSON bodies of the largest size are read, and answered or refused.

`python -m benchmarks.liveness` starts the service. For each kind of body two connections send it again and again, as
many as the service has threads for, and another one asks for `/livez` every 10 ms, by the clock: a question that has to
wait for the answer to the one before counts from the moment when it should have been asked. Printed are the 50th and
99th percentile and the longest, the statuses of the bodies, and how long one of them took. The first line is the
service at rest. Wanted are a 99th percentile below 50 ms and a longest below 250 ms; the exit code is 1 where one was
missed. Load and service share the cores, and the load takes its part of them.
"""

import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from benchmarks.reliability.figures import Verdict, percentile
from benchmarks.reliability.service import running

BODY_BYTES = 16 * 1024 * 1024
SENDERS = 2
SECONDS, INTERVAL_SECONDS = 6.0, 0.01
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

    def send(self, port: int, body: bytes, ended: threading.Event) -> None:
        """Send a body again and again until the end."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while not ended.is_set():
            begun = time.monotonic()
            connection.request("POST", "/softmax", body, {"Content-Type": "application/json"})
            with connection.getresponse() as reply:
                while reply.read(1024 * 1024):
                    pass
                self.statuses[reply.status] += 1
            self.seconds.append(time.monotonic() - begun)
        connection.close()

    @contextmanager
    def sending(self, port: int, body: bytes) -> Iterator[None]:
        """Send on several connections meanwhile."""
        ended = threading.Event()
        senders = [threading.Thread(target=self.send, args=(port, body, ended)) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        try:
            time.sleep(0.5)
            yield
        finally:
            ended.set()
            for sender in senders:
                sender.join()


def latencies_ms(port: int) -> list[float]:
    """How long each question took, from the moment when it should have been asked."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    begun, found = time.monotonic(), []
    for number in range(int(SECONDS / INTERVAL_SECONDS)):
        due = begun + number * INTERVAL_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        connection.request("GET", "/livez")
        with connection.getresponse() as reply:
            if reply.status != 200 or not reply.read():
                sys.exit(f"/livez answered {reply.status}")
        found.append((time.monotonic() - due) * 1000)
    connection.close()
    return found


def beside(port: int, body: bytes) -> tuple[Load, list[float]]:
    """Measure while a body is sent."""
    load = Load()
    with load.sending(port, body):
        return load, latencies_ms(port)


def main() -> int:
    """Measure and print each kind of body; return the exit code."""
    verdict = Verdict()
    with running() as service:
        print(f"at rest: longest {max(latencies_ms(service.port)):.1f} ms")
        for kind, body_of in BODIES.items():
            load, found = beside(service.port, body_of())
            p50, p99, longest = percentile(found, 0.5), percentile(found, 0.99), max(found)
            print(f"{kind}: {dict(load.statuses)}, one in {np.median(load.seconds):.2f} s")
            text = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.1f} ms"
            verdict.want(text, met=p99 < WANTED_P99_MS and longest < WANTED_LONGEST_MS)
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main())
