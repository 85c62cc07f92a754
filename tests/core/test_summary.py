"""Summaries: what they say of a batch, and how they add up."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from gradient_service.core.errors import InvalidInputError
from gradient_service.core.summary import Summary, merge_summaries
from tests.core.calls import SIGMOID, evaluated

NOTHING = Summary(
    loss_sum=0.0, loss_tail=(), weight_sum=0.0, weight_tail=(), example_count=0, ignored_count=0, correct_count=0
)


def summary_of(logits: Any, **options: Any) -> Summary:
    """The summary of a batch."""
    found = evaluated(logits, ["summary"], **options).summary
    assert found is not None
    return found


def test_counts_of_labels() -> None:
    """Counted, ignored and correct rows are told apart; an ignored row is never correct."""
    logits = [[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [1.0, 1.0]]
    found = summary_of(logits, labels=[0, 1, 9, 0], ignore_label=9)
    assert (found.example_count, found.ignored_count, found.correct_count) == (3, 1, 2)


def test_a_real_class_may_be_ignored() -> None:
    """Rows of an ignored real class leave the sums, while the class stays in the softmax."""
    found = summary_of([[0.0, 0.0], [0.0, 0.0]], labels=[0, 1], ignore_label=0)
    assert (found.loss_sum, found.weight_sum, found.ignored_count) == (math.log(2.0), 1.0, 1)


def test_sigmoid_counts_whole_rows() -> None:
    """A sigmoid row is correct where s > 0 exactly where c > 1/2, in every unmasked class."""
    logits = [[1.0, -1.0], [1.0, 1.0], [0.0, -3.0], [1.0, 1.0]]
    targets = [[0.6, 0.5], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    mask = [[True, True], [True, True], [True, True], [True, False]]
    found = summary_of(logits, targets=targets, objective=SIGMOID, element_mask=mask)
    assert found.correct_count == 3


def test_the_weights_of_soft_targets_are_exact() -> None:
    """Targets (0.1, 0.2, 0.7) count with the exact sum of these floats, rounded, and its tail."""
    found = summary_of([[0.0, 0.0, 0.0]], targets=[[0.1, 0.2, 0.7]])
    assert found.weight_sum == math.fsum([0.1, 0.2, 0.7])


def test_sample_and_class_weights_multiply() -> None:
    """The weight sum is Σ r_n w of the labels."""
    found = summary_of(np.zeros((2, 2)), labels=[0, 1], class_weights=[3.0, 5.0], sample_weights=[2.0, 0.5])
    assert found.weight_sum == 8.5


def test_merging_nothing() -> None:
    """No summaries merge to that of an empty batch, which changes nothing."""
    assert merge_summaries([]) == NOTHING
    one = summary_of([[1.0, 2.0]], labels=[0])
    assert merge_summaries([NOTHING, one, NOTHING]) == one


def test_tails_bring_back_what_rounding_left_out() -> None:
    """Losses of 1e300 and 1e-300 both survive a merge with their negatives' worth of digits."""
    big = summary_of([[0.0, 1.0]], labels=[0], sample_weights=[1e300])
    small = summary_of([[0.0, 1.0]], labels=[0], sample_weights=[1e-300])
    merged = merge_summaries([big, small])
    assert (merged.loss_sum, merged.loss_tail) == (big.loss_sum, (small.loss_sum,))
    assert (merged.weight_sum, merged.weight_tail) == (1e300, (1e-300,))


def test_merging_knows_no_order() -> None:
    """Summaries merge to the same bits in any order and grouping."""
    rng = np.random.default_rng(8)
    parts = [summary_of(rng.normal(size=(5, 3)), labels=rng.integers(0, 3, 5)) for _ in range(6)]
    grouped = [merge_summaries(parts[4:]), merge_summaries(parts[:1]), merge_summaries(parts[1:4])]
    assert merge_summaries(parts) == merge_summaries(parts[::-1]) == merge_summaries(grouped)


def test_the_weights_denominator_is_rounded_once() -> None:
    """Three rows of weight 0.7 with class weight 0.1 count 0.21, not what three rounded products add up to."""
    found = evaluated([[0.0, 0.0]] * 3, ["summary"], labels=[0] * 3, class_weights=[0.1] * 2, sample_weights=[0.7] * 3)
    assert found.summary is not None
    assert found.denominator == found.summary.weight_sum == float(3 * Fraction(0.7) * Fraction(0.1))


@pytest.mark.parametrize("names", [["loss"], ["gradient"], ["losses"]])
def test_a_denominator_beyond_the_range_is_refused(names: list[str]) -> None:
    """A sum of weights that float64 does not hold is no number to divide by, whatever is asked for."""
    weights: Any = {"class_weights": [1e308] * 2, "sample_weights": [10.0] * 2}
    with pytest.raises(InvalidInputError) as refusal:
        evaluated([[0.0, 0.0]] * 2, names, labels=[1, 0], **weights)
    assert refusal.value.faults[0].code == "number-out-of-range"
    assert refusal.value.faults[0].field == "sample_weights"


def test_a_denominator_below_the_range_is_none() -> None:
    """Weights whose sum vanishes divide nothing: loss and gradient are 0, and the summary says so."""
    weights: Any = {"class_weights": [1e-200] * 2, "sample_weights": [1e-200] * 2}
    found = evaluated([[0.0, 0.0]] * 2, ["loss", "gradient", "summary"], labels=[1, 0], **weights)
    assert found.loss == 0
    assert found.denominator == 0
    assert not found.arrays["gradient"].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [2.0**-40, 0.25, 0.3, 0.49])
def test_a_reduced_loss_is_told_as_far_as_its_dtype_goes(share: float, dtype: type[np.floating[Any]]) -> None:
    """Two losses whose sum is in the range are added up, small or near its end, and refused where five leave it."""
    loss = dtype(share) * np.finfo(dtype).max

    def sum_of(rows: int) -> Any:
        logits = np.array([[0, loss]] * rows, dtype)
        return evaluated(logits, ["loss"], labels=[0] * rows, reduction="sum").loss

    assert (sum_of(2), sum_of(2).dtype) == (2 * loss, dtype)
    if 5 * share < 1:
        assert np.isfinite(sum_of(5))
    else:
        with pytest.raises(InvalidInputError, match="leaves the range"):
            sum_of(5)
