"""From row losses to one number: summary, named denominators, and the factor every derivative carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

from tests.reference.question import SIGMOID, NoAnswerError, Question
from tests.reference.rows import ONE, ZERO, Array, Row, add, exact_array, weigh
from tests.reference.ulp import round_exactly

# Products of three float64 numbers span 2⁻³²²²…2³⁰⁷²; sums of them are exact at this precision.
EXACT_SUM_BITS = 7000


@dataclass(frozen=True)
class Summary:
    """What a loss or gradient reply says of its batch; sums exact."""

    loss_sum: Any
    weight_sum: Any
    example_count: int
    ignored_count: int
    correct_count: int


def summary_of(question: Question, rows: list[Row], losses: Array) -> Summary:
    """The summary of the batch."""
    counted = question.counted
    correct = [question.is_correct(n, rows[n]) for n in np.flatnonzero(counted).tolist()]
    example_count = int(counted.sum())
    return Summary(
        loss_sum=add(losses),
        weight_sum=exact_weight_sum(question),
        example_count=example_count,
        ignored_count=question.batch_size - example_count,
        correct_count=sum(correct),
    )


def exact_weight_sum(question: Question) -> Any:
    """Σ over counted rows of r_n V_n, V_n = Σ_j w_j c_nj with c before smoothing (sigmoid objective: 1)."""
    with mp.workprec(EXACT_SUM_BITS):
        return add(row_weight(question, n) for n in np.flatnonzero(question.counted).tolist())


def row_weight(question: Question, n: int) -> Any:
    """r_n V_n."""
    weight = question.sample_weight_row[n]
    if question.objective == SIGMOID:
        return weight
    target = question.given_target(n)
    present = np.flatnonzero(target)
    return weight * add(exact_array(target[present]) * question.class_weight_row[present])


def denominator_of(question: Question, summary: Summary) -> Any:
    """D of the mean."""
    if question.denominator_value is not None:
        return mp.mpf(question.denominator_value)
    named = {
        "weights": summary.weight_sum,
        "examples": mp.mpf(summary.example_count),
        "batch": mp.mpf(question.batch_size),
    }
    return named[question.denominator]


def scale_of(question: Question, summary: Summary) -> Any:
    """What the reduction multiplies the sum by: 1/D for the mean, 0 if D and the sum are 0, else 1."""
    if question.reduction != "mean":
        return ONE
    denominator = denominator_of(question, summary)
    if not np.isfinite(round_exactly(denominator, np.float64)):
        raise NoAnswerError("number-out-of-range", "the denominator is none of float64")
    if round_exactly(denominator, np.float64):
        return ONE / denominator
    if round_exactly(summary.loss_sum, np.float64):
        raise NoAnswerError("number-out-of-range", "the denominator is 0, the sum is not")
    return ZERO


def row_factors(question: Question, scale: Any) -> Array:
    """The factor of each row's derivatives: r_n / D, r_n, or r_n times upstream; 0 in ignored rows."""
    factors = weigh(exact_array(question.counted.astype(float)), question.sample_weight_row * scale)
    if question.upstream is not None:
        factors = factors * exact_array(question.upstream)
    return factors
