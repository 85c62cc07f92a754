"""The README's blocks run as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradient_client import __version__
from gradient_client._httpx import HttpxTransport
from gradient_client._in_process import InProcessTransport

CLIENT = Path(__file__).parents[2] / "client"
BLOCKS = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
FRAMEWORKS = re.compile(r"import (torch|jax|xgboost|lightgbm)\b")
# A comment behind a print begins with what is printed, up to an ellipsis, a comma or a semicolon and a blank.
PROMISED = re.compile(r"print\(.*\)  # (.+?)(?=…|, [^0-9]|; |$)", re.MULTILINE)
# The service of the blocks is the application of the process that runs them.
WITHOUT_NETWORK = """
from gradient_client._httpx import HttpxTransport
from gradient_client._in_process import InProcessTransport
HttpxTransport.__call__ = lambda _, request, asked=InProcessTransport(): asked(request)
"""


def kept(block: str, printed: str) -> list[str]:
    """What a block promises to print, as far as it did, in order."""
    return [words for words in PROMISED.findall(block) if words in printed]


@pytest.mark.parametrize("block", [block for block in BLOCKS if not FRAMEWORKS.search(block)])
def test_block_runs(block: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each block runs by itself, with the real service, and prints what its comments say."""
    asked = InProcessTransport()
    monkeypatch.setattr(HttpxTransport, "__call__", lambda _, request: asked(request))
    exec(block, {})  # noqa: S102 - our own README
    assert kept(block, capsys.readouterr().out) == PROMISED.findall(block)


@pytest.mark.full
@pytest.mark.parametrize("block", [block for block in BLOCKS if FRAMEWORKS.search(block)])
def test_block_of_a_framework_runs(block: str) -> None:
    """The same for those that need a framework, each in a process of its own."""
    command = [sys.executable, "-c", WITHOUT_NETWORK + block]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert kept(block, done.stdout) == PROMISED.findall(block)


def test_version_is_the_distribution_s() -> None:
    """The version in the code is the one that pyproject.toml declares."""
    assert f'\nversion = "{__version__}"\n' in (CLIENT / "pyproject.toml").read_text(encoding="utf-8")


def test_first_call_is_within_one_screen() -> None:
    """The first block ends before line 24."""
    before, _, _ = (CLIENT / "README.md").read_text(encoding="utf-8").partition("## Calls")
    assert len(before.splitlines()) <= 24
