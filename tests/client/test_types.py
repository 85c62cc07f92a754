"""The package under the second type checker that its users have; mypy looks at it in `make check`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.full
def test_pyright_finds_nothing() -> None:
    """Pyright in strict mode accepts the package, and the typed sample of a user."""
    files = ["client/gradient_client", "tests/client/typed_sample.py"]
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
