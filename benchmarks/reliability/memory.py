"""Many bodies of the largest size at once: what the process takes at the most."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from safetensors.numpy import save

from benchmarks.reliability.figures import Verdict
from benchmarks.reliability.messages import BINARY, JSON, SEED, message
from benchmarks.reliability.processes import family_bytes, most_bytes
from benchmarks.reliability.service import running

MIB = 1024 * 1024
BUDGET_BYTES, MAX_JSON_BYTES, MAX_BINARY_BYTES = 1024 * MIB, 16 * MIB, 128 * MIB
CALLERS, CONCURRENCY = 16, 4
SHARE = 1.3


def text(row: bytes) -> bytes:
    """A JSON body of the largest size, of one row over and over."""
    count = (MAX_JSON_BYTES - 64) // (len(row) + 1)
    return b'{"include":["probabilities"],"logits":[' + b",".join([row] * count) + b"]}"


def messages() -> dict[str, bytes]:
    """A call of the largest size of each kind."""
    numbers = np.random.default_rng(SEED).normal(size=1000).tolist()
    rows = (MAX_BINARY_BYTES - 1024) // 4000
    return {
        "JSON of short numbers": message("/softmax", JSON, text(b"[" + b"1," * 999 + b"1]")),
        "JSON of brackets": message("/softmax", JSON, text(b"[[[[[[1]]]]]]")),
        "JSON of long numbers": message("/softmax", JSON, text(str(numbers).replace(" ", "").encode())),
        "safetensors": message("/softmax", BINARY, save({"logits": np.ones((rows, 1000), np.float32)})),
    }


def status_of(port: int, data: bytes) -> int:
    """Make a call and read its answer to the end; return the status."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        with suppress(ConnectionError):  # a refused body is not read to its end
            connection.sendall(data.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        answered = connection.recv(65536)
        with suppress(ConnectionError):
            while connection.recv(MIB):
                pass
    return int(answered[9:12] or 0)


def main() -> int:
    """Print what each kind came to."""
    verdict = Verdict()
    settings = {
        "max_in_flight_bytes": BUDGET_BYTES,
        "max_concurrency": CONCURRENCY,
        "max_json_body_bytes": MAX_JSON_BYTES,
        "max_binary_body_bytes": MAX_BINARY_BYTES,
    }
    for name, data in messages().items():
        with running(settings) as service, ThreadPoolExecutor(CALLERS) as pool:
            (worker,) = service.workers
            idle = family_bytes(worker)
            with most_bytes(worker) as most:
                statuses = list(pool.map(lambda _: status_of(service.port, data), range(2 * CALLERS)))  # noqa: B023 - used within the turn
            taken = most[0] - idle
            is_alive = service.workers == [worker]
        counts = {status: statuses.count(status) for status in sorted(set(statuses))}
        print(f"{name}: {len(data) / MIB:.0f} MiB, {CALLERS} at once; statuses {counts}; idle {idle / MIB:.0f} MiB")
        verdict.want(
            f"{name}: peak {taken / BUDGET_BYTES:.2f} of the budget, wanted {SHARE}; the worker lives",
            met=taken <= SHARE * BUDGET_BYTES and is_alive and set(statuses) <= {200, 422, 503},
        )
    return verdict.close()
