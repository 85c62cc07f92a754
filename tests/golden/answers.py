"""The exact answer to a case, rounded once into each of its dtypes, with what an implementation may be off by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.core import accuracy_cases
from tests.core.accuracy_bounds import Measurement
from tests.core.calls import Array
from tests.golden.cases import Case
from tests.reference.exact import Exact, NoAnswerError, Output, Summary, evaluate
from tests.reference.ulp import round_array, round_exactly

OUT_OF_RANGE = "number-out-of-range"
DECISIONS = {"predicted_labels": np.int64, "one_hot": np.uint8}
CAN_BE_LEFT_OUT = frozenset({"loss_wrt_probabilities", "gradient_diagonal_only"})
"""Outputs that a case is better off without where they leave the range: all others have their answers there."""


@dataclass(frozen=True)
class Expected:
    """One output in one dtype: the rounded values, the bound in ulp, and the sizes where they count."""

    values: Array
    ulp: float
    size: Array | None = None


@dataclass(frozen=True)
class Answer:
    """What a case is answered in each dtype: its outputs by name, or the reason of a refusal."""

    case: Case
    names: tuple[str, ...]
    outputs: dict[str, dict[str, Expected]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] | None = None


def answer_of(case: Case) -> Answer:
    """Answer a case exactly, and round the answer once for each dtype."""
    options = {name: value for name, value in case.options.items() if name != "targets_sum"}
    try:
        exact = evaluate(case.logits, include=case.outputs, **options)
    except NoAnswerError as refusal:
        return Answer(case, case.outputs, refused=dict.fromkeys(case.dtypes, refusal.slug))
    names = tuple(name for name in case.outputs if _is_kept(name, exact[name], case.dtypes))
    answer = Answer(case, names, summary=None if exact.summary is None else _exact_parts(exact.summary))
    for dtype in case.dtypes:
        if _is_in_range(exact, names, dtype):
            answer.outputs[dtype] = {name: _expected(case, name, exact[name], dtype) for name in names}
        else:
            answer.refused[dtype] = OUT_OF_RANGE
    return answer


def _is_kept(name: str, output: Output, dtypes: Iterable[str]) -> bool:
    return name not in CAN_BE_LEFT_OUT or all(_is_finite(output, dtype) for dtype in dtypes)


def _is_finite(output: Output, dtype: str) -> bool:
    """Whether neither the values nor their sizes leave the range; −∞ is a masked class's, and does not."""
    numbers = [output.value] if output.size is None else [output.value, output.size]
    return not any(
        np.isinf(round_array(number, dtype))[np.asarray(number, dtype=object) != -np.inf].any() for number in numbers
    )


def _is_in_range(exact: Exact, names: Iterable[str], dtype: str) -> bool:
    numbers = [name for name in names if name not in DECISIONS]
    is_told = exact.summary is None or np.isfinite(round_exactly(exact.summary.loss_sum, np.float64))
    return bool(is_told and all(_is_finite(exact[name], dtype) for name in numbers))


def _exact_parts(summary: Summary) -> dict[str, Any]:
    """The parts of a summary that no rounding of losses reaches."""
    return {
        "weight_sum": float(round_exactly(summary.weight_sum, np.float64)),
        "example_count": summary.example_count,
        "ignored_count": summary.ignored_count,
        "correct_count": summary.correct_count,
    }


def _expected(case: Case, name: str, output: Output, dtype: str) -> Expected:
    if name in DECISIONS:
        return Expected(np.asarray(output.value, DECISIONS[name]), 0)
    values = round_array(output.value, dtype)
    return Expected(values, bound_of(case, name, dtype), _size_that_counts(values, output, dtype))


def bound_of(case: Case, name: str, dtype: str) -> float:
    """How many ulp of the exact result the accuracy contract allows."""
    asked = accuracy_cases.Case(case.id, case.logits.astype(dtype), case.options, 0)
    return float(Measurement(asked, "accurate").bound(name))


def _size_that_counts(values: Array, output: Output, dtype: str) -> Array | None:
    """The sizes, if the ulp of any is more than that of the value beside it."""
    if output.size is None:
        return None
    sizes = round_array(output.size, dtype)
    return sizes if (np.spacing(sizes) > np.spacing(np.abs(values))).any() else None
