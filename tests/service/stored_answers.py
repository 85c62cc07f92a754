"""The examples as they are stored, and how far what they answer may differ from machine to machine."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np


def stored(operation: str) -> dict[str, dict[str, Any]]:
    """The examples of an operation by name."""
    folder = files("gradient_service.http") / "examples"
    content: dict[str, dict[str, Any]] = json.loads((folder / f"{operation}.json").read_bytes())
    return content


def has_widest_kernels() -> bool:
    """Whether NumPy computes here with the kernels that wrote the stored last bits; others differ within the bounds."""
    configuration: Any = np.show_config(mode="dicts")
    return "X86_V4" in configuration["SIMD Extensions"]["found"]


def without_fractions(value: Any) -> Any:
    """A document with every float replaced by 0.0: what is left must agree on any machine."""
    if isinstance(value, dict):
        # The remainders of sums come and go with the last bits of the sums.
        return {name: without_fractions(part) for name, part in value.items() if not name.endswith("_tail")}
    if isinstance(value, list):
        return [without_fractions(part) for part in value]
    return 0.0 if isinstance(value, float) else value
