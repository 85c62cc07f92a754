"""The README's blocks run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from safetensors.numpy import load

from gradient_client import HttpReply, HttpRequest, __version__
from gradient_client._httpx import HttpxTransport

from .conftest import SUMMARY, json_reply, problem, report_reply
from .formats import fields_of, in_binary

CLIENT = Path(__file__).parents[2] / "client"
BLOCKS = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def answer(_: object, request: HttpRequest) -> HttpReply:
    """Zeros in the right shapes and the logits' dtype, and a problem for a label outside its range."""
    asked = fields_of(request)
    num_classes = len(asked["logits"][0])
    if any(label >= num_classes for label in asked.get("labels", [])):
        return problem(422, "label-out-of-range", "/labels/0")
    rows = [[0.0] * num_classes for _ in asked["logits"]]
    if request.url.endswith("/check"):
        return report_reply(verdict="match", diagnoses=[])
    arrays = dict.fromkeys(("gradient", "probabilities", "log_probabilities"), rows)
    scalars = {"loss": 0.75, "summary": SUMMARY, "applied": {"dtype": load(request.body)["logits"].dtype.name}}
    return in_binary(json_reply({"predicted_labels": [0 for _ in rows], **arrays, **scalars}))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each block runs after the ones before it, and prints the number of its comment that every service gives."""
    monkeypatch.setattr(HttpxTransport, "__call__", answer)
    names: dict[str, object] = {}
    for block in BLOCKS[: number + 1]:
        exec(block, names)  # noqa: S102 - our own README
    printed = capsys.readouterr().out
    promised = ("label-out-of-range 0", "400128")
    assert [words in printed for words in promised] == [
        any(words in block for block in BLOCKS[: number + 1]) for words in promised
    ]


def test_version_is_the_distribution_s() -> None:
    """The version in the code is the one that pyproject.toml declares."""
    assert f'\nversion = "{__version__}"\n' in (CLIENT / "pyproject.toml").read_text(encoding="utf-8")


def test_first_call_is_within_one_screen() -> None:
    """The first block ends before line 24."""
    before, _, _ = (CLIENT / "README.md").read_text(encoding="utf-8").partition("## Calls")
    assert len(before.splitlines()) <= 24
