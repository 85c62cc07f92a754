"""The two computations, each in one pass over the row blocks: softmax, and the loss with its derivatives.

What is reduced over rows is exact (`exact_sum.py`), so the order of the blocks cannot matter.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checks import check_shapes, check_values
from gradient_service.core.denominators import denominator_of
from gradient_service.core.derivatives import largest_gain
from gradient_service.core.exact_sum import Total, few_numbers
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.long_rows import LONG_ROW, with_checkpoints
from gradient_service.core.loss_pass import Factors, LossPass
from gradient_service.core.options import Objective, Precision
from gradient_service.core.outputs import MADE_OF_JACOBIANS, REDUCED, Outputs, bytes_a_row, numbers_a_row
from gradient_service.core.records import record
from gradient_service.core.reduction import Totals, derivative_factor, weigh
from gradient_service.core.scaled import Scaled
from gradient_service.core.softmax import (
    SoftmaxRows,
    entropy,
    log_normalizer,
    log_probabilities,
    one_hot,
    softmax_rows,
)
from gradient_service.core.summary import Summary

NEEDS_ACCURACY = MADE_OF_JACOBIANS
"""Outputs, like the third objective, that multiply probabilities with each other: `fast` would err twice as much."""


@record()
class Reduced:
    """What is left of a group of rows when its losses become one number."""

    loss: np.floating | None
    """The reduced loss in nats; None when it was not asked for."""
    summary: Summary | None
    """None when it was not asked for."""
    denominator: float | None
    """The number that `mean` divided by; None for the other reductions."""


@record()
class Evaluation:
    """What one call computed."""

    arrays: dict[str, Array]
    """The outputs asked for, by name."""
    groups: tuple[Reduced, ...]
    """One for each group of rows."""

    @property
    def loss(self) -> np.floating | None:
        """The reduced loss of the only group."""
        return self._only.loss

    @property
    def summary(self) -> Summary | None:
        """The summary of the only group."""
        return self._only.summary

    @property
    def denominator(self) -> float | None:
        """The denominator of the only group."""
        return self._only.denominator

    @property
    def _only(self) -> Reduced:
        (only,) = self.groups
        return only


def softmax(scores: Scores, names: Collection[str], execution: Execution) -> dict[str, Array]:
    """Turn scores into probabilities, p_j = exp(s_j) / Σ_k exp(s_k), and what else follows from the scores alone.

    Args:
        scores: (N, K) logits and how they are read.
        names: any of `probabilities`, `log_probabilities`, `one_hot` (N, K); `predicted_labels`, `entropy`,
            `log_normalizer` (N,).
        execution: who does the work and who may stop it.

    Returns:
        The outputs by name, in the dtype of the logits; labels int64, one-hot rows uint8; entropy in nats.

    Raises:
        InvalidInputError: the scores break a rule of `checks.py`, or an output leaves the range of its dtype.

    Source: Blanchard, Higham & Higham, IMA J. Numer. Anal. 41 (2021), eq. 1.4, with the compensation of `shift`.
    """
    check_shapes(scores)
    if scores.num_classes > LONG_ROW:
        scores = with_checkpoints(scores, execution.checkpoint)
    check_values(scores, checkpoint=execution.checkpoint)
    compute: dict[str, Callable[[SoftmaxRows], Array]] = {
        "probabilities": lambda rows: rows.probabilities.T,
        "log_probabilities": lambda rows: log_probabilities(rows).T,
        "predicted_labels": lambda rows: rows.top,
        "one_hot": lambda rows: one_hot(rows.top, scores.num_classes).T,
        "entropy": entropy,
        "log_normalizer": log_normalizer,
    }
    outputs = Outputs(names, scores, execution.checkpoint)

    def work(block: slice) -> None:
        logits = scores.block(block, scores.working_dtype)
        rows = softmax_rows(logits, scores.temperature, compensated=scores.is_compensated)
        for name in names:
            outputs.write(name, block, compute[name](rows))

    execution.run(work, scores.shape, bytes_a_row(names, scores))
    outputs.check_finite()
    return outputs.arrays


def loss_and_gradient(
    scores: Scores,
    supervision: Supervision,
    reduction: ReductionRule,
    names: Collection[str],
    execution: Execution,
) -> Evaluation:
    """Compare scores with labels or targets: the loss, and its derivatives by the logits in the same pass.

    E_n by objective (`options.Objective`), r_n E_n reduced over rows; every derivative carries the row's factor
    r_n / D, r_n, or r_n times `upstream`.

    Args:
        scores: (N, K) logits and how they are read.
        supervision: labels (N,) or targets (N, K), and their weights.
        reduction: how losses become one number.
        names: any of `loss`, `summary`; `losses`, `predicted_labels` (N,); `probabilities`, `gradient`,
            `loss_wrt_probabilities`, `gradient_by_chain_rule`, `gradient_diagonal_only`, `hessian_diagonal` (N, K);
            `jacobian` (N, K, K).
        execution: who does the work and who may stop it.

    Returns:
        The outputs, in the dtype of the logits; losses in nats, sums float64.

    Raises:
        InvalidInputError: an input breaks a rule of `checks.py`, or an output leaves the range of its dtype.
    """
    check_shapes(scores, supervision, reduction)
    if numbers_a_row(names, scores) > LONG_ROW:
        scores = with_checkpoints(scores, execution.checkpoint)
        supervision = with_checkpoints(supervision, execution.checkpoint)
    check_values(scores, supervision, reduction, checkpoint=execution.checkpoint)
    scores = _as_accurate_as_needed(scores, supervision, names)
    weighing = weigh(scores, supervision, execution.checkpoint)
    parts = [weighing.part(rows) for rows in reduction.groups] if len(reduction.groups) > 1 else [weighing]
    denominators = [denominator_of(reduction, part) for part in parts]
    factor = derivative_factor(reduction, weighing, denominators)
    factors = Factors(Scaled.of(weighing.sample_weights), factor, largest_gain(factor, scores.temperature, names))
    loss_pass = LossPass(scores, supervision, reduction, factors, Outputs(names, scores, execution.checkpoint))
    execution.run(loss_pass.work_on, scores.shape, bytes_a_row(names, scores))
    loss_pass.outputs.check_finite()
    numbers = None if REDUCED.isdisjoint(names) else few_numbers(loss_pass.losses)
    totals = [
        Totals(
            losses=loss_pass.losses[rows],
            few=None if numbers is None else Total.of_few(numbers[rows]),
            correct_count=part.num_counted(loss_pass.is_correct[rows]),
            weighing=part,
            denominator=denominator,
            checkpoint=execution.checkpoint,
        )
        for rows, part, denominator in zip(reduction.groups, parts, denominators, strict=True)
    ]
    groups = tuple(_reduced(each, names, scores.logits.dtype) for each in totals)
    return Evaluation(loss_pass.outputs.arrays, groups)


def _reduced(totals: Totals, names: Collection[str], dtype: np.dtype[np.floating]) -> Reduced:
    return Reduced(
        loss=totals.loss(dtype) if "loss" in names else None,
        summary=totals.summary() if "summary" in names else None,
        denominator=None if totals.denominator is None else totals.denominator.nearest,
    )


def _as_accurate_as_needed(scores: Scores, supervision: Supervision, names: Collection[str]) -> Scores:
    if supervision.objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY or NEEDS_ACCURACY.intersection(names):
        return replace(scores, precision=Precision.ACCURATE)
    return scores
