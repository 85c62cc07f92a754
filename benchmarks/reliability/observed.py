"""The service with a clock in its protocol: `python -m benchmarks.reliability.observed serve …`.

It notes how long each refusal takes, from the last byte that it needs being read to its first byte being sent, and
writes the notes to the file that `OBSERVED_FILE` names.
"""

import json
import os
from pathlib import Path
from time import perf_counter
from typing import Any

from gradient_service.cli import main
from gradient_service.server.protocol import GuardedProtocol

FILE = "OBSERVED_FILE"
NOTES_AT_ONCE = 100

data_received, refuse_call = GuardedProtocol.data_received, GuardedProtocol._refuse_call  # noqa: SLF001 - what is measured
seconds: list[float] = []
read_at = 0.0


def timed_data_received(protocol: GuardedProtocol, data: bytes) -> None:
    """Note when bytes have been read."""
    global read_at  # noqa: PLW0603 - the event loop reads one connection at a time
    read_at = perf_counter()
    data_received(protocol, data)


def timed_refuse_call(protocol: GuardedProtocol, *arguments: Any) -> None:
    """Note how long the refusal took."""
    refuse_call(protocol, *arguments)
    seconds.append(perf_counter() - read_at)
    if len(seconds) % NOTES_AT_ONCE == 0:
        Path(os.environ[FILE]).write_text(json.dumps(seconds[-100 * NOTES_AT_ONCE :]))


if __name__ == "__main__":
    GuardedProtocol.data_received = timed_data_received  # type: ignore[assignment,method-assign]  # the clock
    GuardedProtocol._refuse_call = timed_refuse_call  # type: ignore[assignment,method-assign]  # noqa: SLF001 - the clock
    main()
