"""Programs of others, run as a caller would, and Python ones installed into a folder of the test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(*command: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed, and return what it said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def python_with(folder: Path, *packages: str) -> Path:
    """The programs of a fresh virtual environment that holds some packages."""
    run(sys.executable, "-m", "venv", "venv", folder=folder)
    run(folder / "venv/bin/python", "-m", "pip", "install", "--quiet", *packages, folder=folder)
    return folder / "venv/bin"
