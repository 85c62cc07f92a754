"""What one large request takes of the service's memory at the most, above its idle state."""

from dataclasses import dataclass

from benchmarks.reliability.messages import Batch
from benchmarks.reliability.processes import family_bytes, most_bytes
from benchmarks.reliability.service import Service, exchange, running
from benchmarks.report.part import Goal

MIB = 1024 * 1024
SLACK_BYTES, BYTES_PER_NUMBER = 16 * MIB, 40
LAST = "Connection: close"
BINARY, JSON = Batch(16_384, 512), Batch(384, 2000)
WARMING = Batch(64, 1000)
"""Its JSON is longer than the 1 MiB from which on a process of its own decodes, so that this runs before."""
SECONDS = 120.0


@dataclass(frozen=True)
class Peak:
    """One request, and what it took."""

    body_bytes: int
    reply_bytes: int
    taken_bytes: int


def peak(service: Service, data: bytes) -> Peak:
    """Send a request, and watch."""
    (worker,) = service.workers
    idle = family_bytes(worker)
    with most_bytes(worker) as most:
        reply = exchange(service.port, data, seconds=SECONDS)
    if not reply.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"a large request was answered {reply[9:12]!r}")
    return Peak(len(data), len(reply), most[0] - idle)


def measure() -> list[Goal]:
    """Goals of both forms."""
    with running() as service:
        for warming in (WARMING.json("/gradient", LAST), WARMING.binary("/gradient", LAST)):
            exchange(service.port, warming, seconds=SECONDS)
        binary, text = (
            peak(service, data) for data in (BINARY.binary("/gradient", LAST), JSON.json("/gradient", LAST))
        )
    return [
        _goal(f"{BINARY.rows}×{BINARY.classes} float32 in binary", binary, 0),
        _goal(f"{JSON.rows}×{JSON.classes} in JSON", text, BYTES_PER_NUMBER * JSON.rows * JSON.classes),
    ]


def _goal(name: str, found: Peak, numbers_bytes: int) -> Goal:
    wanted = found.body_bytes + found.reply_bytes + numbers_bytes + SLACK_BYTES
    what = f"memory of one request, {name}: body {found.body_bytes / MIB:.1f}, reply {found.reply_bytes / MIB:.1f} MiB"
    is_reached = found.taken_bytes <= wanted
    return Goal(what, f"≤ {wanted / MIB:.1f} MiB", f"{found.taken_bytes / MIB:.1f} MiB", is_reached)
