"""What the kernel tells of a process: memory and CPU time."""

import os
import re
import sys
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int, name: str) -> int:
    """Bytes of a process in memory: now (`VmRSS`) or at the most so far (`VmHWM`)."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else sys.exit(f"process {pid} is gone")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, in all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
