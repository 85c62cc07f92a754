"""The service with a clock in its protocol: `python -m benchmarks.reliability.observed serve …`.

It notes how long each refusal takes, from the last byte that it needs being read to its first byte being sent, and
writes the notes, at its end, to the file that `OBSERVED_FILE` names.
"""

import os
from array import array
from pathlib import Path
from socket import socket
from time import perf_counter

from gradient_service.cli import main
from gradient_service.server.known_heads import Head
from gradient_service.server.protocol import GuardedProtocol
from gradient_service.server.repeating import RepeatingProtocol
from gradient_service.server.serving import Worker

FILE = "OBSERVED_FILE"

# ruff: noqa: SLF001 - what is measured
data_received, refuse_call = GuardedProtocol.data_received, GuardedProtocol._refuse_call
is_refused_at_once = RepeatingProtocol._is_refused_at_once
shutdown = Worker.shutdown
seconds = array("d")
read_at = 0.0


def timed_data_received(protocol: GuardedProtocol, data: bytes) -> None:
    """Note when bytes have been read."""
    global read_at  # noqa: PLW0603 - the event loop reads one connection at a time
    read_at = perf_counter()
    data_received(protocol, data)


def timed_refuse_call(protocol: GuardedProtocol, body_bytes: int) -> None:
    """Note how long the refusal took."""
    refuse_call(protocol, body_bytes)
    seconds.append(perf_counter() - read_at)


def timed_is_refused_at_once(protocol: RepeatingProtocol, head: Head, arrived: int) -> bool:
    """Note the same of a call whose head is known."""
    is_refused = is_refused_at_once(protocol, head, arrived)
    seconds.append(perf_counter() - read_at)
    return is_refused


async def told_shutdown(worker: Worker, sockets: list[socket] | None = None) -> None:
    """End as ever, and write the notes."""
    await shutdown(worker, sockets)
    Path(os.environ[FILE]).write_bytes(seconds.tobytes())  # noqa: ASYNC240 - nobody is served any more


def noted_seconds(file: Path) -> list[float]:
    """Read the notes."""
    found = array("d")
    found.frombytes(file.read_bytes())
    return found.tolist()


if __name__ == "__main__":
    GuardedProtocol.data_received = timed_data_received  # type: ignore[assignment,method-assign]  # the clock
    GuardedProtocol._refuse_call = timed_refuse_call  # type: ignore[assignment,method-assign]  # the clock
    RepeatingProtocol._is_refused_at_once = timed_is_refused_at_once  # type: ignore[assignment,method-assign]  # the clock
    Worker.shutdown = told_shutdown  # type: ignore[assignment,method-assign]  # the notes
    main()
