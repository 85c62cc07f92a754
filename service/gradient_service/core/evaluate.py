"""The two computations, each in one pass over the row blocks: softmax, and the loss with its derivatives.

What is reduced over rows is exact (`exact_sum.py`), so the order of the blocks cannot matter.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np

from gradient_service.core.blocks import WIDE, Array, Rows, block_of, row_blocks
from gradient_service.core.checks import check_shapes, check_values
from gradient_service.core.derivatives import largest_gain, write_derivatives
from gradient_service.core.exact_sum import rounded
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.objectives import BlockObjective, objective_of
from gradient_service.core.options import Objective, Precision
from gradient_service.core.outputs import Outputs
from gradient_service.core.reduction import Totals, denominator_of, derivative_factor, weigh
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
from gradient_service.core.vanishing import rows_beyond_range, vanishing_rows

SINGLE_RANGE_OF_TEMPERATURES = (2.0**-100, 2.0**100)  # beyond it float32 cannot hold the scaling
NEEDS_ACCURACY = frozenset({"jacobian", "gradient_by_chain_rule"})
"""Outputs, like the third objective, that multiply probabilities with each other: `fast` would err twice as much."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one call computed."""

    arrays: dict[str, Array]
    """The outputs asked for, by name."""
    loss: np.floating | None
    """The reduced loss in nats; None when it was not asked for."""
    summary: Summary | None
    """None when it was not asked for."""
    denominator: float | None
    """The number that `mean` divided by; None for the other reductions."""


def working_dtype(scores: Scores) -> np.dtype[np.floating]:
    """Return float64, or float32 for `fast` on float32 logits with a temperature that float32 can scale by."""
    least, most = SINGLE_RANGE_OF_TEMPERATURES
    if scores.precision is Precision.FAST and least <= scores.temperature <= most:
        return scores.logits.dtype
    return np.dtype(np.float64)


def load(scores: Scores, rows: Rows, dtype: np.dtype[np.floating]) -> Array:
    """Copy some rows into a working block (K, rows), −∞ for masked classes."""
    block = block_of(scores.logits[rows], dtype)
    mask = scores.mask(rows)
    if mask is not None:
        np.copyto(block, -np.inf, where=~mask)
    return block


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
    check_values(scores)
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
        logits = load(scores, block, working_dtype(scores))
        widened = logits.dtype != scores.logits.dtype
        rows = softmax_rows(logits, scores.temperature, compensated=scores.is_compensated, widened=widened)
        for name in names:
            outputs.write(name, block, compute[name](rows))

    execution.run(work, list(row_blocks(*scores.logits.shape)))
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

    E_n by objective (`maths.md`), r_n E_n reduced over rows; every derivative carries the row's factor
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
    check_values(scores, supervision, reduction)
    if supervision.objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY or NEEDS_ACCURACY.intersection(names):
        scores = replace(scores, precision=Precision.ACCURATE)
    weighing = weigh(scores, supervision)
    denominator = denominator_of(reduction, weighing, scores.batch_size)
    loss_factor, factor = Scaled.of(weighing.sample_weights), derivative_factor(reduction, weighing, denominator)
    gain = largest_gain(factor, scores.temperature, names)
    outputs = Outputs(names, scores, execution.checkpoint)
    losses, is_correct = Scaled.zeros(scores.batch_size), np.zeros(scores.batch_size, dtype=bool)

    def compute(rows: Rows, dtype: np.dtype[np.floating]) -> BlockObjective:
        return objective_of(scores, supervision, rows, load(scores, rows, dtype))

    def write_losses(rows: Rows, objective: BlockObjective) -> None:
        of_rows = row_losses(objective, loss_factor[rows])
        losses.mantissa[rows], losses.exponent[rows] = of_rows.mantissa, of_rows.exponent
        if "losses" in outputs:
            outputs.write("losses", rows, of_rows.value)

    def work(rows: slice) -> None:
        objective = compute(rows, working_dtype(scores))
        is_correct[rows] = objective.is_correct()
        if "probabilities" in outputs:
            outputs.write("probabilities", rows, objective.probabilities.T)
        if "predicted_labels" in outputs:
            outputs.write("predicted_labels", rows, objective.top)
        write_losses(rows, objective)
        write_derivatives(outputs, rows, objective, factor[rows], reduction)
        again = rows_beyond_range(objective, loss_factor[rows], supervision, losses[rows]) + rows.start
        if again.size:
            write_losses(again, compute(again, WIDE))
        again = vanishing_rows(objective, gain[rows], supervision) + rows.start
        if again.size:
            write_derivatives(outputs, again, compute(again, WIDE), factor[again], reduction)

    execution.run(work, list(row_blocks(*scores.logits.shape)))
    outputs.check_finite()
    is_counted = True if weighing.ignored is None else ~weighing.ignored
    totals = Totals(losses, int(np.count_nonzero(is_correct & is_counted)), weighing, denominator)
    return Evaluation(
        arrays=outputs.arrays,
        loss=totals.loss(scores.logits.dtype) if "loss" in names else None,
        summary=totals.summary() if "summary" in names else None,
        denominator=None if denominator is None else rounded(denominator),
    )


def row_losses(objective: BlockObjective, sample_factor: Scaled) -> Scaled:
    """Return r_n E_n, (rows,)."""
    return sample_factor.times(objective.row_weight).times(objective.losses()).rounded()
