"""How long a process takes until it is of use: the service to its first answer, the client to be imported."""

import subprocess
import sys

import numpy as np

from benchmarks.report.part import Goal
from benchmarks.report.samples import Samples
from benchmarks.rivals.environments import ROOT
from benchmarks.rivals.running import running
from benchmarks.rivals.servers import OURS, SERVERS

WANTED_START_SECONDS, WANTED_IMPORT_SECONDS = 1.5, 0.120
IMPORT = "import numpy, time; begun = time.perf_counter(); import gradient_client; print(time.perf_counter() - begun)"


def measure(rounds: int) -> list[Goal]:
    """Goals of both."""
    start, imported = (
        Samples([start_seconds() for _ in range(rounds)]),
        Samples([import_seconds() for _ in range(rounds)]),
    )
    return [
        Goal(
            "start of the service to its first answer",
            "≤ 1.5 s",
            f"{start.shown()} s",
            start.median <= WANTED_START_SECONDS,
        ),
        Goal(
            "import of the client after NumPy's",
            "≤ 120 ms",
            f"{imported.shown(1e3)} ms",
            imported.median <= WANTED_IMPORT_SECONDS,
        ),
    ]


def start_seconds() -> float:
    """From the start of the process to a gradient."""
    ours = next(server for server in SERVERS if server.name == OURS)
    with running(ours, {"logits": np.array([[1.0, 2.0]]), "labels": np.array([0])}) as served:
        return served.start_seconds


def import_seconds() -> float:
    """In a new process, NumPy being imported."""
    command = [sys.executable, "-c", IMPORT]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - the line above
