"""An environment for each rival, made the first time that it is wanted, below `.venv/rivals/`."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".venv" / "rivals"


def variables() -> dict[str, str]:
    """Return the environment's variables, but for one: modules stay compiled, as they are where they are installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class NoEnvironmentError(Exception):
    """What a rival needs could not be installed."""


def python_of(name: str, requirements: Path) -> Path:
    """Return the interpreter of an environment that holds these requirements."""
    place = PLACE / name
    python, stamp = place / "bin" / "python", place / "requirements.txt"
    wanted = requirements.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        _make(place, python, requirements)
        stamp.write_text(wanted)
    return python


def _make(place: Path, python: Path, requirements: Path) -> None:
    print(f"installing {place.name} ...", flush=True)
    try:
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements))
    except subprocess.CalledProcessError as error:
        print(error.stderr, file=sys.stderr)
        raise NoEnvironmentError("its packages could not be installed") from error


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)  # noqa: S603 - commands from above
