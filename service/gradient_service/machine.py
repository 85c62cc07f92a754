"""What the process may use of the machine: the bounds of the container around it where there is one."""

import os
from collections.abc import Iterator
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_memory_bytes(mount: Path = CONTROL_GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return the memory that the process may use: the smallest bound of its control groups, or all there is."""
    bounds = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for group in _groups(mount, membership, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):  # of version 2, of version 1
            bounds += [int(word) for word in _words(group / name) if word.isdecimal()]
    return min(bounds)


def usable_cores(mount: Path = CONTROL_GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return the cores that the process may use at once; a part of one counts as one."""
    bounds = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for group in _groups(mount, membership, "cpu"):
        first = [word for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us") for word in _words(group / name)]
        quota, _, period = " ".join(first or _words(group / "cpu.max")).partition(" ")
        if quota.isdecimal() and period.isdecimal():
            bounds.append(-(-int(quota) // int(period)))
    return min(bounds)


def _groups(mount: Path, membership: Path, controller: str) -> Iterator[Path]:
    """Yield the folders that bound the process: its own group, and every one around it.

    Inside a container the path may be that of the host, and the bound stands at the mount itself.
    """
    for line in _lines(membership):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = mount / controller if controllers else mount
        own = root / path.lstrip("/")
        yield from (group for group in (own, *own.parents) if group.is_relative_to(root))


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
