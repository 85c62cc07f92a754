"""How long a process takes until it is of use: the service to its first answer, the client to be imported."""

import subprocess
import sys

import numpy as np

from benchmarks.report.part import Goal
from benchmarks.report.samples import Samples
from benchmarks.rivals.environments import ROOT, variables
from benchmarks.rivals.running import running
from benchmarks.rivals.servers import OURS, SERVERS

WANTED_START_SECONDS, WANTED_IMPORT_SECONDS = 1.5, 0.120
IMPORT = "import numpy, time; begun = time.perf_counter(); import gradient_client; print(time.perf_counter() - begun)"


def measure(rounds: int) -> list[Goal]:
    """Goals of both; the first of each compiles the modules, and is left out."""
    start, imported = (Samples([each() for _ in range(rounds + 1)][1:]) for each in (start_seconds, import_seconds))
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
    done = subprocess.run(command, cwd=ROOT, env=variables(), check=True, capture_output=True, text=True)  # noqa: S603 - the line above
    return float(done.stdout)
