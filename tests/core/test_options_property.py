"""The whole space of options: a refusal by name, or finite numbers that agree with the reference."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from gradient_service.core.errors import InvalidInputError
from tests.core.accuracy_bounds import Measurement
from tests.core.accuracy_cases import CURVATURES, Case
from tests.core.calls import FROM_SCORES, SIGMOID, SOFTMAX, TEXTBOOK, evaluated, softmax_of

FRESH_SEED = int.from_bytes(os.urandom(4), "big")
CODES = {
    "empty-classes",
    "infinite-loss",
    "invalid-distribution",
    "label-out-of-range",
    "non-finite",
    "number-out-of-range",
    "out-of-range",
    "undefined-row",
}
NAMES = (
    "summary",
    "losses",
    "gradient",
    "probabilities",
    "predicted_labels",
    "loss_wrt_probabilities",
    "jacobian",
    "gradient_by_chain_rule",
    "gradient_diagonal_only",
)
ORDINARY = st.one_of(st.floats(-50, 50), st.floats(-800, 800), st.sampled_from([0.0, -0.0, 1.0, 40.0, -745.0]))
EXTREME = st.sampled_from([1.7e308, -1.7e308, 5e-324, 1e300, 1e-300])
BAD = st.sampled_from([np.nan, np.inf, -np.inf, -1.0])
SHARES = st.sampled_from([0.0, 0.0, 1.0, 0.5, 0.25, 1e-300, 5e-324])
WEIGHTS = st.sampled_from([0.0, 1.0, 3.0, 0.1, 1e-3, 1e300, 1e-300])


@st.composite
def questions(draw: st.DrawFn, *, is_valid: bool = False) -> tuple[Any, dict[str, Any]]:
    """Logits and options of up to four rows and classes, now and then breaking a rule unless they must not."""
    rows, num_classes = draw(st.integers(int(is_valid), 4)), draw(st.integers(1, 4))
    is_wild = not is_valid and draw(st.integers(0, 9)) == 0

    def numbers(usual: st.SearchStrategy[float], *shape: int) -> Any:
        count = int(np.prod(shape))
        elements = st.one_of(usual, BAD) if is_wild else usual
        return np.array(draw(st.lists(elements, min_size=count, max_size=count))).reshape(shape)

    def booleans(*shape: int) -> Any:
        return numbers(st.sampled_from([1.0, 1.0, 0.0]), *shape) > 0

    objective = draw(st.sampled_from([SOFTMAX, SIGMOID, TEXTBOOK]))
    dtype = np.dtype(draw(st.sampled_from(["float64", "float32"])))
    options: dict[str, Any] = {
        "objective": objective,
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "denominator": draw(st.sampled_from(["weights", "examples", "batch"])),
        "temperature": draw(st.sampled_from([1.0, 0.7, 2.0, 1e-3, 1e3, 1e-300, 1e300])),
        "precision": draw(st.sampled_from(["accurate", "fast"])),
    }
    if CURVATURES[objective]:
        options["curvature"] = draw(st.sampled_from(CURVATURES[objective]))
    if objective != SIGMOID and draw(st.booleans()):
        least = -1 if not is_valid else 0
        options["labels"] = [draw(st.integers(least, num_classes - int(is_valid))) for _ in range(rows)]
        options["ignore_label"] = draw(st.sampled_from([None, -1, 0, num_classes]))
    else:
        options["targets"] = _shared_out(numbers(SHARES, rows, num_classes), is_any=objective == SIGMOID)
        options["targets_sum"] = draw(st.sampled_from(["one", "any"]))
    if objective != SIGMOID:
        options["label_smoothing"] = draw(st.sampled_from([0.0, 0.0, 0.1, 1e-9, 1.0, 5e-324]))
    optional: dict[str, Callable[[], Any]] = {
        "class_weights": lambda: numbers(WEIGHTS, num_classes),
        "sample_weights": lambda: numbers(WEIGHTS, rows),
        "class_mask": lambda: booleans(num_classes),
        "element_mask": lambda: booleans(rows, num_classes),
    }
    options |= {name: make() for name, make in optional.items() if draw(st.booleans())}
    if options["reduction"] == "none" and draw(st.booleans()):
        options["upstream"] = numbers(st.floats(-10, 10), rows)
    if options["reduction"] == "mean" and draw(st.booleans()):
        options["denominator_value"] = draw(st.sampled_from([1.0, 7.0, 1e-300, 1e300]))
    with np.errstate(over="ignore"):
        logits = numbers(st.one_of(ORDINARY, EXTREME), rows, num_classes).astype(dtype)
        return logits, {name: _rounded(value, dtype) for name, value in options.items() if value is not None}


def _shared_out(shares: Any, *, is_any: bool) -> Any:
    """Rows of shares, divided by their sums unless any sum will do."""
    if is_any:
        return shares
    with np.errstate(all="ignore"):
        sums = shares.sum(axis=1, keepdims=True)
        return np.where(sums > 0, shares / sums, np.eye(1, shares.shape[1]))


def _rounded(value: Any, dtype: Any) -> Any:
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def assert_finite_or_refused(logits: Any, options: dict[str, Any]) -> None:
    """Each output is answered with finite numbers or refused under a known code, without a warning."""
    names = [*NAMES, *(["hessian_diagonal"] if options.get("curvature") else [])]
    names += ["loss"] if options["reduction"] != "none" else []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for asked in (names, *([name] for name in names)):
            try:
                found = evaluated(logits, asked, **options)
            except InvalidInputError as error:
                assert {fault.code for fault in error.faults} <= CODES, str(error)  # noqa: PT017  one of two good ends
                continue
            for name, value in found.arrays.items():
                assert np.isfinite(value).all(), f"{name}, fresh seed {FRESH_SEED}"
            assert found.loss is None or np.isfinite(found.loss)
        _assert_scores_answered(logits, options)


def _assert_scores_answered(logits: Any, options: dict[str, Any]) -> None:
    """The outputs of the scores alone are finite, but for the −∞ of masked classes, or refused by name."""
    given = ("class_mask", "element_mask", "temperature", "precision")
    kept = {name: options[name] for name in given if name in options}
    mask = np.broadcast_to(
        options.get("class_mask", True) & np.asarray(options.get("element_mask", True)), logits.shape
    )
    for name in FROM_SCORES:
        try:
            found = softmax_of(logits, [name], **kept)[name]
        except InvalidInputError as error:
            assert {fault.code for fault in error.faults} <= CODES, str(error)  # noqa: PT017  one of two good ends
            continue
        is_hidden = ~mask if name == "log_probabilities" else np.zeros(found.shape, dtype=bool)
        assert (np.isfinite(found) == ~is_hidden).all(), f"{name}, fresh seed {FRESH_SEED}"


@settings(max_examples=400, deadline=None, derandomize=True)
@given(questions())
def test_no_combination_fails(question: tuple[Any, dict[str, Any]]) -> None:
    """Any options end in finite numbers or in a refusal by name."""
    assert_finite_or_refused(*question)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(questions(is_valid=True))
def test_answers_agree_with_the_reference(question: tuple[Any, dict[str, Any]]) -> None:
    """Valid questions are answered within the bounds of the contract, or refused where they have no answer."""
    assert_within_bounds(*question)


def assert_within_bounds(logits: Any, options: dict[str, Any]) -> None:
    """Every output is within its bound; input that breaks a rule of its own is refused, which is fine."""
    asked = {name: value for name, value in options.items() if name != "precision"}
    if "label_smoothing" in asked and not asked["label_smoothing"]:
        del asked["label_smoothing"]
    try:
        evaluated(logits, ["predicted_labels"], **options)
    except InvalidInputError:
        return  # which refusal is right is the business of test_checks.py
    excesses = Measurement(Case("drawn", logits, asked, 0), options["precision"]).run().excesses
    assert not excesses, "; ".join(map(str, excesses))


@pytest.mark.full
@seed(FRESH_SEED)
@settings(max_examples=5000, deadline=None, database=None)
@given(questions())
def test_no_combination_fails_among_many(question: tuple[Any, dict[str, Any]]) -> None:
    """The same holds for thousands of combinations, drawn anew in each run."""
    assert_finite_or_refused(*question)


@pytest.mark.full
@seed(FRESH_SEED)
@settings(max_examples=2000, deadline=None, database=None)
@given(questions(is_valid=True))
def test_more_answers_agree_with_the_reference(question: tuple[Any, dict[str, Any]]) -> None:
    """The same agreement holds for thousands of valid questions, drawn anew in each run."""
    assert_within_bounds(*question)
