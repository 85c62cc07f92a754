"""What the process may use: the smallest bound of the groups that it is in, or the machine's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradient_service import settings
from gradient_service.machine import usable_cores, usable_memory_bytes
from gradient_service.settings import Settings, usual_workers

CORES = len(os.sched_getaffinity(0))
ALL_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MEMORY_CASES: list[tuple[str, str, dict[str, str], int]] = [
    ("none", "", {}, ALL_MEMORY),
    ("unbounded", "0::/a", {"a/memory.max": "max\n"}, ALL_MEMORY),
    ("version 2", "0::/a", {"a/memory.max": "1000000\n"}, 1_000_000),
    ("around it", "0::/a/b", {"a/memory.max": "1000000\n", "a/b/memory.max": "2000000\n"}, 1_000_000),
    ("seen from the container", "0::/", {"memory.max": "1000000\n"}, 1_000_000),
    ("path of the host", "0::/host/a", {"memory.max": "1000000\n"}, 1_000_000),
    ("version 1", "4:memory:/a", {"memory/a/memory.limit_in_bytes": "1000000\n"}, 1_000_000),
    ("another controller", "4:pids:/a", {"memory/a/memory.limit_in_bytes": "1000000\n"}, ALL_MEMORY),
    ("more than there is", "0::/", {"memory.max": f"{2**62}\n"}, ALL_MEMORY),
]
CORE_CASES: list[tuple[str, str, dict[str, str], int]] = [
    ("none", "", {}, CORES),
    ("unbounded", "0::/", {"cpu.max": "max 100000\n"}, CORES),
    ("version 2", "0::/", {"cpu.max": "100000 100000\n"}, 1),
    ("a part of one", "0::/", {"cpu.max": "50000 100000\n"}, 1),
    ("version 1", "1:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "7\n", "cpu/a/cpu.cfs_period_us": "10\n"}, 1),
    ("unbounded version 1", "1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "10\n"}, CORES),
]


def machine(folder: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Write the files of a machine; return where groups are, and which the process is in."""
    for name, text in files.items():
        (folder / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "groups" / name).write_text(text)
    (folder / "cgroup").write_text(membership)
    return folder / "groups", folder / "cgroup"


@pytest.mark.parametrize(("membership", "files", "expected"), [case[1:] for case in MEMORY_CASES],
                         ids=[case[0] for case in MEMORY_CASES])  # fmt: skip
def test_memory(tmp_path: Path, membership: str, files: dict[str, str], expected: int) -> None:
    """The smallest bound on memory counts."""
    assert usable_memory_bytes(*machine(tmp_path, membership, files)) == expected


@pytest.mark.parametrize(("membership", "files", "expected"), [case[1:] for case in CORE_CASES],
                         ids=[case[0] for case in CORE_CASES])  # fmt: skip
def test_cores(tmp_path: Path, membership: str, files: dict[str, str], expected: int) -> None:
    """The smallest bound on cores counts, rounded up."""
    assert usable_cores(*machine(tmp_path, membership, files)) == expected


def test_workers_share_the_defaults() -> None:
    """Each of several processes takes its part of memory and cores, of these at least one."""
    one, many = Settings(workers=1), Settings(workers=1000)
    assert one.max_in_flight_bytes == usable_memory_bytes() // 2
    assert many.max_in_flight_bytes == usable_memory_bytes() // 2000
    assert (one.max_concurrency, many.max_concurrency) == (usable_cores(), 1)


@pytest.mark.parametrize(("cores", "memory", "expected"), [
    (64, 2**40, 64),
    (2, 24 * 2**30, 2),
    (4, 4 * 2**30, 2),
    (8, 2**30, 1),
])  # fmt: skip
def test_usual_workers(monkeypatch: pytest.MonkeyPatch, cores: int, memory: int, expected: int) -> None:
    """There is one worker a core, as far as each has a gibibyte for its calls, and at least one."""
    monkeypatch.setattr(settings, "usable_cores", lambda: cores)
    monkeypatch.setattr(settings, "usable_memory_bytes", lambda: memory)
    assert usual_workers() == expected


def test_what_the_operator_sets_is_not_shared() -> None:
    """A number that was given is each process's own."""
    given = Settings(workers=4, max_in_flight_bytes=1000, max_concurrency=3)
    assert (given.max_in_flight_bytes, given.max_concurrency) == (1000, 3)


def test_usual_settings_are_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of any size has settings by default."""
    monkeypatch.setattr(settings, "usable_cores", lambda: 1536)
    monkeypatch.setattr(settings, "usable_memory_bytes", lambda: 2**60)
    usual = Settings(workers=1)
    assert (usual.max_concurrency, usual.max_in_flight_bytes, usual_workers()) == (1024, 2**48, 1024)
