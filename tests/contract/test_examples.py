"""The training example, run as its readers run it: a script that talks to a service over a socket."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .serving import running_service

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_digits.py"


@pytest.fixture(scope="module")
def printed() -> str:
    """What the example prints when it is asked to compare itself with plain NumPy."""
    with running_service() as url:
        command = [sys.executable, "-W", "error", str(EXAMPLE), "--url", url, "--check"]
        environment = os.environ | {
            "OPENBLAS_NUM_THREADS": "1"
        }  # more wait for each other where tests run side by side
        run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=environment)
        return run.stdout


def number(printed: str, title: str) -> float:
    """The number after a title."""
    found = re.search(rf"^{title}: (\S+)$", printed, re.MULTILINE)
    assert found is not None, printed
    return float(found[1])


def test_accuracy_on_digits_it_never_saw(printed: str) -> None:
    """Softmax regression with gradients from the service names at least 95 of 100 test digits right."""
    assert number(printed, "test accuracy") >= 0.95


def test_final_loss_is_that_of_plain_numpy(printed: str) -> None:
    """The same training with gradients computed in plain NumPy ends at the same loss, to 1e-9."""
    plain = number(printed, "final training loss in plain NumPy")
    assert abs(number(printed, "final training loss") - plain) <= 1e-9
