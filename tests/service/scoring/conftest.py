"""Rows in files of each kind, the command that scores them, and what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gradient_service.cli import main

ROWS, CLASSES = 300, 7
Arrays = dict[str, np.ndarray[Any, Any]]
Scored = Callable[..., dict[str, Any]]
Refused = Callable[..., str]


def example(seed: int = 20261127) -> Arrays:
    """Logits with labels and weights."""
    generator = np.random.default_rng(seed)
    return {
        "logits": generator.normal(scale=8, size=(ROWS, CLASSES)),
        "labels": generator.integers(0, CLASSES, ROWS),
        "sample_weights": generator.lognormal(0, 20, ROWS),
    }


def rows_of(folder: Path) -> Arrays:
    """What was written of all rows, in the order of the manifest."""
    files = [load_file(folder / each["file"]) for each in manifest_of(folder)["blocks"]]
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a folder."""
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return content


def arguments(source: Path, out: Path, *more: str, **options: object) -> list[str]:
    """What follows the name of the program; of an option's value its JSON text."""
    pairs = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in options.items()]
    return ["score", str(source), "--out", str(out), *more, *(part for pair in pairs for part in ("--option", pair))]


@pytest.fixture
def scored(capsys: pytest.CaptureFixture[str]) -> Scored:
    """Score a file, and return what is printed."""

    def run(source: Path, out: Path, *more: str, **options: object) -> dict[str, Any]:
        main(arguments(source, out, *more, **options))
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        return printed

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Have a file refused, and return the one line that says why."""

    def run(source: Path, out: Path, *more: str, **options: object) -> str:
        with pytest.raises(SystemExit) as end:
            main(arguments(source, out, *more, **options))
        printed = capsys.readouterr()
        assert (end.value.code, printed.out, printed.err.count("\n")) == (2, "", 1), printed.err
        return printed.err.rstrip("\n")

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with logits, labels and weights."""
    path = tmp_path / "rows.safetensors"
    save_file(example(), path)
    return path
