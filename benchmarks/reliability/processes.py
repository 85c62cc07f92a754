"""What the kernel tells of a process: memory and CPU time."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread


def resident_bytes(pid: int, name: str) -> int:
    """Bytes of a process in memory: now (`VmRSS`) or at the most so far (`VmHWM`)."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else sys.exit(f"process {pid} is gone")


def family_bytes(pid: int) -> int:
    """Bytes of a process and of all that come from it in memory now; what some share counts once."""
    total = 0
    for member in family(pid):
        with suppress(OSError):  # it has just ended
            found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{member}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) * 1024 if found else 0
    return total


def family(pid: int) -> Iterator[int]:
    """Yield a process and all that come from it."""
    yield pid
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from family(int(child))


@contextmanager
def most_bytes(pid: int) -> Iterator[list[int]]:
    """Note the most that a process and those that come from it have in memory, looked at a hundred times a second."""
    most, ended = [0], Event()

    def look() -> None:
        while not ended.wait(0.01):
            most[0] = max(most[0], family_bytes(pid))

    thread = Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, in all of its threads; `OSError` where it is gone.

    By its own clock, as `clock_getcpuclockid` of POSIX makes the number of it on Linux: `/proc` counts hundredths.
    """
    return time.clock_gettime(~pid << 3 | 2)
