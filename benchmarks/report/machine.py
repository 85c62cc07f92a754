"""Where and with what was measured; no names of hosts and no paths."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_features__

COMPARED = ("numpy", "torch", "scipy", "jax", "optax", "fastapi", "pydantic", "uvicorn", "orjson", "tritonclient")
ROOT = Path(__file__).parents[2]


def described(*, quick: bool) -> str:
    """The machine, the versions, the commit and the day."""
    versions = ", ".join(_versions())
    features = "AVX-512" if __cpu_features__.get("AVX512_SKX") else "AVX2" if __cpu_features__.get("AVX2") else "SSE"
    cores = len(os.sched_getaffinity(0))
    kind = "A quick run, for a look only: " if quick else ""
    return (
        f"{kind}{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}; {_processor()} with {features}, {cores} cores, "
        f"Linux {platform.release().partition('-')[0]}; Python {platform.python_version()}, {versions}. Load average "
        f"of the machine at the beginning {os.getloadavg()[0]:.1f}."
    )


def _versions() -> Iterator[str]:
    for name in COMPARED:
        with suppress(PackageNotFoundError):  # not every part of the benchmarks needs all of them
            yield f"{name} {version(name).partition('+')[0]}"


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip() or "unknown"  # noqa: S603 - the line above
